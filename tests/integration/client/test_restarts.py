"""A service that dies while a model goes in or out: the call waits for it and goes on."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import SERVING, RunningService, start_service, wait_until

import mgit
from mgit.errors import UnavailableError
from mgit.local.neo4j import free_port

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

_TIMEOUT_S = 120.0


class Mortal:
    """A service on one port that is killed and started again."""

    def __init__(self, server: TestServer, store: Path) -> None:
        self._server, self._store = server, store
        self.address = f"127.0.0.1:{free_port()}"
        self.service = self._start()

    def _start(self) -> RunningService:
        service = start_service(self._server, self._store, MGIT_LISTEN=self.address)
        service.wait_for(SERVING)
        return service

    def await_death(self) -> None:
        """Start it again when somebody has killed it."""
        self.service.process.wait(_TIMEOUT_S)
        self.restart()

    def restart(self) -> None:
        self.service.kill()
        self.service = self._start()


@pytest.fixture
def mortal(neo4j_server: TestServer, tmp_path: Path) -> Iterator[Mortal]:
    empty_graph(neo4j_server)
    mortal = Mortal(neo4j_server, tmp_path / "store")
    yield mortal
    mortal.service.stop()
    empty_graph(neo4j_server)


class KillInTheMiddle:
    """A progress callback that has the service killed once, in the middle of the work, and waits for that."""

    def __init__(self, mortal: Mortal, after_bytes: int) -> None:
        self._mortal, self._after_bytes = mortal, after_bytes
        self.restarter = threading.Thread(target=mortal.restart)

    def __call__(self, done_bytes: int, total_bytes: int) -> None:  # noqa: ARG002 - a progress callback
        if done_bytes >= self._after_bytes and self.restarter.ident is None:
            process = self._mortal.service.process
            self.restarter.start()
            process.wait(_TIMEOUT_S)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {f"w{number}": rng.standard_normal((1024, 1024), np.float32) for number in range(12)}
    safetensors.numpy.save_file(arrays, tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_an_upload_outlasts_a_killed_service(mortal: Mortal, weights: Path, tmp_path: Path) -> None:
    killer = KillInTheMiddle(mortal, 16 << 20)
    with mgit.connect(mortal.address) as repo:
        model = repo.add("outlasting", weights, progress=killer)
        killer.restarter.join(_TIMEOUT_S)
        assert killer.restarter.ident is not None
        assert model.addition is not None
        assert model.addition.sent_bytes >= weights.stat().st_size - 4096
        assert [each.ref for each in repo.versions("outlasting")] == ["outlasting@1"]
        assert model.save(tmp_path / "back.safetensors").read_bytes() == weights.read_bytes()


def test_a_download_outlasts_a_killed_service(mortal: Mortal, weights: Path, tmp_path: Path) -> None:
    with mgit.connect(mortal.address) as repo:
        model = repo.add("outlasting", weights)
        killer = KillInTheMiddle(mortal, 16 << 20)
        saved = model.save(tmp_path / "back.safetensors", progress=killer)
        killer.restarter.join(_TIMEOUT_S)
        assert killer.restarter.ident is not None
        assert saved.read_bytes() == weights.read_bytes()


def test_a_call_right_after_a_restart_is_answered_whoever_knocked_before(mortal: Mortal) -> None:
    """Calls that failed meanwhile have the client pause before it connects again; a call's repeats outlast the pause."""
    is_over = threading.Event()

    def knock() -> None:
        with mgit.connect(mortal.address) as repo:
            while not is_over.wait(0.02):
                with contextlib.suppress(UnavailableError):
                    list(repo.models())

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        with mgit.connect(mortal.address) as repo:
            for _ in range(3):
                mortal.restart()
                assert list(repo.models()) == []
    finally:
        is_over.set()
        knocking.join(_TIMEOUT_S)


_KILLERS = """
import os, pathlib, signal

def kill_once(model, folder):
    kill(folder)
    return float(model["w"][0])

def make(parents, *, folder):
    kill(folder)
    return {"w": parents[0].load(progress=None)["w"] + 1}

def kill(folder):
    pid = pathlib.Path(folder, "pid")
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)
        pid.unlink()
"""
"""What a user might have written, but that it kills the service, if its number is written down, before it reads."""


