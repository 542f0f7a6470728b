"""Neo4j that is down at the start and in the middle, or refuses the password: a server of this module's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.neo4j_server import TestServer, cache_folder
from tests.running_service import NOT_SERVING, SERVING, RunningService, start_service
from tests.uploads import add

from mgit.local.distribution import fetch_neo4j
from mgit.local.neo4j import ManagedNeo4j, Neo4jServer, free_port
from mgit_proto.v1 import lineage_pb2, parameters_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class OwnNeo4j:
    """A Neo4j with a password, which tests stop and start."""

    managed: ManagedNeo4j
    running: Neo4jServer

    def server(self, password: str | None = None) -> TestServer:
        given = self.running.password() if password is None else password
        return TestServer(self.running.bolt_uri, self.running.username, given)

    def start(self) -> None:
        """Start it again, at the same ports."""
        self.running = self.managed.start()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnNeo4j]:
    managed = ManagedNeo4j(home=tmp_path_factory.mktemp("own-neo4j"), jars=fetch_neo4j(cache_folder()))
    try:
        yield OwnNeo4j(managed, managed.start(bolt_port=free_port(), http_port=free_port()))
    finally:
        managed.stop()


@contextlib.contextmanager
def started(server: TestServer, store: Path) -> Iterator[RunningService]:
    service = start_service(server, store)
    try:
        yield service
    finally:
        service.stop()


def check_refused(service: RunningService) -> None:
    """Calls of all kinds end at once with UNAVAILABLE, and the status call does not."""
    with service.stubs() as stubs:
        calls = (
            lambda: stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model="m"), timeout=10),
            lambda: stubs.parameters.GetCapabilities(parameters_pb2.GetCapabilitiesRequest(), timeout=10),
            lambda: list(
                stubs.parameters.GetManifest(parameters_pb2.GetManifestRequest(model="m"), timeout=10)
            ),
        )
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call()
            status = rpc_status.from_call(caught.value)
            info = error_details_pb2.ErrorInfo()
            assert any(detail.Unpack(info) for detail in status.details)
            assert (caught.value.code(), info.reason) == (grpc.StatusCode.UNAVAILABLE, "NEO4J_UNAVAILABLE")
    assert not service.status().healthy


def test_a_wrong_password_is_told_by_the_status(own: OwnNeo4j, tmp_path: Path) -> None:
    with started(own.server("wrong password"), tmp_path / "store") as service:
        problem = service.wait_for_problem("NEO4J_CREDENTIALS_WRONG")
        assert "wrong password" not in problem
        assert service.health() == NOT_SERVING
        check_refused(service)
        assert "wrong password" not in service.log.read_text(encoding="utf-8")


def test_the_service_waits_for_neo4j_and_outlives_its_absence(own: OwnNeo4j, tmp_path: Path) -> None:
    """Down at the start, then up, down, and up again: one service recovers by itself each time."""
    server = own.server()
    own.managed.stop()
    with started(server, tmp_path / "store") as service:
        service.wait_for_problem("NEO4J_UNAVAILABLE")
        assert service.health() == NOT_SERVING
        check_refused(service)
        own.start()
        service.wait_for(SERVING)
        with service.stubs() as stubs:
            model = add(stubs, "kept")
        own.managed.stop()
        service.wait_for(NOT_SERVING, 20)
        check_refused(service)
        own.start()
        service.wait_for(SERVING)
        with service.stubs() as stubs:
            found = stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model="kept"), timeout=10)
        assert found.model == model
        messages = [line["message"].partition(":")[0] for line in service.log_lines()]
    heard = [message for message in messages if message in {"serving", "not serving"}]
    assert heard == ["not serving", "serving", "not serving", "serving"]
