"""A chunk that is not there: left at a remote, or lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.promises import promises_told
from mgit_core.errors import ErrorReason, FailedPreconditionError, NotFoundError
from mgit_proto.v1 import lineage_pb2, lineage_pb2_grpc, types_pb2

PROMISED, WHOLE = "promised-uid", "whole-uid"


class Lineage(lineage_pb2_grpc.LineageServiceServicer):
    """Knows two models, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def GetModel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self.asked.append(request.model)
        model = types_pb2.Model(summary=types_pb2.ModelSummary(name="m", version=2))
        if request.model == f"@{PROMISED}":
            model.promised_by.CopyFrom(types_pb2.Promise(store_id="store-1", remote="origin"))
        return lineage_pb2.GetModelResponse(model=model)


@pytest.fixture
def lineage() -> Lineage:
    return Lineage()


@pytest.fixture
def known(lineage: Lineage) -> Iterator[Connection]:
    server = grpc.server(ThreadPoolExecutor(1))
    lineage_pb2_grpc.add_LineageServiceServicer_to_server(lineage, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}"))
    yield connection
    connection.close()
    server.stop(None).wait()


def miss() -> None:
    raise NotFoundError(ErrorReason.CHUNK_NOT_FOUND, "The store has no chunk 00.")


def test_a_miss_of_a_promised_model_names_the_remote_and_the_command(known: Connection) -> None:
    with (
        pytest.raises(FailedPreconditionError, match=r"'origin'.*'mgit pull m@2'") as caught,
        promises_told(known, [WHOLE, PROMISED]),
    ):
        miss()
    assert caught.value.reason is ErrorReason.PARAMETERS_PROMISED
    assert caught.value.details == {"model": "m@2", "remote": "origin", "store_id": "store-1"}


def test_a_miss_of_a_whole_model_stays_a_miss(known: Connection) -> None:
    with pytest.raises(NotFoundError, match="no chunk 00"), promises_told(known, [WHOLE]):
        miss()


def test_a_miss_stays_a_miss_where_nobody_can_be_asked(known: Connection) -> None:
    known.close()
    with pytest.raises(NotFoundError, match="no chunk 00"), promises_told(known, [PROMISED]):
        miss()


def test_nothing_is_asked_where_nothing_is_missed_or_something_else_goes_wrong(
    known: Connection, lineage: Lineage
) -> None:
    with promises_told(known, [PROMISED]):
        pass
    with pytest.raises(NotFoundError), promises_told(known, [PROMISED]):
        raise NotFoundError(ErrorReason.TENSOR_NOT_FOUND, "No tensor.")
    assert lineage.asked == []
