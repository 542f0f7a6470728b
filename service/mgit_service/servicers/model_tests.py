"""ModelTestService: definitions of model tests, and their results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import grpc.aio
from google.protobuf.message import Message
from typing_extensions import override

from mgit_core.lineage import RequestKey
from mgit_core.ports.graph import Page
from mgit_proto.v1 import model_tests_pb2 as pb
from mgit_proto.v1 import model_tests_pb2_grpc
from mgit_service.servicers import model_test_messages as messages
from mgit_service.servicers.messages import check_size
from mgit_service.servicers.paging import PagedList
from mgit_service.servicers.requests import request_key
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.model_tests import applicability, definitions, results

__all__ = ["ModelTestServicer"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ModelTestServicer(model_tests_pb2_grpc.ModelTestServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._lineage = backend.lineage
        self._algorithm = backend.chunks.algorithm

    @override
    async def RegisterTest(
        self, request: pb.RegisterTestRequest, context: Context
    ) -> pb.RegisterTestResponse:
        test = await definitions.register_test(
            self._lineage,
            messages.model_test_value(request.test),
            is_replaced=request.replace,
            request=self._key(request),
        )
        return pb.RegisterTestResponse(test=messages.model_test_message(test))

    @override
    async def GetTest(self, request: pb.GetTestRequest, context: Context) -> pb.GetTestResponse:
        test = await definitions.find_test(self._lineage, request.test)
        return pb.GetTestResponse(test=messages.model_test_message(test))

    @override
    async def ListTests(self, request: pb.ListTestsRequest, context: Context) -> pb.ListTestsResponse:
        listed = PagedList("tests")
        page = listed.page(request.page_size, request.page_token)
        tests = await definitions.list_tests(self._lineage, page)
        answers = list(map(messages.model_test_message, tests))
        count = messages.count_fitting(answers)
        return pb.ListTestsResponse(
            tests=answers[:count], next_page_token=_token(listed, page, [test.name for test in tests], count)
        )

    @override
    async def RemoveTest(self, request: pb.RemoveTestRequest, context: Context) -> pb.RemoveTestResponse:
        test = await definitions.remove_test(self._lineage, request.test, self._key(request))
        return pb.RemoveTestResponse(test=messages.model_test_message(test))

    @override
    async def ListApplicableTests(
        self, request: pb.ListApplicableTestsRequest, context: Context
    ) -> AsyncIterator[pb.ListApplicableTestsResponse]:
        models = await applicability.list_applicable(self._lineage, request.models, request.pattern)
        for message in messages.applicable_messages(models):
            yield message

    @override
    async def FindResults(self, request: pb.FindResultsRequest, context: Context) -> pb.FindResultsResponse:
        found = await results.find_results(self._lineage, list(map(messages.key_value, request.keys)))
        return pb.FindResultsResponse(results=list(map(messages.result_message, found)))

    @override
    async def RecordResults(
        self, request: pb.RecordResultsRequest, context: Context
    ) -> pb.RecordResultsResponse:
        check_size(request.ByteSize())
        recorded = await results.record_results(
            self._lineage, list(map(messages.result_value, request.results)), self._key(request)
        )
        return pb.RecordResultsResponse(results=list(map(messages.result_message, recorded)))

    @override
    async def ListResults(self, request: pb.ListResultsRequest, context: Context) -> pb.ListResultsResponse:
        listed = PagedList("results", (request.test, request.model))
        page = listed.page(request.page_size, request.page_token)
        found = await results.list_results(self._lineage, page, test=request.test, model=request.model)
        answers = list(map(messages.result_message, found))
        count = messages.count_fitting(answers)
        return pb.ListResultsResponse(
            results=answers[:count],
            next_page_token=_token(listed, page, [result.uid for result in found], count),
        )

    def _key(self, request: Message) -> RequestKey | None:
        return request_key(self._algorithm, request)


def _token(listed: PagedList, page: Page, keys: Sequence[str], count: int) -> str:
    """The token behind the first ``count`` rows of a part, of which the rest did not go into the answer."""
    if not keys:
        return ""
    return listed.next_token(page, page.size if count < len(keys) else count, keys[count - 1])
