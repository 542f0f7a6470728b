"""CascadeService: plans, leased steps, and what they made."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio
from google.protobuf.message import Message
from typing_extensions import override

from mgit_core.cascade.values import StepLease
from mgit_core.lineage import RequestKey
from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import cascade_pb2_grpc
from mgit_service.servicers import cascade_messages as messages
from mgit_service.servicers.convert import timestamp_message
from mgit_service.servicers.messages import check_size
from mgit_service.servicers.model_test_messages import count_fitting
from mgit_service.servicers.paging import PagedList
from mgit_service.servicers.requests import request_key
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.cascades import plans, steps

__all__ = ["CascadeServicer"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class CascadeServicer(cascade_pb2_grpc.CascadeServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lineage = backend.lineage

    @override
    async def PlanCascade(self, request: pb.PlanCascadeRequest, context: Context) -> pb.PlanCascadeResponse:
        check_size(request.ByteSize())
        plan = await plans.plan_update(self._lineage, messages.question_value(request.options))
        return pb.PlanCascadeResponse(plan=messages.plan_message(plan))

    @override
    async def StartCascade(
        self, request: pb.StartCascadeRequest, context: Context
    ) -> pb.StartCascadeResponse:
        check_size(request.ByteSize())
        order = messages.order_value(request)
        question = messages.question_value(request.options)
        cascade = await plans.start_update(self._lineage, question, order, self._key(request))
        return pb.StartCascadeResponse(cascade=messages.cascade_message(cascade))

    @override
    async def GetCascade(self, request: pb.GetCascadeRequest, context: Context) -> pb.GetCascadeResponse:
        cascade = await self._lineage.cascades.get(request.id)
        return pb.GetCascadeResponse(
            cascade=messages.cascade_message(cascade, after_steps=request.after_steps)
        )

    @override
    async def ListCascades(
        self, request: pb.ListCascadesRequest, context: Context
    ) -> pb.ListCascadesResponse:
        listed = PagedList("cascades")
        page = listed.page(request.page_size, request.page_token)
        cascades = await self._lineage.cascades.list_page(page)
        answers = [messages.cascade_message(cascade) for cascade in cascades]
        count = count_fitting(answers)
        rows = page.size if count < len(answers) else count
        return pb.ListCascadesResponse(
            cascades=answers[:count],
            next_page_token=listed.next_token(page, rows, cascades[count - 1].id) if cascades else "",
        )

    @override
    async def LeaseStep(self, request: pb.LeaseStepRequest, context: Context) -> pb.LeaseStepResponse:
        step, state = await steps.lease_step(
            self._backend, request.cascade_id, request.worker, request.lease_s
        )
        return pb.LeaseStepResponse(
            step=None if step is None else messages.step_message(step), state=messages.state_message(state)
        )

    @override
    async def RenewStep(self, request: pb.RenewStepRequest, context: Context) -> pb.RenewStepResponse:
        lease = StepLease(cascade_id=request.cascade_id, step=request.step, attempt=request.attempt)
        expires_at = await steps.renew_step(self._backend, lease, request.lease_s)
        return pb.RenewStepResponse(expires_at=timestamp_message(expires_at))

    @override
    async def ReportStep(self, request: pb.ReportStepRequest, context: Context) -> pb.ReportStepResponse:
        check_size(request.ByteSize())
        lease, report = messages.report_value(request)
        step_state, state = await steps.report_step(self._backend, lease, report)
        return pb.ReportStepResponse(
            step_state=messages.step_state_message(step_state), state=messages.state_message(state)
        )

    @override
    async def ResumeCascade(
        self, request: pb.ResumeCascadeRequest, context: Context
    ) -> pb.ResumeCascadeResponse:
        publish = messages.publish_value(request.publish)
        cascade = await steps.resume_cascade(self._backend, request.id, publish, self._key(request))
        return pb.ResumeCascadeResponse(cascade=messages.cascade_message(cascade))

    @override
    async def PublishCascade(
        self, request: pb.PublishCascadeRequest, context: Context
    ) -> pb.PublishCascadeResponse:
        cascade = await steps.publish_cascade(
            self._backend, request.id, anyway=request.anyway, request=self._key(request)
        )
        return pb.PublishCascadeResponse(cascade=messages.cascade_message(cascade))

    @override
    async def CancelCascade(
        self, request: pb.CancelCascadeRequest, context: Context
    ) -> pb.CancelCascadeResponse:
        cascade = await self._lineage.cascades.cancel(request.id, self._key(request))
        return pb.CancelCascadeResponse(cascade=messages.cascade_message(cascade))

    def _key(self, request: Message) -> RequestKey | None:
        return request_key(self._backend.chunks.algorithm, request)
