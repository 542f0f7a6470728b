"""A test of every model, and a bug with all that inherit it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from examples.demo.adding import Kept

import mgit
from mgit.bugs import BugReach
from mgit.errors import NotFoundError
from mgit_core.bugs import Bug

__all__ = ["report_bug", "run_test"]

_TEST = "no-nan-or-infinity"
_BUG = "Trained on wrong labels (made up by the demonstration)"


def run_test(repository: mgit.Repository, kept: Sequence[Kept]) -> Iterator[str]:
    """Registers a built-in test for all models and runs it; what is known from an earlier run is not run again."""
    try:
        repository.tests.get(_TEST)
    except NotFoundError:
        repository.tests.register(_TEST, builtin="finite")
    runs = list(repository.tests.run(_TEST, models=[each.model for each in kept], progress=None))
    passed = sum(not run.is_bad for run in runs)
    reused = sum(run.is_reused for run in runs)
    known = f", {reused} of them known before" if reused else ""
    yield f"   Test {_TEST}: {passed} of {len(runs)} models passed{known}."


def report_bug(repository: mgit.Repository, model: mgit.Model) -> Iterator[str]:
    """Reports a bug of a model, once, and tells who inherits it, each with the way that it came."""
    bug = _find(repository) or repository.bugs.report(_BUG, model)
    reach = repository.bugs.affected(bug)
    yield f"   Bug {bug.id} on {model.ref}, {bug.title!r}, affects {len(reach.models)} models:"
    yield from _affected_lines(reach)
    yield f"   Once it is fixed: .venv/bin/mgit bug fix {bug.id} REF; bug close {bug.id}"


def _find(repository: mgit.Repository) -> Bug | None:
    return next((bug for bug in repository.bugs.list() if bug.title == _BUG), None)


def _affected_lines(reach: BugReach) -> Iterator[str]:
    for affected in reach.models:
        way = " < ".join(model.ref for model in reach.witness(affected))
        yield f"    {affected.reason.value:<9}  {way}"
