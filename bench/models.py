"""A 91 MB model through the SDK: never seen, known, and back; and a bare gRPC stream beside it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import new_home, running_stack
from bench.weights import write_changed_encoder

import mgit

__all__ = ["measure"]

_REPEATS = 5


def measure() -> Report:
    """Each file is new to the store; medians over five."""
    with new_home() as home, running_stack(home / "stack") as state, mgit.connect(state.address) as repo:
        paths = [home / f"model-{number}.safetensors" for number in range(_REPEATS + 1)]
        for number, path in enumerate(paths):
            size_bytes = write_changed_encoder(path, seed=number)
        _add(repo, paths.pop())  # The first call of a process also pays for its imports.
        new_s = statistics.median(_timed(_adder(repo, path)) for path in paths)
        known_s = statistics.median(_timed(_adder(repo, path)) for path in paths)
        model = repo.get("model")
        back_s = statistics.median(
            _timed(_saver(model, home / f"back-{number}.safetensors")) for number in range(_REPEATS)
        )
        if (home / "back-0.safetensors").read_bytes() != paths[-1].read_bytes():
            raise SystemExit("the model came back with other bytes")
    figures = [
        _goal("repo.add, never seen, to acknowledged", new_s, 0.5),
        _goal("get to file", back_s, 0.4),
        Figure(name="repo.add, never seen", value=size_bytes / new_s / 1e9, unit="GB/s"),
        Figure(
            name="repo.add, known",
            value=size_bytes / known_s / 1e9,
            unit="GB/s",
            goal="at least 2 GB/s",
            is_reached=size_bytes / known_s >= 2e9,
        ),
        Figure(name="get to file", value=size_bytes / back_s / 1e9, unit="GB/s"),
    ]
    return Report(title="A 91 MB model through the SDK", machine=describe_machine(), figures=figures)


def _timed(action: Callable[[], object]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def _add(repo: mgit.Repository, path: Path) -> None:
    repo.add("model", path, progress=None)


def _adder(repo: mgit.Repository, path: Path) -> Callable[[], None]:
    return lambda: _add(repo, path)


def _saver(model: mgit.Model, path: Path) -> Callable[[], object]:
    return lambda: model.save(path, progress=None)


def _goal(name: str, seconds: float, goal_s: float) -> Figure:
    return Figure(
        name=name, value=seconds, unit="s", goal=f"at most {goal_s} s", is_reached=seconds <= goal_s
    )
