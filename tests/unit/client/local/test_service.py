from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from mgit.local import service
from mgit.local.ports import LOOPBACK, free_port
from mgit.local.process import start_detached
from mgit.local.service import ServiceHealth, _refusal, ask_health, start_service, wait_until_serving
from mgit_core.errors import ErrorReason, FailedPreconditionError, UnauthenticatedError, UnavailableError


@pytest.fixture
def nowhere() -> str:
    return f"{LOOPBACK}:{free_port()}"


def test_a_problem_is_an_error_by_the_reason_at_its_end() -> None:
    health = ServiceHealth(
        is_serving=False, problems=("Neo4j refused (so to say) it. (NEO4J_CREDENTIALS_WRONG)",)
    )
    refusal = _refusal(health)

    assert isinstance(refusal, UnauthenticatedError)
    assert refusal.reason is ErrorReason.NEO4J_CREDENTIALS_WRONG
    assert refusal.message == "Neo4j refused (so to say) it."


@pytest.mark.parametrize("problem", ["Something is wrong.", "Something is wrong. (OF_A_LATER_VERSION)"])
def test_a_problem_without_a_known_reason_is_told_as_it_is(problem: str) -> None:
    refusal = _refusal(ServiceHealth(is_serving=False, problems=(problem,)))

    assert isinstance(refusal, UnavailableError)
    assert (refusal.reason, refusal.message) == (ErrorReason.SERVICE_UNAVAILABLE, problem)


@pytest.mark.slow
def test_where_nobody_answers_health_says_so(nowhere: str) -> None:
    health = ask_health(nowhere, timeout_s=0.2)

    assert not health.is_serving
    assert nowhere in health.problems[0]


@pytest.mark.slow
def test_health_is_asked_on_a_connection_of_its_own(nowhere: str) -> None:
    """One that was refused a moment ago, for somebody else in this process, is no answer."""
    with grpc.insecure_channel(nowhere) as refused:
        with pytest.raises(grpc.RpcError, match="connect"):
            health_pb2_grpc.HealthStub(refused).Check(health_pb2.HealthCheckRequest(), timeout=5)
        server = grpc.server(ThreadPoolExecutor(1))
        health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
        server.add_insecure_port(nowhere)
        server.start()
        try:
            health = ask_health(nowhere)
        finally:
            server.stop(None).wait()

    assert "Method not found!" in health.problems[0], "a server without our own services answers so"


@pytest.mark.slow
def test_a_service_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path: Path, nowhere: str) -> None:
    log = tmp_path / "service.log"
    process = start_detached(["/bin/sh", "-c", "echo no such store; exit 1"], {}, log)

    with pytest.raises(FailedPreconditionError, match="no such store") as caught:
        wait_until_serving(process, nowhere, log, heal_timeout_s=1)

    assert caught.value.reason is ErrorReason.SERVICE_START_FAILED


@pytest.mark.slow
def test_a_service_inherits_nothing_of_another_neo4j(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "service_command", lambda: ["/usr/bin/env"])
    log = tmp_path / "service.log"
    inherited = {
        "NEO4J_DATABASE": "other",
        "MGIT_TOKEN": "t0ken",
        "MGIT_TLS_KEY": "key",
        "MGIT_DIGEST": "sha256",
        "MGIT_AUDIT": "on",
    }

    process = start_service({"NEO4J_URI": "bolt://own"}, inherited, log)
    with pytest.raises(FailedPreconditionError):
        wait_until_serving(process, f"{LOOPBACK}:1", log, heal_timeout_s=1)

    told = set(log.read_text(encoding="utf-8").splitlines())
    assert told >= {"NEO4J_URI=bolt://own", "MGIT_DIGEST=sha256", "MGIT_AUDIT=on"}
    assert not any(line.startswith(("NEO4J_DATABASE", "MGIT_TOKEN", "MGIT_TLS_KEY")) for line in told)


def test_a_log_that_grew_large_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_MAX_LOG_BYTES", 10)
    monkeypatch.setattr(service, "service_command", lambda: ["/bin/true"])
    log = tmp_path / "service.log"
    log.write_text("a line that is long enough\n", encoding="utf-8")

    process = start_service({}, {}, log)
    process.stop(10)

    assert (tmp_path / "service.log.1").read_text(encoding="utf-8") == "a line that is long enough\n"
