"""The service as a process: start, stop, wrong stores, security; each test with a service of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from tests.certificates import make_certificate
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import (
    NOT_SERVING,
    SERVING,
    RunningService,
    run_service,
    service_environment,
    start_service,
    wait_until,
)
from tests.uploads import add

from mgit_proto.v1 import lineage_pb2, maintenance_pb2, parameters_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

TOKEN = "correct horse"  # noqa: S105 - of these tests


@pytest.fixture
def empty_server(neo4j_server: TestServer) -> Iterator[TestServer]:
    empty_graph(neo4j_server)
    yield neo4j_server
    empty_graph(neo4j_server)


def reason_of(error: grpc.RpcError) -> str:
    status = rpc_status.from_call(error)
    assert status is not None, error
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info.reason


def refused_start(server: TestServer, store: Path, **settings: str) -> str:
    """The one line that a start ends with; it must be the only output."""
    done = subprocess.run(
        [sys.executable, "-m", "mgit_service"],
        env=service_environment(server, store, **settings),
        cwd=store.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    return line


class TestStart:
    """Refusals, each before anything was started."""

    def test_a_port_in_use_is_said_in_one_line(self, neo4j_server: TestServer, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = refused_start(neo4j_server, tmp_path / "store", MGIT_LISTEN=f"127.0.0.1:{port}")
        assert "PORT_IN_USE" in line
        assert str(port) in line

    def test_a_plaintext_bind_beyond_loopback_is_refused(
        self, neo4j_server: TestServer, tmp_path: Path
    ) -> None:
        line = refused_start(neo4j_server, tmp_path / "store", MGIT_LISTEN="0.0.0.0:0", MGIT_TOKEN=TOKEN)
        assert "INSECURE_BIND" in line
        assert TOKEN not in line
        assert not (tmp_path / "store").exists()

    def test_a_store_that_cannot_be_one_is_refused(self, neo4j_server: TestServer, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("a file", encoding="utf-8")
        assert "STORE_UNAVAILABLE" in refused_start(neo4j_server, tmp_path / "store")

    def test_a_damaged_root_object_is_refused(self, neo4j_server: TestServer, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / "root.json").write_text("{", encoding="utf-8")
        assert "MANIFEST_CORRUPT" in refused_start(neo4j_server, tmp_path / "store")

    def test_an_address_of_neo4j_that_is_none_is_refused(
        self, neo4j_server: TestServer, tmp_path: Path
    ) -> None:
        assert "INVALID_ARGUMENT" in refused_start(neo4j_server, tmp_path / "store", NEO4J_URI="nonsense")

    def test_certificates_that_are_not_there_are_refused(
        self, neo4j_server: TestServer, tmp_path: Path
    ) -> None:
        line = refused_start(neo4j_server, tmp_path / "store", MGIT_TLS_CERT="no", MGIT_TLS_KEY="no")
        assert "INVALID_ARGUMENT" in line


def test_a_stop_ends_the_process_and_a_start_finds_what_was_stored(
    empty_server: TestServer, tmp_path: Path
) -> None:
    with run_service(empty_server, tmp_path / "store") as service:
        with service.stubs() as stubs:
            model = add(stubs, "kept")
        assert service.stop() == 0
        assert service.log_lines()[-1]["message"] == "stopped"
    with run_service(empty_server, tmp_path / "store") as service, service.stubs() as stubs:
        assert stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model="kept")).model == model
        assert service.stop(signal.SIGINT) == 0


def test_a_stop_lets_a_running_call_end(empty_server: TestServer, tmp_path: Path) -> None:
    """A download of more than the windows hold is begun; the signal comes; the rest still arrives."""
    tensor = np.random.default_rng(7).standard_normal(6 << 20).astype(np.float32)
    with run_service(empty_server, tmp_path / "store") as service, service.stubs() as stubs:
        add(stubs, "large", tensors={"x": tensor})
        request = parameters_pb2.DownloadModelRequest(model="large", parameters=True)
        answers = stubs.parameters.DownloadModel(request)
        next(answers)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: service.health() == NOT_SERVING, "a stopping service is not serving")
        assert b"".join(answer.data for answer in answers) == tensor.tobytes()
        service.process.wait(30)
    assert service.process.returncode == 0


def test_a_second_signal_ends_running_calls_at_once(empty_server: TestServer, tmp_path: Path) -> None:
    """A watch of the health never ends by itself; a stop would wait for it for ten minutes here."""
    with (
        run_service(empty_server, tmp_path / "store", MGIT_GRACE_SECONDS="600") as service,
        service.channel() as channel,
    ):
        answers = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(answers).status == SERVING
        service.process.send_signal(signal.SIGTERM)
        assert next(answers).status == NOT_SERVING
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
        with pytest.raises(grpc.RpcError):
            next(answers)


def test_a_graph_of_another_store_is_refused_and_neither_is_changed(
    empty_server: TestServer, tmp_path: Path
) -> None:
    with run_service(empty_server, tmp_path / "first") as service, service.stubs() as stubs:
        add(stubs, "mine")
    other = start_service(empty_server, tmp_path / "second")
    try:
        other.wait_for_problem("STORE_MISMATCH")
        assert other.health() == NOT_SERVING
        with other.stubs() as stubs, pytest.raises(grpc.RpcError) as caught:
            stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model="mine"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert reason_of(caught.value) == "STORE_MISMATCH"
    finally:
        other.stop()
    with run_service(empty_server, tmp_path / "first") as service, service.stubs() as stubs:
        stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model="mine"))


def test_a_store_that_vanished_is_not_served_until_it_is_back(
    empty_server: TestServer, tmp_path: Path
) -> None:
    with run_service(empty_server, tmp_path / "store") as service, service.stubs() as stubs:
        add(stubs, "model")
        (tmp_path / "store").rename(tmp_path / "elsewhere")
        service.wait_for(NOT_SERVING)
        assert "STORE_UNAVAILABLE" in service.status().problems[0]
        assert str(tmp_path) not in service.status().problems[0]
        with pytest.raises(grpc.RpcError) as caught:
            stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model="model"), timeout=10)
        assert (caught.value.code(), reason_of(caught.value)) == (
            grpc.StatusCode.UNAVAILABLE,
            "STORE_UNAVAILABLE",
        )
        (tmp_path / "elsewhere").rename(tmp_path / "store")
        service.wait_for(SERVING)
        stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model="model"), timeout=10)


def test_tls_and_token_work_together_and_are_required(empty_server: TestServer, tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    service = start_service(
        empty_server,
        tmp_path / "store",
        MGIT_REFLECTION="off",
        MGIT_TOKEN=TOKEN,
        MGIT_TLS_CERT=str(made.certificate),
        MGIT_TLS_KEY=str(made.key),
    )
    try:
        service.credentials = grpc.ssl_channel_credentials(made.certificate.read_bytes())
        service.wait_for(SERVING)
        _check_secured(service)
        checked = subprocess.run(
            [sys.executable, "-m", "mgit_service", "--check"],
            env={**service.settings, "MGIT_LISTEN": service.address},
            cwd=tmp_path,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr
    finally:
        service.stop()
    assert TOKEN not in service.log.read_text(encoding="utf-8")


def _check_secured(service: RunningService) -> None:
    request = maintenance_pb2.GetStatusRequest()
    with service.stubs() as stubs:
        for metadata, reason in (
            ((), "TOKEN_MISSING"),
            ((("authorization", "Bearer wrong"),), "TOKEN_WRONG"),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                stubs.maintenance.GetStatus(request, metadata=metadata, timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert reason_of(caught.value) == reason
        authorized = (("authorization", f"Bearer {TOKEN}"),)
        assert stubs.maintenance.GetStatus(request, metadata=authorized, timeout=10).healthy
    with grpc.insecure_channel(service.address) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/mgit.v1.MaintenanceService/GetStatus")(b"", metadata=authorized, timeout=5)
    with service.channel() as channel:
        questions = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.RpcError) as hidden:
            list(stub.ServerReflectionInfo(questions, metadata=authorized))
    assert hidden.value.code() is grpc.StatusCode.UNIMPLEMENTED
