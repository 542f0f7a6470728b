"""The local stack with a real Neo4j and the real service."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine, end_of
from tests.running_service import SERVING

import mgit
from mgit.local.stack import LocalStack

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A home of its own, for tests that break what runs in it."""
    command_line = CommandLine(tmp_path_factory.mktemp("other") / "home")
    yield command_line
    command_line.run("down")


def is_running(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_ended(pid: int) -> None:
    end = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < end, f"process {pid} did not end"


def process_arguments(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_two_callers_at_once_start_one_stack_beside_another_one(
    stack: CommandLine, other: CommandLine
) -> None:
    callers = [other.start("up", "--output", "json") for _ in range(2)]
    ends = [end_of(caller) for caller in callers]

    assert [ended.code for ended in ends] == [0, 0], [ended.err for ended in ends]
    first, second = (ended.document for ended in ends)
    assert first == second
    beside = stack.json("status")
    assert beside["healthy"]
    assert {beside["address"], beside["neo4j_uri"]}.isdisjoint({first["address"], first["neo4j_uri"]})
    assert other.json("status")["healthy"]


def test_up_again_leaves_alone_what_runs(stack: CommandLine) -> None:
    before = stack.json("status")

    again = stack.run("up", "--output", "json")

    assert again.code == 0
    assert again.document["address"] == before["address"]
    assert stack.json("status")["pids"] == before["pids"]


def test_up_starts_a_service_of_another_version_anew(other: CommandLine) -> None:
    """After an update of the package the old service still runs."""
    before = other.json("up")
    pids = other.json("status")["pids"]

    with mock.patch.object(sys.modules[LocalStack.__module__], "version", return_value="999.0.0"):
        after = other.json("up")

    assert after["address"] == before["address"]
    now = other.json("status")["pids"]
    assert now["neo4j"] == pids["neo4j"]
    assert now["service"] != pids["service"]


def test_status_says_where_everything_is(stack: CommandLine) -> None:
    status = stack.json("status")

    assert status["browser_url"].startswith("http://127.0.0.1:")
    assert f"dbms=bolt://neo4j@{status['neo4j_uri'].removeprefix('bolt://')}" in status["browser_url"]
    assert Path(status["logs"]["service"]).is_file()
    assert Path(status["logs"]["neo4j"]).is_file()
    assert status["versions"]["neo4j"].startswith("5.26.")
    assert status["problems"] == []
    assert Path(status["store"]).is_dir()
    assert stack.quiet("status") == [status["address"]]


def test_the_password_is_random_and_only_its_owner_reads_it(stack: CommandLine, other: CommandLine) -> None:
    files = [Path(each.json("status")["password_file"]) for each in (stack, other)]
    words = [file.read_text(encoding="utf-8").strip() for file in files]

    assert words[0] != words[1]
    assert all(len(word) >= 32 for word in words)
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700


def test_the_password_stands_in_no_command_line_log_or_answer(stack: CommandLine) -> None:
    status = stack.json("status")
    word = Path(status["password_file"]).read_text(encoding="utf-8").strip()
    logs = [Path(path).read_text(encoding="utf-8") for path in status["logs"].values()]

    shown = [*map(process_arguments, status["pids"].values()), *logs, stack.run("browser", "--print").err]

    assert not any(word in text for text in shown)


def test_browser_gives_the_page_and_says_where_the_password_lies(stack: CommandLine) -> None:
    ended = stack.run("browser", "--print")

    assert ended.lines == [stack.json("status")["browser_url"]]
    assert stack.json("status")["password_file"] in ended.err


def test_after_a_kill_of_both_processes_up_heals_the_stack(other: CommandLine, tmp_path: Path) -> None:
    other.json("up")
    save_file({"weight": np.ones(8, np.float32)}, tmp_path / "one.safetensors")
    other.json("add", str(tmp_path / "one.safetensors"), "--name", "kept")
    pids = other.json("status")["pids"]
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)

    broken = other.run("status", "--output", "json")
    assert broken.code == 1
    assert not broken.document["healthy"]
    assert other.run("ls").code == 5

    assert other.json("up")["healthy"]
    assert set(other.json("status")["pids"].values()).isdisjoint(pids.values())
    assert other.quiet("ls") == ["kept@1"]
    assert other.json("get", "kept", "--to", str(tmp_path / "back.safetensors"))["ref"] == "kept@1"


def test_a_stopped_neo4j_is_told_and_started_again(other: CommandLine) -> None:
    other.json("up")
    pid = other.json("status")["pids"]["neo4j"]
    os.kill(pid, signal.SIGTERM)
    wait_until_ended(pid)

    assert other.run("status").code == 1
    assert other.json("up")["healthy"]


def test_down_ends_both_and_may_be_repeated(other: CommandLine) -> None:
    other.json("up")
    pids = other.json("status")["pids"].values()

    assert other.json("down")["stopped"] is True
    assert not any(is_running(pid) for pid in pids)
    assert other.json("down")["stopped"] is False
    assert other.run("status").code == 1


def test_a_neo4j_that_is_named_is_used_and_left_alone(stack: CommandLine, tmp_path: Path) -> None:
    own = stack.json("status")
    guest = CommandLine(
        tmp_path / "guest",
        {
            "NEO4J_URI": own["neo4j_uri"],
            "NEO4J_PASSWORD": Path(own["password_file"]).read_text(encoding="utf-8").strip(),
            "MGIT_STORE": own["store"],
        },
    )
    up = guest.json("up")

    assert up["neo4j_uri"] == own["neo4j_uri"]
    status = guest.json("status")
    assert (status["pids"]["neo4j"], status["password_file"], status["logs"]["neo4j"]) == (None, None, None)
    assert guest.run("browser").code == 3
    assert not (tmp_path / "guest" / "neo4j").exists()
    assert guest.json("down")["stopped"] is True
    assert stack.json("status")["healthy"]


def test_a_wrong_password_is_told(stack: CommandLine, tmp_path: Path) -> None:
    own = stack.json("status")
    guest = CommandLine(
        tmp_path / "guest",
        {"NEO4J_URI": own["neo4j_uri"], "NEO4J_PASSWORD": "wrong", "MGIT_STORE": own["store"]},
    )
    up = guest.run("up", "--output", "json")

    assert up.code == 7
    assert up.error["reason"] == "NEO4J_CREDENTIALS_WRONG"
    assert "NEO4J_PASSWORD" in up.error["message"]
    assert guest.run("status").code == 1


def test_a_graph_of_another_store_is_refused(stack: CommandLine, tmp_path: Path) -> None:
    own = stack.json("status")
    guest = CommandLine(
        tmp_path / "guest",
        {
            "NEO4J_URI": own["neo4j_uri"],
            "NEO4J_PASSWORD": Path(own["password_file"]).read_text(encoding="utf-8").strip(),
        },
    )
    up = guest.run("up", "--output", "json")

    assert up.code == 4
    assert up.error["reason"] == "STORE_MISMATCH"


def test_a_service_port_that_is_in_use_is_told(stack: CommandLine, tmp_path: Path) -> None:
    own = stack.json("status")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        guest = CommandLine(
            tmp_path / "guest",
            {"NEO4J_URI": own["neo4j_uri"], "NEO4J_PASSWORD": "any", "MGIT_LISTEN": listen},
        )
        up = guest.run("up", "--output", "json")

    assert up.code == 5
    assert up.error["reason"] == "PORT_IN_USE"


@pytest.mark.parametrize("listen", ["0.0.0.0:50099", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "host:x"])
def test_a_local_stack_listens_on_loopback_only(listen: str, stack: CommandLine, tmp_path: Path) -> None:
    own = stack.json("status")
    guest = CommandLine(
        tmp_path / "guest", {"NEO4J_URI": own["neo4j_uri"], "NEO4J_PASSWORD": "any", "MGIT_LISTEN": listen}
    )
    up = guest.run("up", "--output", "json")

    assert up.code == 2
    assert "127.0.0.1:PORT" in up.error["message"]


def test_without_maven_the_three_ways_to_a_neo4j_are_named(tmp_path: Path) -> None:
    command_line = CommandLine(
        tmp_path / "home",
        {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
    )
    up = command_line.run("up", "--output", "json")

    assert up.code == 5
    assert up.error["reason"] == "MAVEN_MISSING"
    assert all(way in up.error["message"] for way in ("Maven", "docker compose", "NEO4J_URI"))


def test_the_sdk_finds_the_stack_that_runs(stack: CommandLine) -> None:
    with mock.patch.dict(os.environ, stack.environment({}), clear=True), mgit.local(stack.home) as repository:
        assert repository.status().healthy
        assert repository.address == stack.json("status")["address"]


def test_serve_runs_the_service_in_the_foreground(stack: CommandLine) -> None:
    own = stack.json("status")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    serving = stack.start("serve", "--listen", listen)
    try:
        _wait_until_serving(listen)
        asked = stack.run("--address", listen, "status", "--output", "json")
        assert (asked.document["address"], asked.document["healthy"]) == (listen, True)
    finally:
        serving.send_signal(signal.SIGTERM)
        ended = end_of(serving)
    assert ended.code == 0, ended.err
    assert stack.json("status")["pids"] == own["pids"]


def _wait_until_serving(address: str) -> None:
    """By one stream: a line in the log for every question would fill the pipe that nobody reads, and block the service."""
    with grpc.insecure_channel(address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch
        answers = watch(health_pb2.HealthCheckRequest(), timeout=120, wait_for_ready=True)
        assert any(answer.status == SERVING for answer in answers)


def test_serve_without_a_neo4j_is_told(tmp_path: Path) -> None:
    ended = CommandLine(tmp_path / "home").run("serve")

    assert ended.code == 5
    assert "'mgit up' starts one" in ended.err
