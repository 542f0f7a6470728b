"""A service that dies while a model goes in or out: the call waits for it and goes on."""

from __future__ import annotations

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
