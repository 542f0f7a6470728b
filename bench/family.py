"""A really trained family of 21 models and two adapters: what storing it takes, and how fast it goes."""

from __future__ import annotations

import filecmp
import sys
from pathlib import Path
from time import perf_counter

import platformdirs
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import new_home, running_stack
from examples.minilm.family import FULL, Built, Progress, build

import mgit

__all__ = ["measure"]


def measure() -> Report:
    """Builds the family unless it is cached, adds every member, brings every one back and compares."""
    members = build(FULL, platformdirs.user_cache_path("mgit", appauthor=False) / "minilm", _tell)
    figures: list[Figure] = []
    with new_home() as home, running_stack(home / "stack") as state, mgit.connect(state.address) as repo:
        start = perf_counter()
        for built in members:
            model = _add(repo, built)
            share = model.addition.new_bytes / built.size_bytes if model.addition else 0.0
            figures.append(Figure(name=f"new bytes of {built.ref}", value=100 * share, unit="% of its files"))
        added_s = perf_counter() - start
        start = perf_counter()
        for built in members:
            repo.get(built.ref).save(home / "back" / built.ref.replace("@", "-"), progress=None)
        back_s = perf_counter() - start
        for built in members:
            _check_equal(built.path, home / "back" / built.ref.replace("@", "-"))
        statistics = repo.statistics()
    total = sum(built.size_bytes for built in members)
    figures += [
        Figure(name="all files of the family", value=total / 1e6, unit="MB"),
        Figure(name="whole store, all bytes counted", value=statistics.stored_bytes / 1e6, unit="MB"),
        Figure(name="ratio", value=statistics.logical_bytes / statistics.stored_bytes, unit="x"),
        Figure(name="adding, file to acknowledged", value=total / added_s / 1e9, unit="GB/s"),
        Figure(name="getting, to file, compared afterwards", value=total / back_s / 1e9, unit="GB/s"),
    ]
    return Report(
        title="A trained family (21 models, 2 adapters)", machine=describe_machine(), figures=figures
    )


def _add(repo: mgit.Repository, built: Built) -> mgit.Model:
    parents = [mgit.Parent(ref, mgit.Relation(relation)) for ref, relation in built.member.parents]
    return repo.add(
        built.member.name,
        built.path,
        parents=parents,
        previous=built.member.previous,
        metadata=dict(built.metadata),
        progress=None,
    )


def _tell(progress: Progress) -> None:
    if progress.step == 0:
        state = "is there" if progress.reused else "is being made"
        print(f"[{progress.position + 1}/{progress.members}] {progress.member.ref} {state}", file=sys.stderr)


def _check_equal(wanted: Path, found: Path) -> None:
    names = sorted(path.relative_to(wanted) for path in wanted.rglob("*") if path.is_file())
    back = sorted(path.relative_to(found) for path in found.rglob("*") if path.is_file())
    _, differing, missing = filecmp.cmpfiles(wanted, found, [str(name) for name in names], shallow=False)
    if names != back or differing or missing:
        raise SystemExit(f"{found.name} came back different: {differing} {missing}")
