"""Kills a worker, the client or the service with SIGKILL in the middle of an update, and checks what is left.

The laws: at every moment either all models of the family are the old versions or all are the new ones; after a resume
each model was made anew once, from the right parents, and reads back as its function makes it; what was finished
before the kill is not made again, and nothing is made more often than it was interrupted.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import neo4j
import numpy as np
from tests.neo4j_server import TestServer
from tests.running_service import SERVING, RunningService, start_service, wait_until
from tests.updating_world import MODULE

import mgit
from mgit.local.neo4j import free_port
from mgit.updating import CascadeState, StepState, Update

ITEMS = 1 << 18
"""Of each model, so that an upload takes some time."""
TIMEOUT_S = 300.0
FAMILY = {"left": ["base"], "right": ["base"], "tip": ["left", "right"], "small": ["tip"]}
"""Parents by model; every function adds one to the sum of its parents."""
MERGED = {"mean": ["left", "right"]}
"""Sides by merge, which is made by the service: the mean of both."""
MODELS = FAMILY | MERGED
TEST = "is-small"
_LOOK_S = 0.02  # Between looks, so that what is looked at gets on.
_MODULE = "recipes_of_killed_updates"


@dataclass
class Attack:
    """An update that runs until somebody is killed.

    Attributes:
        series: What it runs in.
        started_at: When it began, monotonic.
        clients: Processes at work: the client that started it, and a worker where there is one.
        before: Runs of functions before it began.
    """

    series: CascadeSeries
    started_at: float
    clients: list[subprocess.Popen[bytes]]
    before: Counter[str]

    @property
    def runs(self) -> Counter[str]:
        """Runs of functions since it began."""
        return self.series.runs - self.before

    @property
    def is_over(self) -> bool:
        """Whether the client has ended by itself."""
        return self.clients[0].poll() is not None


Moment = Callable[[Attack], bool]
"""Whether somebody dies now; asked again and again."""


def when_made(*names: str) -> Moment:
    """When the functions of all these models run, or have run."""
    return lambda attack: all(attack.runs[name] for name in names)


def after_seconds(seconds: float) -> Moment:
    """A time after the beginning."""
    return lambda attack: time.monotonic() - attack.started_at >= seconds


def when_sent(attack: Attack) -> bool:
    """When a first model has been sent, in part or as a whole."""
    return any((attack.series.service.store / "tmp").iterdir()) or attack.series.grew


def when_staged(attack: Attack) -> bool:
    """When tests of a first model are left."""
    with mgit.connect(attack.series.address) as repo:
        update = attack.series.update(repo)
        return update is not None and any(step.state is StepState.STAGED for step in update.steps)


@dataclass
class CascadeSeries:
    """One family over many updates, each with a kill.

    Attributes:
        server: The graph.
        folder: Holds store and creation functions.
        version: The version that every model of the family has.
    """

    server: TestServer
    folder: Path
    version: int = 1
    watcher: Watcher | None = None
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    _service: RunningService | None = None
    _packs: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        (self.folder / f"{_MODULE}.py").write_text(MODULE)
        try:
            self.start_service()
            self._add_family()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _add_family(self) -> None:
        # The functions are imported from the current folder.
        with contextlib.chdir(self.folder), mgit.connect(self.address) as repo:
            repo.add("base", weights(0), progress=None)
            for name, parents in FAMILY.items():
                repo.add(
                    name,
                    weights(value_of(name, 0)),
                    parents=[mgit.finetuned(parent) for parent in parents],
                    created_by=f"{_MODULE}:add",
                    arguments={"name": name, "amount": 1},
                    type="family",
                    progress=None,
                )
            for name, sides in MERGED.items():
                repo.merge(*sides, name=name, on_conflict="average", accept=True, progress=None)
            repo.tests.register(TEST, f"{_MODULE}:first_is_small", type="family")

    def __exit__(self, *_: object) -> None:
        if self._service is not None:
            self._service.stop()

    @property
    def service(self) -> RunningService:
        """The service that runs now."""
        assert self._service is not None
        return self._service

    @property
    def runs(self) -> Counter[str]:
        """How often each creation function ran."""
        log = self.folder / "runs.log"
        return Counter(log.read_text().split()) if log.exists() else Counter()

    @property
    def grew(self) -> bool:
        """Whether the store got a pack since the update began."""
        return frozenset(path.name for path in (self.service.store / "packs").rglob("*")) > self._packs

    def start_service(self) -> None:
        """Start the service, where it was before."""
        self._service = start_service(self.server, self.folder / "store", MGIT_LISTEN=self.address)
        self._service.wait_for(SERVING)

    def run(self, victim: str, moment: Moment, *gates: str) -> float:
        """Update the family, kill ``victim`` at ``moment`` or when the update is over, finish it, check every law.

        Args:
            victim: ``client``, ``worker`` or ``service``.
            moment: When.
            gates: What stands still until the kill: names of models, or ``test``.

        Returns:
            Seconds from the beginning to the kill.
        """
        for gate in gates:
            os.mkfifo(self.folder / f"gate-{gate}")
        with mgit.connect(self.address) as repo, Watcher(self) as watcher:
            repo.add("base", weights(self.version), progress=None)
            attack = self._begin(with_worker=victim == "worker")
            wait_until(lambda: moment(attack) or attack.is_over, "the moment of the kill", TIMEOUT_S)
            lived_s = time.monotonic() - attack.started_at
            self._kill(victim, attack)
            finished = self._finished(repo)
            at_kill = attack.runs
            for gate in gates:
                open_gate(self.folder / f"gate-{gate}")
            self._finish(repo, victim, attack)
            again = attack.runs
            assert {name: again[name] for name in finished} == {name: at_kill[name] for name in finished}
            assert all(1 <= again[name] <= 2 for name in FAMILY), again
            self.version += 1
            self._check(repo)
        assert watcher.seen <= {self.version - 1, self.version}
        assert not watcher.torn, watcher.torn
        return lived_s

    def _begin(self, *, with_worker: bool) -> Attack:
        self._packs = frozenset(path.name for path in (self.service.store / "packs").rglob("*"))
        old, new = f"base@{self.version}", f"base@{self.version + 1}"
        workers = "1" if with_worker else "2"
        before = self.runs
        clients = [self._start_client("update", old, new, "--yes", "--workers", workers)]
        if with_worker:
            clients.append(self._start_client("worker"))
        return Attack(self, time.monotonic(), clients, before)

    def _start_client(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-B", "-c", "from mgit.cli import main; main()"]
        return subprocess.Popen(
            [*command, "--address", self.address, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _kill(self, victim: str, attack: Attack) -> None:
        if victim == "service":
            self.service.kill()
            self.start_service()
            return
        dying = attack.clients[-1]
        dying.kill()
        dying.wait(TIMEOUT_S)
        forget_leases(self.server, dying.pid)

    def _finished(self, repo: mgit.Repository) -> set[str]:
        """Names of the models that are made, and need not be made again."""
        update = self.update(repo)
        done = {StepState.DONE, StepState.STAGED}
        return set() if update is None else {step.old.name for step in update.steps if step.state in done}

    def update(self, repo: mgit.Repository) -> Update | None:
        """The update of the version that all have; None before it begins."""
        for each in repo.updates.list():
            if each.old.version == self.version:
                return repo.updates.get(each)
        return None  # It was killed before it began.

    def _finish(self, repo: mgit.Repository, victim: str, attack: Attack) -> None:
        """Whoever is left goes on; a client that died is followed by another one."""
        if victim == "client":
            update = self.update(repo)
            old, new = f"base@{self.version}", f"base@{self.version + 1}"
            with contextlib.chdir(self.folder):
                if update is None:
                    repo.update(old, new, progress=None)
                elif not update.is_over:
                    repo.updates.resume(update, progress=None)
        else:
            attack.clients[0].wait(TIMEOUT_S)
        for client in attack.clients:
            client.kill()
            client.wait(TIMEOUT_S)

    def _check(self, repo: mgit.Repository) -> None:
        """The graph is right, and every model reads back as it was to be made."""
        update = repo.updates.get(next(iter(repo.updates.list())))
        told = [(step, step.error, step.failed_tests, step.tests) for step in update.steps]
        assert (update.state, update.passed) == (CascadeState.PUBLISHED, True), told
        for name, parents in MODELS.items():
            model = repo.get(name)
            assert model.version == self.version
            assert [edge.parent_ref for edge in model.parents] == [
                f"{parent}@{self.version}" for parent in parents
            ]
            assert model.previous is not None
            assert model.previous.version == self.version - 1
            found = model.load(progress=None)["w"]
            assert np.array_equal(found, weights(value_of(name, self.version - 1))["w"])


class Watcher:
    """Looks at the family all the time, as anybody might.

    Attributes:
        seen: Versions that the whole family had.
        torn: What it saw of a family with several.
    """

    def __init__(self, series: CascadeSeries) -> None:
        self._series = series
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: set[int] = set()
        self.torn: list[dict[str, int]] = []

    def _watch(self) -> None:
        with mgit.connect(self._series.address, timeout_s=5) as repo:
            while not self._over.wait(_LOOK_S):
                try:
                    found = {model.name: model.version for model in repo.models() if model.name in MODELS}
                except mgit.errors.MGitError:
                    continue  # The service is being killed.
                if len(set(found.values())) == 1 and len(found) == len(MODELS):
                    self.seen |= set(found.values())
                else:
                    self.torn.append(found)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(TIMEOUT_S)


def forget_leases(server: TestServer, pid: int) -> None:
    """Let the leases of a dead process run out, which takes a minute otherwise."""
    with neo4j.GraphDatabase.driver(server.uri, auth=(server.username, server.password)) as driver:
        driver.execute_query(
            "MATCH (s:CascadeStep) WHERE s.free_at > 0 AND s.worker CONTAINS $process SET s.free_at = 1",
            process=f":{pid}:",
        )


def weights(value: float) -> dict[str, np.ndarray]:
    """A model all of whose numbers are ``value``."""
    return {"w": np.full(ITEMS, value, np.float32)}


def value_of(name: str, base: float) -> float:
    """What the numbers of a model are, made from a base of ``base``."""
    if name == "base":
        return base
    values = [value_of(parent, base) for parent in MODELS[name]]
    return sum(values) / len(values) if name in MERGED else 1 + sum(values)


def open_gate(path: Path) -> None:
    """Let pass who waits there now, and all that come later."""
    waiting: list[int] = []
    with contextlib.suppress(OSError):  # Nobody waits: whoever did was killed.
        waiting.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    path.unlink()
    for descriptor in waiting:
        os.close(descriptor)
