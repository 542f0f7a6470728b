"""Processes that run tests: started, told, killed, and gone afterwards; over a service that has no models."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.running_service import wait_until

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.running.digests import RunnableCode, code_digest
from mgit.running.pool import ProcessPool
from mgit.running.processes import ModelTestProcess
from mgit.running.tasks import Task
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason
from mgit_core.model_tests import ModelTestKind

pytestmark = pytest.mark.slow

RUNNABLE = RunnableCode(kind=ModelTestKind.BUILTIN, code="finite", arguments={})
TASK = Task(
    kind=ModelTestKind.BUILTIN,
    code="finite",
    code_digest=code_digest(RUNNABLE, DigestAlgorithm.BLAKE3).hex(),
    arguments={},
    inputs=None,
    model_uid="u",
)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def process(faulty_address: str) -> Iterator[ModelTestProcess]:
    started = ModelTestProcess(Endpoint(address=faulty_address, timeout_s=20))
    yield started
    started.close()


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


def test_what_the_service_refuses_is_an_error_of_the_test(process: ModelTestProcess) -> None:
    for _ in range(2):
        attempt = process.run(TASK, 60.0)
        assert attempt.result.value is None
        assert "It raised InternalError" in attempt.result.error
        assert process.is_alive


def test_code_that_was_changed_since_the_tests_were_planned_does_not_run(process: ModelTestProcess) -> None:
    changed = Task(kind=TASK.kind, code=TASK.code, code_digest="00", arguments={}, inputs=None, model_uid="u")
    result = process.run(changed, 60.0).result
    assert (result.value, result.reason) == (None, ErrorReason.TEST_CODE_CHANGED)


def test_a_process_that_is_closed_leaves_nothing_behind(faulty_address: str, scratch: Path) -> None:
    before = children()
    process = ModelTestProcess(Endpoint(address=faulty_address))
    assert len(children() - before) == 1
    assert len(list(scratch.iterdir())) == 1
    process.close()
    process.close()
    assert not process.is_alive
    assert children() <= before
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(("own", "found"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_threads_that_wait_leave_the_cores_to_others_where_nobody_set_otherwise(
    faulty_address: str, monkeypatch: pytest.MonkeyPatch, own: dict[str, str], found: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    before = children()
    process = ModelTestProcess(Endpoint(address=faulty_address))
    [pid] = children() - before
    assert psutil.Process(pid).environ()["OMP_WAIT_POLICY"] == found
    process.close()


def test_a_kill_from_another_thread_ends_a_run(
    process: ModelTestProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = RunnableCode(kind=ModelTestKind.COMMAND, code="sleep 1000", arguments={})
    task = Task(
        kind=code.kind,
        code=code.code,
        code_digest=code_digest(code, DigestAlgorithm.BLAKE3).hex(),
        arguments={},
        inputs=None,
        model_uid="u",
    )
    killer = threading.Thread(target=process.kill)
    killer.start()
    assert process.run(task, 60.0).result.error != ""
    killer.join()
    assert not process.is_alive
    assert "ended before it had a value" in process.run(task, 60.0).result.error


def test_an_interpreter_that_is_not_there_is_told_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        ModelTestProcess(Endpoint(address="127.0.0.1:1"))
    assert list(scratch.iterdir()) == []


def test_an_interpreter_that_ends_at_once_is_told_with_every_test(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no such module >&2\nexit 7\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    process = ModelTestProcess(Endpoint(address="127.0.0.1:1"))
    attempt = process.run(TASK, 60.0)
    process.close()
    assert "The process for tests did not start" in attempt.result.error
    assert "exit code 7" in attempt.result.error


def test_a_pool_without_tests_starts_nothing(faulty_address: str) -> None:
    before = children()
    pool = ProcessPool(Connection(Endpoint(address=faulty_address)), 4)
    assert list(pool.run([])) == []
    assert children() <= before
    pool.close()


def test_a_worker_whose_starter_goes_away_ends_itself(process: ModelTestProcess, scratch: Path) -> None:
    """What its starter held open is closed, as when the starter is killed."""
    pid = process._process.pid
    assert process._process.stdin is not None
    process._process.stdin.close()
    process._process.wait(60)
    wait_until(lambda: not psutil.pid_exists(pid), "the worker is gone")
    assert list(scratch.iterdir()) == []