@pytest.fixture
def killers(mortal: Mortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of the module whose functions kill the service once."""
    (tmp_path / "killers.py").write_text(_KILLERS)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "pid").write_text(str(mortal.service.process.pid))
    return "killers"


def test_a_test_that_lost_the_service_begins_anew(mortal: Mortal, killers: str, tmp_path: Path) -> None:
    """That the service was away says nothing of a model."""
    with mgit.connect(mortal.address) as repo:
        repo.add("tested", {"w": np.full(4, 3, np.float32)}, progress=None)
        repo.tests.register(
            "first", f"{killers}:kill_once", model="tested", arguments={"folder": str(tmp_path)}
        )
        restarter = threading.Thread(target=mortal.await_death)
        restarter.start()
        [run] = repo.tests.run(models=["tested"], progress=None)
        restarter.join(_TIMEOUT_S)
        assert not (tmp_path / "pid").exists()
        assert (run.result.value, run.result.error) == (3.0, "")
        assert [result.value for result in repo.tests.results(model="tested")] == [3.0]


def test_a_service_that_stays_away_is_no_result_of_a_test(
    mortal: Mortal, killers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgit.connection._PATIENCE_S", 0.3)
    monkeypatch.setattr("mgit.connection._FIRST_PATIENCE_S", 0.3)
    with mgit.connect(mortal.address) as repo:
        repo.add("tested", {"w": np.full(4, 3, np.float32)}, progress=None)
        repo.tests.register(
            "first", f"{killers}:kill_once", model="tested", arguments={"folder": str(tmp_path)}
        )
        with pytest.raises(UnavailableError, match="mgit up"):
            list(repo.tests.run(models=["tested"], progress=None))
        mortal.restart()
        assert list(repo.tests.results(model="tested")) == []


def test_a_creation_function_that_lost_the_service_is_not_what_failed(
    mortal: Mortal, killers: str, tmp_path: Path
) -> None:
    with mgit.connect(mortal.address) as repo:
        base = repo.add("base", {"w": np.full(4, 3, np.float32)}, progress=None)
        asked = {"name": "made", "parents": [mgit.finetuned(base)], "arguments": {"folder": str(tmp_path)}}
        with pytest.raises(UnavailableError, match="mgit up"):
            repo.create(f"{killers}:make", progress=None, **asked)
        mortal.restart()
        made = repo.create(f"{killers}:make", progress=None, **asked)
        assert made.load(progress=None)["w"].tolist() == [4.0] * 4


def test_an_interrupted_upload_goes_on_where_it_ended(mortal: Mortal, weights: Path) -> None:
    def interrupt(done_bytes: int, total_bytes: int) -> None:  # noqa: ARG001 - a progress callback
        if done_bytes >= 24 << 20:
            raise InterruptedError

    with mgit.connect(mortal.address) as repo:
        with pytest.raises(InterruptedError):
            repo.add("interrupted", weights, progress=interrupt)
        assert list(repo.models("interrupted")) == []
        # What was verified is sealed when the service has noticed that the stream ended.
        wait_until(lambda: repo.statistics().chunks >= 16, "the sent chunks are kept")
        model = repo.add("interrupted", weights)
        assert model.addition is not None
        assert model.addition.sent_bytes <= weights.stat().st_size - (16 << 20)


def test_a_service_that_stays_away_is_told_in_the_end(
    mortal: Mortal, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgit.connection._FIRST_PATIENCE_S", 0.3)
    with mgit.connect(mortal.address) as repo:
        model = repo.add("alone", weights)
        mortal.service.kill()
        with pytest.raises(UnavailableError, match="mgit up"):
            model.save(tmp_path / "back.safetensors")
        with pytest.raises(UnavailableError, match="mgit up"):
            repo.add("alone", weights)
    assert not (tmp_path / "back.safetensors").exists()
    mortal.service = start_service(mortal._server, mortal._store, MGIT_LISTEN=mortal.address)


_ADD_UNTIL_HALF = """
import sys, mgit

def tell(done_bytes, total_bytes):
    if done_bytes >= 24 << 20:
        print("half", flush=True)
        sys.stdin.readline()

mgit.connect(sys.argv[1]).add("signaled", sys.argv[2], progress=tell)
"""


def test_an_interrupt_from_the_keyboard_ends_at_once_and_can_be_resumed(
    mortal: Mortal, weights: Path
) -> None:
    command = [sys.executable, "-c", _ADD_UNTIL_HALF, mortal.address, str(weights)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "half\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(_TIMEOUT_S) != 0
        assert child.stderr is not None
        assert child.stderr.read().rstrip().endswith("KeyboardInterrupt")
    with mgit.connect(mortal.address) as repo:
        wait_until(lambda: repo.statistics().chunks >= 16, "the sent chunks are kept")
        model = repo.add("signaled", weights)
        assert model.version == 1
        assert model.addition is not None
        assert model.addition.sent_bytes <= weights.stat().st_size - (16 << 20)
