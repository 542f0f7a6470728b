"""The part of AuditService that keeps bugs and tells whom they reach."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc.aio
from google.protobuf.message import Message
from typing_extensions import override

from mgit_core.bugs import BugState
from mgit_core.lineage import RequestKey
from mgit_proto.v1 import audit_pb2 as pb
from mgit_proto.v1 import audit_pb2_grpc
from mgit_service.servicers import bug_messages as messages
from mgit_service.servicers.messages import check_size
from mgit_service.servicers.model_test_messages import count_fitting
from mgit_service.servicers.paging import PagedList
from mgit_service.servicers.requests import request_key
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.bugs import reach, reports

__all__ = ["BugCalls"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class BugCalls(audit_pb2_grpc.AuditServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @override
    async def ReportBug(self, request: pb.ReportBugRequest, context: Context) -> pb.ReportBugResponse:
        check_size(request.ByteSize())
        draft = messages.bug_value(request.bug)
        bug = await reports.report_bug(self._backend.lineage, draft, self._key(request))
        return pb.ReportBugResponse(bug=messages.bug_message(bug))

    @override
    async def FixBug(self, request: pb.FixBugRequest, context: Context) -> pb.FixBugResponse:
        bug = await reports.fix_bug(
            self._backend.lineage, request.id, request.model, force=request.force, request=self._key(request)
        )
        return pb.FixBugResponse(bug=messages.bug_message(bug))

    @override
    async def CloseBug(self, request: pb.CloseBugRequest, context: Context) -> pb.CloseBugResponse:
        state = BugState.OPEN if request.reopen else BugState.CLOSED
        bug = await reports.set_bug_state(self._backend.lineage, request.id, state, self._key(request))
        return pb.CloseBugResponse(bug=messages.bug_message(bug))

    @override
    async def GetBug(self, request: pb.GetBugRequest, context: Context) -> pb.GetBugResponse:
        bug = await reports.find_bug(self._backend.lineage, request.id)
        return pb.GetBugResponse(bug=messages.bug_message(bug))

    @override
    async def ListBugs(self, request: pb.ListBugsRequest, context: Context) -> pb.ListBugsResponse:
        listed = PagedList("bugs", (str(request.state), request.model))
        page = listed.page(request.page_size, request.page_token)
        state = messages.state_value(request.state)
        bugs = await reports.list_bugs(self._backend.lineage, page, state=state, reference=request.model)
        answers = list(map(messages.bug_message, bugs))
        count = count_fitting(answers)
        rows = page.size if count < len(bugs) else count
        return pb.ListBugsResponse(
            bugs=answers[:count],
            next_page_token=listed.next_token(page, rows, bugs[count - 1].id) if bugs else "",
        )

    @override
    async def ListAffected(
        self, request: pb.ListAffectedRequest, context: Context
    ) -> AsyncIterator[pb.ListAffectedResponse]:
        question = _question(request, limit=request.limit)
        async with contextlib.aclosing(reach.list_affected(self._backend.lineage, question)) as parts:
            async for part in parts:
                yield messages.affected_part_message(part)

    @override
    async def CountAffected(
        self, request: pb.CountAffectedRequest, context: Context
    ) -> pb.CountAffectedResponse:
        count = await reach.count_affected(self._backend.lineage, _question(request))
        return pb.CountAffectedResponse(count=count)

    def _key(self, request: Message) -> RequestKey | None:
        return request_key(self._backend.chunks.algorithm, request)


def _question(
    request: pb.ListAffectedRequest | pb.CountAffectedRequest, *, limit: int = 0
) -> reach.ReachQuestion:
    return reach.ReachQuestion(
        bug=request.id,
        assumed_fixed=tuple(request.assumed_fixed),
        declared_only=request.declared_only,
        limit=limit,
    )
