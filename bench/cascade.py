"""What an update costs besides the creation functions: on a chain, and on diamonds behind each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bench.figures import Figure, Report, median_seconds
from bench.machine import describe_machine
from bench.stack import new_home, running_stack

import mgit
from mgit.connection import Connection
from mgit.creating.calls import ALONE, CreationCall
from mgit.creating.functions import CreationSaid, record_creation
from mgit.creating.runner import CreationRunner
from mgit.endpoint import Endpoint
from mgit.updating import Update
from mgit_core.lineage import ParentLink, Relation

__all__ = ["measure"]

_FUNCTION = "bench.trivial_creation:copy_first"
_CHAIN = 30
_DIAMONDS = 30
_RUNS = 5


@dataclass(frozen=True, slots=True)
class _Timed:
    """An update, and how long its parts took."""

    update: Update
    plan_s: float
    whole_s: float

    @property
    def step_s(self) -> float:
        return self.whole_s / self.update.step_count


def measure() -> Report:
    """Models of 16 bytes; no tests are registered."""
    with new_home() as home, running_stack(home) as state, mgit.connect(state.address) as repo:
        alone_s = _run_alone(repo, state.address)
        chain = _update(repo, "chain", _add_chain(repo))
        diamonds = _update(repo, "diamond", _add_diamonds(repo))
    return Report(
        title="The update cascade, without the work of creation functions",
        machine=describe_machine(),
        figures=[*_figures(chain, alone_s, "a chain", 1), *_figures(diamonds, alone_s, "diamonds", 2)],
    )


def _figures(timed: _Timed, alone_s: float, what: str, workers: int) -> Sequence[Figure]:
    count = timed.update.step_count
    made = {step.old.uid for step in timed.update.steps}
    is_right = timed.update.passed and len(made) == len(timed.update.steps) == count
    whose = f"{what} of {count} steps, {workers} at a time"
    return [
        Figure(name=f"plan of {whose}", value=timed.plan_s * 1e3, unit="ms"),
        Figure(
            name=f"update of {whose}",
            value=timed.whole_s,
            unit="s",
            goal="each model once, all published",
            is_reached=is_right,
        ),
        Figure(
            name=f"a step of {whose}",
            value=timed.step_s * 1e3,
            unit="ms",
            ceiling="a call of the function in a process of its own",
            ratio=min(1.0, alone_s / workers / timed.step_s),
            note=f"such a call alone takes {alone_s * 1e3:.0f} ms",
        ),
    ]


def _run_alone(repo: mgit.Repository, address: str) -> float:
    """Seconds of a call of the function in a process of its own, without an update around it."""
    base = repo.add("alone", _weights(), progress=None)
    connection = Connection(Endpoint(address=address))
    record = record_creation(CreationSaid(function=_FUNCTION), connection.capabilities.algorithm)
    call = CreationCall(
        record=record,
        members={ALONE: (ParentLink(parent_uid=base.uid, relation=Relation.DERIVED),)},
    )

    def run() -> None:
        CreationRunner(connection.endpoint).run(call).close()

    try:
        return median_seconds(run, _RUNS)
    finally:
        connection.close()


def _update(repo: mgit.Repository, prefix: str, workers: int) -> _Timed:
    base = f"{prefix}-0"
    repo.add(base, _weights(1), progress=None)
    started = time.perf_counter()
    repo.update(f"{base}@1", f"{base}@2", plan=True)
    planned = time.perf_counter()
    update = repo.update(f"{base}@1", f"{base}@2", workers=workers, progress=None)
    return _Timed(update, planned - started, time.perf_counter() - planned)


def _add_chain(repo: mgit.Repository) -> int:
    repo.add("chain-0", _weights(), progress=None)
    for number in range(_CHAIN):
        _add(repo, f"chain-{number + 1}", [f"chain-{number}"])
    return 1


def _add_diamonds(repo: mgit.Repository) -> int:
    """The lower end of each diamond is the upper end of the next one."""
    repo.add("diamond-0", _weights(), progress=None)
    for number in range(_DIAMONDS):
        above = f"diamond-{number}"
        sides = [f"{above}-left", f"{above}-right"]
        for side in sides:
            _add(repo, side, [above])
        _add(repo, f"diamond-{number + 1}", sides)
    return 2


def _add(repo: mgit.Repository, name: str, parents: Sequence[str]) -> None:
    repo.add(
        name,
        _weights(),
        parents=[mgit.derived(parent) for parent in parents],
        created_by=_FUNCTION,
        progress=None,
    )


def _weights(value: float = 0) -> dict[str, np.ndarray]:
    return {"w": np.full(4, value, np.float32)}
