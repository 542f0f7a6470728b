"""The demonstration as ``make demo`` runs it: interrupted, finished, repeated; then its store without a service.

The trained family is shared with the user's own runs through the cache; without it training takes a minute or
two.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples.demo.story import family_folder
from examples.minilm.family import DEMO, Built, build
from tests.neo4j_server import TestServer, empty_graph

import mgit
from mgit.local.settings import read_stack_settings
from mgit.local.stack import LocalStack
from mgit_core.digest import DigestAlgorithm
from mgit_core.manifest import Manifest
from mgit_core.safetensors import parse_header
from mgit_storage.store import Store, open_store
from mgit_zarr import chunk_files, open_group, zarr_key

pytestmark = [pytest.mark.slow, pytest.mark.neo4j, pytest.mark.timeout(1200)]

_ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 1000
_GIVEN = "MGIT_TEST_NEO4J_URI"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A home of its own, and the folder that the results go to."""

    environment: dict[str, str]
    folder: Path

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "examples.demo", "--folder", str(self.folder)],
            env=self.environment,
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> Run:
        process = self.start()
        try:
            output, errors = process.communicate(timeout=_TIMEOUT_S)
        finally:
            process.kill()
        assert process.returncode == 0, errors
        summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        return Run(output=output, summary=summary)

    @property
    def stack(self) -> LocalStack:
        return LocalStack(read_stack_settings(self.environment))

    def connect(self) -> mgit.Repository:
        status = self.stack.status()
        assert status is not None
        return mgit.connect(status.state.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run printed to its standard output, and its summary."""

    output: str
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    base = tmp_path_factory.mktemp("demo")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MGIT_", "NEO4J_"))
    }
    environment["MGIT_HOME"] = str(base / "home")
    server: TestServer | None = None
    if _GIVEN in os.environ:
        server = request.getfixturevalue("neo4j_server")
        assert server is not None
        empty_graph(server)
        environment |= {
            "NEO4J_URI": server.uri,
            "NEO4J_USERNAME": server.username,
            "NEO4J_PASSWORD": server.password,
        }
    made = World(environment=environment, folder=base / "results")
    yield made
    made.stack.down()
    if server is not None:
        empty_graph(server)


@pytest.fixture(scope="module")
def interrupted(world: World) -> subprocess.CompletedProcess[str]:
    """A run that is interrupted when it begins to add models."""
    process = world.start()
    assert process.stdout is not None
    try:
        heard = next(line for line in process.stdout if line.startswith("== Every model goes in"))
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=_TIMEOUT_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, heard + rest, errors)


@pytest.fixture(scope="module")
def first(world: World, interrupted: subprocess.CompletedProcess[str]) -> Run:
    assert interrupted.returncode
    return world.run()


@pytest.fixture(scope="module")
def second(world: World, first: Run) -> Run:
    assert first.summary
    return world.run()


@pytest.fixture(scope="module")
def family(first: Run) -> list[Built]:
    assert first.summary
    return build(DEMO, family_folder(read_stack_settings({})), lambda _: None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What lies in the store when everything is stopped: the family's manifests by reference."""

    store: Store
    manifests: dict[str, Manifest]


@pytest.fixture(scope="module")
def stopped(world: World, second: Run, family: list[Built]) -> Left:
    with world.connect() as repository:
        digests = {built.ref: repository.get(built.ref).digest for built in family}
    assert second.summary
    assert world.stack.down()
    store = open_store(world.stack.layout.store, DigestAlgorithm.BLAKE3)
    keys = {key.split("/")[1]: key for key in store.objects.list("manifests")}
    manifests = {
        ref: store.parameters.read_manifest(keys[digest]) for ref, digest in digests.items() if digest
    }
    return Left(store=store, manifests=manifests)


def test_interrupt_ends_the_run_without_a_trace(interrupted: subprocess.CompletedProcess[str]) -> None:
    assert interrupted.returncode == 130
    assert "the same command goes on from here" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr


def test_summary_has_what_programs_read(first: Run) -> None:
    summary = first.summary
    assert {
        *("seconds", "models", "edges", "logical_bytes", "stored_bytes", "ratio", "exact_restores"),
        *("ancestors_ms", "neo4j_version", "browser_url"),
    } <= set(summary)
    assert {"whole", "stack", "family", "add", "restore", "audit", "questions"} == set(summary["seconds"])
    assert summary["models"] == len(DEMO)
    assert summary["edges"] == sum(len(member.parents) for member in DEMO)
    assert summary["ratio"] == pytest.approx(summary["logical_bytes"] / summary["stored_bytes"], abs=0.001)
    assert summary["ratio"] > 1
    assert summary["neo4j_version"].startswith("5.")
    assert bool(summary["browser_url"]) == (_GIVEN not in os.environ)


def test_every_model_was_restored_exactly(first: Run) -> None:
    assert first.summary["exact_restores"] == first.summary["models"]


def test_every_model_was_tested_and_the_bug_found_its_heirs(first: Run, second: Run) -> None:
    assert f"{len(DEMO)} of {len(DEMO)} models passed.\n" in first.output
    assert f"{len(DEMO)} of {len(DEMO)} models passed, {len(DEMO)} of them known before." in second.output
    for run in (first, second):
        assert "on topic-network@2" in run.output
        assert (
            "    inherited  topic-network-recovered@1 < topic-network-pruned@1 < topic-network@2"
            in run.output
        )
        assert "    direct     topic-network@2" in run.output


def test_a_repeated_run_reports_no_second_bug(world: World, second: Run) -> None:
    assert second.summary
    with world.connect() as repository:
        assert len(list(repository.bugs.list())) == 1


def test_output_shows_the_lineage_and_its_cypher(first: Run) -> None:
    for member in DEMO:
        assert member.ref in first.output
    assert "What was topic-network-recovered@1 made from?" in first.output
    assert "MATCH (t:Tensor {digest: " in first.output
    assert "$" not in first.output


def test_picture_holds_every_model(world: World, first: Run) -> None:
    assert first.summary
    page = (world.folder / "lineage.html").read_text(encoding="utf-8")
    assert all(member.ref in page for member in DEMO)


def test_repeated_run_adds_nothing(world: World, first: Run, second: Run) -> None:
    same = ("models", "edges", "logical_bytes", "exact_restores")
    assert [first.summary[key] for key in same] == [second.summary[key] for key in same]
    assert f"{len(DEMO)} of {len(DEMO)} models were there" in second.output
    with world.connect() as repository:
        refs = [model.ref for name in {m.name for m in DEMO} for model in repository.versions(name)]
    assert sorted(refs) == sorted(member.ref for member in DEMO)


def test_models_carry_their_edges_and_versions(world: World, second: Run) -> None:
    assert second.summary
    with world.connect() as repository:
        for member in DEMO:
            model = repository.get(member.ref)
            found = [(edge.parent_ref, str(edge.relation)) for edge in model.parents]
            assert list(member.parents) == found
            assert member.previous == (model.previous.ref if model.previous else None)
        assert [edge.weight for edge in repository.get("topic-soup@1").parents] == [0.5, 0.5]


def test_trained_models_are_better_than_guessing_and_say_so(world: World, second: Run) -> None:
    assert second.summary
    with world.connect() as repository:
        for member in DEMO:
            model = repository.get(member.ref)
            if not member.is_trained:
                continue
            assert float(model.metadata["accuracy"]) > float(model.metadata["majority"]) + 0.1
            assert [dataset.name for dataset in model.datasets] == [
                f"python-docstrings-{model.metadata['label_set']}"
            ]


def _wanted(built: Built) -> dict[str, bytes]:
    """The bytes of each tensor, from the safetensors file that was added."""
    name = "adapter_model.safetensors" if built.member.is_adapter else "model.safetensors"
    content = (built.path / name).read_bytes()
    header = parse_header(content, len(content))
    return {tensor.name: content[tensor.start : tensor.stop] for tensor in header.tensors}


def test_zarr_python_reads_every_model_from_the_store_alone(stopped: Left, family: list[Built]) -> None:
    for built in family:
        wanted = _wanted(built)
        group = open_group(stopped.manifests[built.ref], stopped.store.chunks)
        assert {array.attrs["mgit_name"] for array in group.array_values()} == set(wanted)
        for name, content in wanted.items():
            assert content == np.asarray(group[zarr_key(name)][...]).tobytes(), f"{built.ref} {name}"


def test_relatives_share_the_chunk_keys_that_did_not_change(stopped: Left) -> None:
    chunks = {
        ref: {file.path: file.digest for file in chunk_files(manifest)}
        for ref, manifest in stopped.manifests.items()
    }
    base, head, merged = (chunks[ref] for ref in ("minilm@1", "topic-values-head@1", "topic-tools@1"))
    assert base.items() <= head.items()
    assert {path.split("/")[0] for path in head if path not in base} == {
        "classifier.weight",
        "classifier.bias",
    }
    changed = {path for path, digest in base.items() if merged[path] != digest}
    assert changed
    assert all(".attention.self.query.weight" in path or ".value.weight" in path for path in changed)
