"""A service that is serving: health, status, reflection, logs, deadlines."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import neo4j
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.neo4j_server import TestServer
from tests.running_service import SERVING, RunningService
from tests.uploads import add

from mgit_proto.v1 import lineage_pb2, maintenance_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

SERVICES = [
    f"mgit.v1.{name}Service"
    for name in (
        "Lineage",
        "Parameter",
        "Maintenance",
        "Compare",
        "ModelTest",
        "Audit",
        "Cascade",
        "Exchange",
    )
]


def test_each_service_is_serving(service: RunningService) -> None:
    assert [service.health(name) for name in ("", *SERVICES)] == [SERVING] * 9


def test_status_tells_versions_and_the_store(service: RunningService) -> None:
    status = service.status()
    assert (status.healthy, list(status.problems), status.digest_algorithm) == (True, [], "blake3")
    assert status.neo4j_version.startswith("5.")
    assert (status.neo4j_edition, status.epoch) == ("community", 1)
    assert len(status.store_id) == 36


def test_reflection_lists_the_services(service: RunningService) -> None:
    with service.channel() as channel:
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        [answer] = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
    names = {found.name for found in answer.list_services_response.service}
    assert names == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_a_check_from_the_command_line_agrees(service: RunningService, tmp_path: Path) -> None:
    def check(address: str) -> int:
        return subprocess.run(
            [sys.executable, "-m", "mgit_service", "--check"],
            env={**service.settings, "MGIT_LISTEN": address},
            cwd=tmp_path,
            capture_output=True,
            timeout=30,
            check=False,
        ).returncode

    assert check(service.address) == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        free = silent.getsockname()[1]
    assert check(f"127.0.0.1:{free}") == 1


def test_a_call_is_logged_with_its_request_id(service: RunningService) -> None:
    with service.stubs() as stubs:
        call = stubs.maintenance.GetStatus
        _, answer = call.with_call(
            maintenance_pb2.GetStatusRequest(), metadata=(("x-request-id", "look-for-me"),)
        )
    assert dict(answer.trailing_metadata())["x-request-id"] == "look-for-me"
    [line] = [line for line in service.log_lines() if line.get("request_id") == "look-for-me"]
    assert (line["method"], line["code"]) == ("/mgit.v1.MaintenanceService/GetStatus", "OK")


def test_a_deadline_that_passes_in_the_middle_changes_nothing(
    service: RunningService, neo4j_server: TestServer
) -> None:
    """The change waits for a lock that this test holds until the caller's time is over."""
    with service.stubs() as stubs, contextlib.ExitStack() as stack:
        add(stubs, "deadline/model")
        driver = stack.enter_context(
            neo4j.GraphDatabase.driver(neo4j_server.uri, auth=(neo4j_server.username, neo4j_server.password))
        )
        lock = stack.enter_context(stack.enter_context(driver.session()).begin_transaction())
        lock.run("MATCH (n) WHERE n:Model OR n:ModelName OR n:Tag SET n.held = true").consume()
        request = lineage_pb2.PutTagRequest(model="deadline/model", tag="late")
        with pytest.raises(grpc.RpcError) as caught:
            stubs.lineage.PutTag(request, timeout=1, metadata=(("x-request-id", "late"),))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        lock.rollback()
        tags = stubs.lineage.ListTags(lineage_pb2.ListTagsRequest(name="deadline/model")).tags
    assert not tags
    [line] = [line for line in service.log_lines() if line.get("request_id") == "late"]
    assert line["code"] == "DEADLINE_EXCEEDED"
