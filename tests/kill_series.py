"""Kills the service with SIGKILL in the middle of an ingest and checks what is left.

The laws: no acknowledged model is lost; every visible model is whole and reads back byte for byte; one that is
visible without an acknowledgement is exactly the one requested, and repeating the request returns it; what is
left over is only unreferenced chunks, manifests and temporary files.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tests.neo4j_server import TestServer
from tests.running_service import RunningService, run_service

import mgit

ROOT = Path(__file__).parents[1]
KNOWN_FOLDERS = {"root.json", "packs", "indexes", "manifests", "files", "tmp"}
MATRIX_ROWS = 512

Moment = Callable[[Iterator[str]], list[str]]
"""Reads the client's lines up to the moment at which the service dies; gives what it read."""


def after_share(share: float) -> Moment:
    """When this share of the bytes has been sent."""

    def wait(lines: Iterator[str]) -> list[str]:
        heard: list[str] = []
        for line in lines:
            heard.append(line)
            if line.startswith("ack") or (line.startswith("sent") and float(line.split()[1]) >= share):
                break
        return heard

    return wait


def at_start(lines: Iterator[str]) -> list[str]:
    """When the client has connected to nothing yet."""
    return [next(lines)]


def after_acknowledgement(lines: Iterator[str]) -> list[str]:
    """When the client was told that the model is durable."""
    return list(lines)


@dataclass
class KillSeries:
    """One store and one graph over many kills.

    Attributes:
        server: The graph.
        folder: Holds the store and the models to be added.
        tensors: Matrices of 1 MiB in each model.
    """

    server: TestServer
    folder: Path
    tensors: int = 16
    acknowledged: dict[str, Path] = field(default_factory=dict)

    def run(self, name: str, moment: Moment) -> None:
        """Add a new model, kill the service at ``moment``, and check every law."""
        path = self._write_model(name)
        request_id = f"request-{name}"
        with run_service(self.server, self.folder / "store") as service:
            heard = self._add_and_kill(service, [service.address, name, str(path), request_id], moment)
        acknowledged = [line.split()[1] for line in heard if line.startswith("ack")]
        self.acknowledged |= dict.fromkeys(acknowledged, path)
        with (
            run_service(self.server, self.folder / "store") as service,
            mgit.connect(service.address) as repo,
        ):
            visible = self._check_visible(repo, name, path)
            assert set(acknowledged) <= visible
            again = repo.add(name, path, request_id=request_id, progress=None)
            assert again.addition is not None
            assert again.addition.repeated is bool(visible)
            assert visible <= {again.uid}
            self._check_bytes(again, path)
            self.acknowledged[again.uid] = path
        assert {entry.name for entry in (self.folder / "store").iterdir()} <= KNOWN_FOLDERS

    def check_all(self) -> None:
        """Every model that was ever acknowledged is there and reads back byte for byte."""
        with (
            run_service(self.server, self.folder / "store") as service,
            mgit.connect(service.address) as repo,
        ):
            assert {model.uid for model in repo.models()} == set(self.acknowledged)
            for uid, path in self.acknowledged.items():
                self._check_bytes(repo.get(f"@{uid}"), path)

    def _write_model(self, name: str) -> Path:
        random = np.random.default_rng(list(name.encode()))
        shape = (MATRIX_ROWS, MATRIX_ROWS)
        path = self.folder / f"{name}.safetensors"
        save_file(
            {f"layer.{at}": random.standard_normal(shape, np.float32) for at in range(self.tensors)}, path
        )
        return path

    @staticmethod
    def _add_and_kill(service: RunningService, arguments: list[str], moment: Moment) -> list[str]:
        command = [sys.executable, "-m", "tests.adding_client", *arguments]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as client:
            assert client.stdout is not None
            lines = iter(client.stdout.readline, "")
            heard = moment(lines)
            service.kill()
            client.kill()
            return [*heard, *lines]

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
