"""Kills the service with SIGKILL in the middle of its work and checks what is left.

The works are an ingest of a relative, a repack and a collection, also two of them at once. The laws: no acknowledged
model is lost; every visible model is whole and reads back byte for byte; one that is visible without an
acknowledgement is exactly the one requested, and repeating the request returns it; a check of the store finds
nothing wrong; what was cut can be begun again and ends well; in the store's folder lies nothing unknown.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc
import neo4j
import numpy as np
from safetensors.numpy import load_file, save_file
from tests.neo4j_server import TestServer
from tests.running_service import SERVING, RunningService, Stubs, start_service, wait_until

import mgit
from mgit_proto.v1 import maintenance_pb2 as pb

ROOT = Path(__file__).parents[1]
KNOWN_FOLDERS = {"root.json", "packs", "indexes", "manifests", "files", "tmp", "sketches", "condemned"}
MATRIX_ROWS = 512
CALL_TIMEOUT_S = 120.0
"""A call that takes longer has hung."""


class Attack:
    """Works that one service does at once, until it is killed.

    Attributes:
        store: The store's folder.
        started_at: When the works began, monotonic.
        share: How much of the ingest's bytes has been sent, from 0 to 1.
        acknowledged: UIDs of models that the ingest was told to be durable.
    """

    def __init__(self, service: RunningService) -> None:
        self._service = service
        self._threads = ThreadPoolExecutor(4)
        self._works: list[Future[None]] = []
        self._clients: list[subprocess.Popen[str]] = []
        self.store = service.store
        self.started_at = time.monotonic()
        self.share = 0.0
        self.acknowledged: list[str] = []

    def begin_adding(self, arguments: Sequence[str]) -> None:
        """A client process adds a model; returns when it is at work."""
        command = [sys.executable, "-m", "tests.adding_client", self._service.address, *arguments]
        client = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._clients.append(client)
        assert client.stdout is not None
        assert client.stdout.readline() == "start\n"
        self.started_at = time.monotonic()
        self._works.append(self._threads.submit(self._hear, client))

    def begin_repack(self) -> None:
        """The service encodes anew."""
        self._works.append(self._threads.submit(self._call, repack))

    def begin_collection(self) -> None:
        """The service collects garbage of any age."""
        self._works.append(self._threads.submit(self._call, collect))

    @property
    def is_over(self) -> bool:
        """Whether every work has ended."""
        return all(work.done() for work in self._works)

    def kill(self) -> None:
        """End the service and whoever talks to it."""
        self._service.kill()
        for client in self._clients:
            client.kill()
        for work in self._works:
            work.result(CALL_TIMEOUT_S)
        for client in self._clients:
            client.wait(CALL_TIMEOUT_S)
            assert client.stdout is not None
            client.stdout.close()
        self._threads.shutdown()

    def _hear(self, client: subprocess.Popen[str]) -> None:
        assert client.stdout is not None
        for line in client.stdout:
            word, _, value = line.strip().partition(" ")
            if word == "sent":
                self.share = float(value)
            elif word == "ack":
                self.acknowledged.append(value)

    def _call(self, call: Callable[[Stubs], object]) -> None:
        """A call that the death of the service, or another's lease, may cut."""
        with self._service.stubs() as stubs:
            try:
                call(stubs)
            except grpc.RpcError as error:
                if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED}:
                    raise


Moment = Callable[[Attack], bool]
"""Whether the service dies now; asked again and again while it works."""
Work = Callable[["KillSeries", Attack], None]
"""Begins something that the service does."""


def at_start(attack: Attack) -> bool:
    """At once."""
    return attack.started_at > 0


def at_the_end(attack: Attack) -> bool:
    """When the service has answered."""
    return attack.is_over


def after_share(share: float) -> Moment:
    """When this share of the bytes has been sent."""
    return lambda attack: attack.share >= share


def after_seconds(seconds: float) -> Moment:
    """A time after the beginning."""
    return lambda attack: time.monotonic() - attack.started_at >= seconds


class FolderChanges:
    """When something came into a folder of the store, or went, for the n-th time."""

    def __init__(self, folder: str, *, came: int = 0, went: int = 0) -> None:
        self._folder = folder
        self._came = came
        self._went = went
        self._before: set[Path] | None = None
        self._seen_coming: set[Path] = set()
        self._seen_going: set[Path] = set()

    def __call__(self, attack: Attack) -> bool:
        now = {path for path in (attack.store / self._folder).rglob("*") if path.suffix}
        before = now if self._before is None else self._before
        self._seen_coming |= now - before
        self._seen_going |= before - now
        self._before = now
        return bool(
            (self._came and len(self._seen_coming) >= self._came)
            or (self._went and len(self._seen_going) >= self._went)
        )


def repack(stubs: Stubs) -> pb.RepackResult:
    """Encode everything anew."""
    *_, last = stubs.maintenance.Repack(pb.RepackRequest(), timeout=CALL_TIMEOUT_S)
    return last.result


def collect(stubs: Stubs) -> pb.CollectGarbageResult:
    """Delete what no model uses, however young it is."""
    *_, last = stubs.maintenance.CollectGarbage(
        pb.CollectGarbageRequest(grace_seconds=0), timeout=CALL_TIMEOUT_S
    )
    return last.result


def problems(stubs: Stubs) -> list[pb.StoreProblem]:
    """What a check of the store finds wrong."""
    answers = list(stubs.maintenance.CheckStore(pb.CheckStoreRequest(), timeout=CALL_TIMEOUT_S))
    found = [answer.problem for answer in answers if answer.HasField("problem")]
    assert answers[-1].result.ok is not bool(found)
    return found


