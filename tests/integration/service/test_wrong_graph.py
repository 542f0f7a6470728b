"""A service whose graph was emptied or replaced under it lets nobody collect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.neo4j_server import TestServer, empty_graph
from tests.parameter_calls import refusal
from tests.running_service import RunningService, Stubs, run_service
from tests.uploads import add

from mgit_proto.v1 import maintenance_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


@pytest.fixture
def service(neo4j_server: TestServer, tmp_path: Path) -> Iterator[RunningService]:
    empty_graph(neo4j_server)
    with run_service(neo4j_server, tmp_path / "store") as running:
        yield running
    empty_graph(neo4j_server)


@pytest.fixture
def stubs(service: RunningService) -> Iterator[Stubs]:
    with service.stubs() as opened:
        yield opened


@pytest.mark.parametrize("delete_everything", [False, True])
def test_an_emptied_graph_does_not_empty_the_store(
    service: RunningService, stubs: Stubs, neo4j_server: TestServer, *, delete_everything: bool
) -> None:
    """As after a restored database: no flag helps, since it is not the graph of this store any more."""
    add(stubs, "only")
    packs = sorted((service.store / "packs").rglob("*.pack"))
    empty_graph(neo4j_server)
    request = maintenance_pb2.CollectGarbageRequest(grace_seconds=0, delete_everything=delete_everything)
    for call in (
        lambda: list(stubs.maintenance.CollectGarbage(request, timeout=60)),
        lambda: list(stubs.maintenance.Repack(maintenance_pb2.RepackRequest(), timeout=60)),
        lambda: list(
            stubs.maintenance.CheckStore(maintenance_pb2.CheckStoreRequest(repair=True), timeout=60)
        ),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        refused = refusal(caught.value)
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STORE_MISMATCH")
    assert sorted((service.store / "packs").rglob("*.pack")) == packs
