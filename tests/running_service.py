"""The real service as a process of its own, over a real Neo4j and a real folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.neo4j_server import TestServer, empty_graph

from mgit_proto.v1 import (
    audit_pb2_grpc,
    cascade_pb2_grpc,
    compare_pb2_grpc,
    exchange_pb2_grpc,
    lineage_pb2_grpc,
    maintenance_pb2,
    maintenance_pb2_grpc,
    model_tests_pb2_grpc,
    parameters_pb2_grpc,
)

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_STARTED: list[RunningService] = []


def wait_until(holds: Callable[[], object], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Ask again and again until ``holds`` is true; fails after ``timeout_s``."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"{what} within {timeout_s} s"


@dataclass
class RunningService:
    """A service that was started; ``settings`` are its environment."""

    process: subprocess.Popen[bytes]
    log: Path
    store: Path
    settings: dict[str, str]
    address: str = ""
    credentials: grpc.ChannelCredentials | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_lines(self) -> list[dict[str, Any]]:
        return _json_lines(self.log)

    def channel(self, *options: tuple[str, Any]) -> grpc.Channel:
        # A connection that others share would look for a service that starts again only after a while.
        options = (*options, ("grpc.use_local_subchannel_pool", 1))
        if self.credentials is None:
            return grpc.insecure_channel(self.address, options=options)
        return grpc.secure_channel(self.address, self.credentials, options=options)

    @contextlib.contextmanager
    def stubs(self) -> Iterator[Stubs]:
        with self.channel() as channel:
            yield Stubs(channel)

    def health(self, service: str = "") -> int:
        """What the health service says; NOT_SERVING if nobody answers."""
        with self.channel() as channel:
            try:
                stub = health_pb2_grpc.HealthStub(channel)
                return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status
            except grpc.RpcError:
                return NOT_SERVING

    def status(self) -> maintenance_pb2.GetStatusResponse:
        with self.stubs() as stubs:
            return stubs.maintenance.GetStatus(maintenance_pb2.GetStatusRequest(), timeout=5)

    def wait_for(self, status: int, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until health is ``status``, as told by the service's own watch stream."""
        with self.channel() as channel:
            answers = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=timeout_s
            )
            try:
                next(answer for answer in answers if answer.status == status)
            except grpc.RpcError as error:
                raise AssertionError(
                    f"health was not {status}: {self.log.read_text(encoding='utf-8')}"
                ) from error
            answers.cancel()

    def wait_for_problem(self, reason: str) -> str:
        """The problem with this reason, as soon as the status call tells it."""
        found: list[str] = []

        def is_told() -> bool:
            found[:] = [problem for problem in self.status().problems if reason in problem]
            return bool(found)

        wait_until(is_told, f"the status tells {reason}")
        return found[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process gracefully; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End the process at once, without a chance to clean up."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)


class Stubs:
    """The generated stubs over one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.lineage = lineage_pb2_grpc.LineageServiceStub(channel)
        self.parameters = parameters_pb2_grpc.ParameterServiceStub(channel)
        self.maintenance = maintenance_pb2_grpc.MaintenanceServiceStub(channel)
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)
        self.model_tests = model_tests_pb2_grpc.ModelTestServiceStub(channel)
        self.cascades = cascade_pb2_grpc.CascadeServiceStub(channel)
        self.exchange = exchange_pb2_grpc.ExchangeServiceStub(channel)
        self.compare = compare_pb2_grpc.CompareServiceStub(channel)


def _json_lines(log: Path) -> list[dict[str, Any]]:
    whole = log.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def service_environment(server: TestServer, store: Path, **settings: str) -> dict[str, str]:
    """The environment of a service on a free port, without anything of the user's own settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MGIT_", "NEO4J_"))}
    own = {
        "MGIT_LISTEN": "127.0.0.1:0",
        "MGIT_STORE": str(store),
        "NEO4J_URI": server.uri,
        "NEO4J_USERNAME": server.username,
        "NEO4J_PASSWORD": server.password,
        # What a service does by itself would come at moments that no test knows.
        "MGIT_UPKEEP": "off",
    }
    return {**inherited, **own, **settings}


def start_service(server: TestServer, store: Path, **settings: str) -> RunningService:
    """Start the service and wait until it listens; it may not be serving yet.

    Args:
        server: Its Neo4j.
        store: Its folder; the log lies beside it.
        settings: Environment variables besides; they win.
    """
    environment = service_environment(server, store, **settings)
    _refuse_another_store(server, store)
    log = store.with_name(f"{store.name}.log")
    log.touch()
    earlier = len(_json_lines(log))
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mgit_service"],
            env=environment,
            cwd=store.parent,  # A folder without a .env file.
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    service = RunningService(process=process, log=log, store=store, settings=environment)
    _STARTED.append(service)
    end = time.monotonic() + START_TIMEOUT_S
    while not service.address:
        heard = [line for line in service.log_lines()[earlier:] if line["message"] == "listening"]
        if heard:
            service.address = heard[0]["address"]
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            raise AssertionError(f"the service ended: {log.read_text(encoding='utf-8')}")
        assert time.monotonic() < end, log.read_text(encoding="utf-8")
    return service


def _refuse_another_store(server: TestServer, store: Path) -> None:
    """A service that was left running would bind the graph to its own store as soon as a test has emptied it."""
    _STARTED[:] = [service for service in _STARTED if service.process.poll() is None]
    left = [
        service.store
        for service in _STARTED
        if service.settings["NEO4J_URI"] == server.uri and service.store != store
    ]
    assert not left, f"services of other stores still run on {server.uri}: {left}"


@contextlib.contextmanager
def run_service(server: TestServer, store: Path, **settings: str) -> Iterator[RunningService]:
    """A service over ``store`` that is serving; it is stopped at the end, if it still runs.

    One Neo4j holds one graph, bound to one store: empty the graph before another store is used.
    """
    service = start_service(server, store, **settings)
    try:
        service.wait_for(SERVING)
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def service(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service with an empty graph and store for a test module, whose tests use names of their own."""
    empty_graph(neo4j_server)
    with run_service(neo4j_server, tmp_path_factory.mktemp("service") / "store") as running:
        yield running
    empty_graph(neo4j_server)


@pytest.fixture(scope="module")
def stubs(service: RunningService) -> Iterator[Stubs]:
    """Generated stubs over one channel to ``service``."""
    with service.stubs() as opened:
        yield opened