def forget_lease(server: TestServer) -> None:
    """Let the lease of a dead service run out, which takes two minutes otherwise."""
    with neo4j.GraphDatabase.driver(server.uri, auth=(server.username, server.password)) as driver:
        driver.execute_query(
            "MATCH (l:Lease) WHERE l.given_at IS NOT NULL SET l.given_at = l.given_at - 1000000"
        )


@dataclass(frozen=True)
class _Request:
    """A model that a client was to add."""

    name: str
    parent: str
    path: Path

    @property
    def id(self) -> str:
        return f"request-{self.name}"

    def repeat(self, repo: mgit.Repository) -> mgit.Model:
        return repo.add(
            self.name,
            self.path,
            parents=[mgit.Parent(self.parent, mgit.Relation.FINETUNED)],
            request_id=self.id,
            progress=None,
        )


@dataclass
class KillSeries:
    """One store and one graph over many kills; a service runs between them.

    Attributes:
        server: The graph.
        folder: Holds the store and the models to be added.
        tensors: Matrices of 1 MiB in each model.
        models: Every model that must be there: by uid the file that it was added from.
    """

    server: TestServer
    folder: Path
    tensors: int = 8
    models: dict[str, Path] = field(default_factory=dict)
    _service: RunningService | None = None
    _request: _Request | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._service is not None:
            self._service.stop()

    @property
    def service(self) -> RunningService:
        """The service that runs now."""
        assert self._service is not None
        return self._service

    def add(self, name: str, parent: str = "") -> None:
        """Add a model undisturbed."""
        path = self._write_model(name, parent)
        with mgit.connect(self.service.address) as repo:
            parents = [mgit.Parent(parent, mgit.Relation.FINETUNED)] if parent else []
            model = repo.add(name, path, parents=parents, progress=None)
        self.models[model.uid] = path

    def remove(self, name: str) -> None:
        """Remove a model, so that a collection finds something."""
        with mgit.connect(self.service.address) as repo:
            model = repo.get(name)
            repo.remove(name)
        del self.models[model.uid]

    def run(self, works: Sequence[Work], moment: Moment) -> float:
        """Begin the works, kill the service at ``moment`` or when they are over, and check every law.

        Returns:
            Seconds from the beginning to the kill.
        """
        self._request = None
        attack = Attack(self.service)
        for work in works:
            work(self, attack)
        wait_until(lambda: moment(attack) or attack.is_over, "the moment of the kill", CALL_TIMEOUT_S)
        lived_s = time.monotonic() - attack.started_at
        attack.kill()
        forget_lease(self.server)
        self._start()
        if self._request is not None:
            self._check_request(self._request, set(attack.acknowledged))
        self.check()
        return lived_s

    def check(self) -> None:
        """Every model that must be there is, and reads back byte for byte; the store has no fault."""
        with mgit.connect(self.service.address) as repo:
            assert {model.uid for model in repo.models()} == set(self.models)
            for uid, path in self.models.items():
                self._check_bytes(repo.get(f"@{uid}"), path)
        with self.service.stubs() as stubs:
            assert problems(stubs) == []
        assert {entry.name for entry in self.service.store.iterdir()} <= KNOWN_FOLDERS

    def finish_maintenance(self) -> None:
        """What was cut can be begun again and ends well."""
        with self.service.stubs() as stubs:
            done = repack(stubs)
            assert (done.is_complete, done.damaged_chunks) == (True, 0)
            collect(stubs)
            assert repack(stubs).chunks == 0
        self.check()

    def request(self, name: str, parent: str) -> list[str]:
        """Write a model that a client is to add; gives the client's arguments."""
        self._request = _Request(name, parent, self._write_model(name, parent))
        return [name, str(self._request.path), self._request.id, parent]

    def _start(self) -> None:
        self._service = start_service(self.server, self.folder / "store")
        self._service.wait_for(SERVING)

    def _check_request(self, request: _Request, acknowledged: set[str]) -> None:
        with mgit.connect(self.service.address) as repo:
            visible = self._check_visible(repo, request.name, request.path)
            assert acknowledged <= visible
            again = request.repeat(repo)
            assert again.addition is not None
            assert again.addition.repeated is bool(visible)
            assert visible <= {again.uid}
        self.models[again.uid] = request.path

    def _write_model(self, name: str, parent: str) -> Path:
        """Matrices of its own, or those of the parent a little changed."""
        random = np.random.default_rng(list(name.encode()))
        shape = (MATRIX_ROWS, MATRIX_ROWS)
        path = self.folder / f"{name}.safetensors"
        noise = {f"layer.{at}": random.standard_normal(shape, np.float32) for at in range(self.tensors)}
        if parent:
            old = load_file(self.folder / f"{parent}.safetensors")
            noise = {key: old[key] + np.float32(1e-4) * change for key, change in noise.items()}
        save_file(noise, path)
        return path

    def _check_visible(self, repo: mgit.Repository, name: str, path: Path) -> set[str]:
        try:
            visible = list(repo.versions(name))
        except mgit.errors.NotFoundError:
            return set()
        for model in visible:
            self._check_bytes(model, path)
        return {model.uid for model in visible}

    def _check_bytes(self, model: mgit.Model, path: Path) -> None:
        back = self.folder / "back.safetensors"
        back.unlink(missing_ok=True)
        model.save(back, progress=None)
        assert back.read_bytes() == path.read_bytes()


def adding(name: str, parent: str = "base") -> Work:
    """A client adds a relative of ``parent``."""
    return lambda series, attack: attack.begin_adding(series.request(name, parent))


def repacking(_: KillSeries, attack: Attack) -> None:
    """The service encodes everything anew."""
    attack.begin_repack()


def collecting(_: KillSeries, attack: Attack) -> None:
    """The service deletes what no model uses."""
    attack.begin_collection()
