"""Diffs of two models of the size of 7 billion parameters that differ in one layer: from manifests, and with values."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.memory import anonymous_mb
from bench.stack import clean_environment, new_home, running_stack

import mgit

__all__ = ["measure"]

_LAYERS = 32
_WIDTH, _INNER, _VOCABULARY = 4_096, 11_008, 32_000
_CHANGED = f"model.layers.{_LAYERS // 2}."
_GOAL_S, _GOAL_MB = 1.0, 300
_REPEATS = 5
_EVERY_S = 0.01


def measure() -> Report:
    """Adds both models, then asks for the diff through gRPC and through the command line."""
    with new_home() as home, running_stack(home / "stack") as state, mgit.connect(state.address) as repo:
        for name, seed in (("before", 0), ("after", 1)):
            repo.add(name, _model(seed), progress=None)
        # What the service makes of new models by itself would be measured too.
        repo.backfill_sketches(progress=None)
        service = state.service.pid if state.service else 0
        environment = clean_environment(home / "stack")
        figures = [
            *_from_manifests(repo, service),
            *_with_values(repo, service),
            *_by_command(environment),
        ]
    return Report(
        title="Diff of two models of 6.7 billion parameters (float16) that differ in one layer of 32",
        machine=describe_machine(),
        figures=figures,
    )


def _from_manifests(repo: mgit.Repository, service: int) -> Iterator[Figure]:
    seconds: list[float] = []
    with _watched(service) as peak:
        for _ in range(_REPEATS):
            start = perf_counter()
            diff = repo.diff("before", "after", with_values=False, progress=None)
            seconds.append(perf_counter() - start)
            assert [each.name.startswith(_CHANGED) for each in diff.contextual] == [True] * 9
    middle = sorted(seconds)[_REPEATS // 2]
    yield Figure(
        name="from manifests, through gRPC",
        value=middle,
        unit="s",
        goal=f"under {_GOAL_S:g} s",
        is_reached=middle < _GOAL_S,
        note=f"the middle of {_REPEATS}; the slowest took {max(seconds):.2f} s",
    )
    yield _memory("service, from manifests", peak.megabytes)


def _with_values(repo: mgit.Repository, service: int) -> Iterator[Figure]:
    with _watched(service) as peak:
        start = perf_counter()
        diff = repo.diff("before", "after", progress=None)
        seconds = perf_counter() - start
    assert all(each.change is not None for each in diff.contextual)
    read = sum(2 * each.change.compared * 2 for each in diff.contextual if each.change)
    yield Figure(
        name="with the values of the layer, through gRPC",
        value=seconds,
        unit="s",
        note=f"{read / 1e6:.0f} MB of both sides, {read / 1e6 / seconds:.0f} MB/s, rank included",
    )
    yield _memory("service, with values", peak.megabytes)


def _by_command(environment: dict[str, str]) -> Iterator[Figure]:
    mgit_command = str(Path(sys.executable).with_name("mgit"))
    command = [mgit_command, "diff", "before", "after", "--no-values", "--output", "json"]
    start = perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as client:
        with _watched(client.pid) as peak:
            output = client.stdout.read() if client.stdout else b""
            client.wait()
        seconds = perf_counter() - start
    assert b'"contextual"' in output
    yield Figure(name="mgit diff --no-values, whole command", value=seconds, unit="s")
    yield _memory("client, whole command", peak.megabytes)


@dataclass(slots=True)
class _Peak:
    """The most memory that was seen."""

    megabytes: float = 0.0


@contextmanager
def _watched(pid: int) -> Generator[_Peak]:
    """Watches ``RssAnon`` of a process."""
    peak, over = _Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY_S):
            peak.megabytes = max(peak.megabytes, anonymous_mb(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _memory(who: str, value: float) -> Figure:
    return Figure(
        name=f"peak RssAnon of the {who}",
        value=value,
        unit="MB",
        goal=f"under {_GOAL_MB} MB",
        is_reached=value < _GOAL_MB,
    )


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of a Llama of 7 billion parameters."""
    yield "model.embed_tokens.weight", (_VOCABULARY, _WIDTH)
    for layer in range(_LAYERS):
        path = f"model.layers.{layer}."
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{path}self_attn.{part}.weight", (_WIDTH, _WIDTH)
        yield f"{path}mlp.gate_proj.weight", (_INNER, _WIDTH)
        yield f"{path}mlp.up_proj.weight", (_INNER, _WIDTH)
        yield f"{path}mlp.down_proj.weight", (_WIDTH, _INNER)
        yield f"{path}input_layernorm.weight", (_WIDTH,)
        yield f"{path}post_attention_layernorm.weight", (_WIDTH,)
    yield "model.norm.weight", (_WIDTH,)
    yield "lm_head.weight", (_VOCABULARY, _WIDTH)


def _model(seed: int) -> dict[str, np.ndarray]:
    """The tensors of a model: each repeats a row of its own, so 13 GB take the room of some megabytes in the store.

    What is read of them is as much as of any others.
    """
    tensors = {}
    for at, (name, shape) in enumerate(_shapes()):
        random = np.random.default_rng((at, seed if name.startswith(_CHANGED) else 0))
        row = (0.02 * random.standard_normal(shape[-1])).astype(np.float16)
        tensors[name] = np.broadcast_to(row, shape)
    return tensors
