"""Reading a walk ahead, from a service that breaks off or waits where the test wants it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from typing_extensions import override

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.walking.asking import read_ahead
from mgit_core.errors import ErrorReason, UnavailableError
from mgit_proto.v1 import lineage_pb2 as pb
from mgit_proto.v1 import lineage_pb2_grpc, types_pb2


class WalkService(lineage_pb2_grpc.LineageServiceServicer):
    """Gives as many parts as the limit of the question says; then breaks off, or waits until the call is over."""

    def __init__(self) -> None:
        self.gave_all = threading.Event()
        self.ended = threading.Event()

    @override
    def WalkModels(self, request: pb.WalkModelsRequest, context: Any) -> Iterator[pb.WalkModelsResponse]:
        context.add_callback(self.ended.set)
        for number in range(request.limit):
            summary = types_pb2.ModelSummary(uid=f"u{number}")
            yield pb.WalkModelsResponse(steps=[pb.WalkStep(model=summary)])
        self.gave_all.set()
        if "breaks" in request.models:
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        if "waits" in request.models:
            self.ended.wait(60)


@pytest.fixture
def service() -> WalkService:
    return WalkService()


@pytest.fixture
def connection(service: WalkService) -> Iterator[Connection]:
    server = grpc.server(ThreadPoolExecutor(4))
    lineage_pb2_grpc.add_LineageServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}", timeout_s=60))
    yield connection
    connection.close()
    server.stop(None).wait()


def uids(answer: pb.WalkModelsResponse) -> list[str]:
    return [step.model.uid for step in answer.steps]


def test_parts_come_in_order(connection: Connection) -> None:
    parts = list(read_ahead(connection, pb.WalkModelsRequest(limit=5)))
    assert [uids(part) for part in parts] == [[f"u{number}"] for number in range(5)]


def test_a_slow_reader_does_not_hold_the_service(connection: Connection, service: WalkService) -> None:
    """More than a window of flow control is on its way, and only the first part was read."""
    parts = read_ahead(connection, pb.WalkModelsRequest(limit=50_000))
    assert uids(next(parts)) == ["u0"]
    assert service.gave_all.wait(120)
    assert sum(1 for _ in parts) == 49_999


def test_what_came_before_the_service_broke_off_is_given_first(connection: Connection) -> None:
    parts = read_ahead(connection, pb.WalkModelsRequest(limit=2, models=["breaks"]))
    assert [uids(next(parts)), uids(next(parts))] == [["u0"], ["u1"]]
    with pytest.raises(UnavailableError) as caught:
        next(parts)
    assert caught.value.reason is ErrorReason.SERVICE_UNAVAILABLE


def test_leaving_ends_the_call(connection: Connection, service: WalkService) -> None:
    parts = read_ahead(connection, pb.WalkModelsRequest(limit=1, models=["waits"]))
    assert uids(next(parts)) == ["u0"]
    assert not service.ended.is_set()
    parts.close()
    assert service.ended.wait(60)


def test_nothing_is_asked_before_the_first_part_is(connection: Connection) -> None:
    parts = read_ahead(connection, pb.WalkModelsRequest(limit=1))
    connection.close()
    with pytest.raises(UnavailableError):
        next(parts)
