"""Long work through generated stubs: refusals, cancellation, the lease."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from tests.parameter_calls import refusal
from tests.running_service import Stubs, wait_until
from tests.uploads import add

from mgit_proto.v1 import lineage_pb2, maintenance_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

NO_GRACE = maintenance_pb2.CollectGarbageRequest(grace_seconds=0)


@pytest.fixture(scope="module")
def models(stubs: Stubs) -> None:
    """One that stays, with chunks enough that a check takes a while, and one that goes."""
    random = np.random.default_rng(1)
    tensors = {f"layer.{at}": random.standard_normal((512, 512)).astype(np.float32) for at in range(12)}
    add(stubs, "kept", tensors=tensors)
    add(stubs, "gone", tensors={"x": random.standard_normal(5000).astype(np.float32)})
    stubs.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="gone"))


def is_free(stubs: Stubs) -> bool:
    """Whether nobody holds the lease."""
    try:
        list(stubs.maintenance.CheckStore(maintenance_pb2.CheckStoreRequest(repair=True), timeout=60))
    except grpc.RpcError as error:
        if refusal(error).reason != "MAINTENANCE_BUSY":
            raise
        return False
    return True


def starts(stubs: Stubs) -> Iterator[tuple[str, grpc.Future]]:
    yield "check", stubs.maintenance.CheckStore(maintenance_pb2.CheckStoreRequest(repair=True))
    yield "gc", stubs.maintenance.CollectGarbage(NO_GRACE)
    yield "repack", stubs.maintenance.Repack(maintenance_pb2.RepackRequest(cores=1))


def wait_for_begin(stubs: Stubs, call: grpc.Future) -> None:
    """Wait until the call holds the lease, or is over. A call counts as active until its answers are read."""
    reader = threading.Thread(target=_read_all, args=(call,))
    reader.start()
    wait_until(lambda: not reader.is_alive() or not is_free(stubs), "the call began", 20)


def _read_all(call: Iterator[object]) -> None:
    with contextlib.suppress(grpc.RpcError):
        for _ in call:
            pass


@pytest.mark.usefixtures("models")
def test_a_call_that_is_cut_at_once_gives_the_lease_back(stubs: Stubs) -> None:
    for what, call in starts(stubs):
        call.cancel()
        wait_until(lambda: is_free(stubs), f"the lease of {what} is given back", 20)


@pytest.mark.usefixtures("models")
def test_a_call_that_is_cut_while_it_works_gives_the_lease_back(stubs: Stubs) -> None:
    for what, call in starts(stubs):
        wait_for_begin(stubs, call)
        call.cancel()
        wait_until(lambda: is_free(stubs), f"the lease of {what} is given back", 20)


@pytest.mark.usefixtures("models")
def test_a_call_that_is_cut_at_its_result_gives_the_lease_back(stubs: Stubs) -> None:
    for what, call in starts(stubs):
        for answer in call:
            if answer.WhichOneof("kind") == "result":
                break
        call.cancel()
        wait_until(lambda: is_free(stubs), f"the lease of {what} is given back", 20)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("CollectGarbage", maintenance_pb2.CollectGarbageRequest(grace_seconds=-1)),
        ("Repack", maintenance_pb2.RepackRequest(seconds=-1)),
        ("Repack", maintenance_pb2.RepackRequest(cores=0)),
    ],
)
def test_impossible_numbers_are_refused(stubs: Stubs, method: str, request_: object) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(getattr(stubs.maintenance, method)(request_, timeout=20))
    refused = refusal(caught.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")


@pytest.mark.usefixtures("models")
def test_the_default_grace_period_is_a_day(stubs: Stubs) -> None:
    *_, last = stubs.maintenance.CollectGarbage(maintenance_pb2.CollectGarbageRequest(dry_run=True))
    assert last.result.chunks == 0
    *_, last = stubs.maintenance.CollectGarbage(NO_GRACE)
    assert last.WhichOneof("kind") == "result"
