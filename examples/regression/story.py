"""The chain is stored and bisected, the bug is recorded, and who inherits it is shown."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.regression.accuracy import THRESHOLD, accuracy, write_pictures
from examples.regression.chain import VERSIONS, derive_models, make_versions
from examples.throwaway import choose_prefix

import mgit
from mgit.bisecting import Bisection, BisectProgress

__all__ = ["Findings", "tell_story"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came out.

    Attributes:
        bisection: The search.
        bound: Most tests that it may take.
        linear: Tests of a walk from the newest version back to the first good one.
        affected: Names of the models that inherit the bug, with their versions, sorted.
    """

    bisection: Bisection
    bound: int
    linear: int
    affected: tuple[str, ...]


def tell_story(repository: mgit.Repository, say: Say) -> Findings:
    """Runs the example on a repository, under a prefix that is free.

    Raises:
        MGitError: As the SDK raises it.
    """
    prefix = choose_prefix(repository, "regression")
    say(
        f"\n== {VERSIONS} versions, each trained further from the one before, and models made from some of them"
    )
    versions = _add(repository, prefix, say)
    with tempfile.TemporaryDirectory(prefix="mgit-example-") as folder:
        test = f"{prefix}/accuracy"
        pictures = write_pictures(Path(folder) / "pictures.npz")
        repository.tests.register(
            test, accuracy, type=prefix, inputs=pictures, metric="accuracy", threshold=THRESHOLD
        )
        say(f"\n== The newest one is bad: accuracy below {THRESHOLD}. Which version was the first?")
        found = repository.bisect(versions[-1], test, on_step=lambda step: say(f"   {_step_line(step)}"))
        for finding in found.findings:
            say(f"   {finding.model.ref}: accuracy {finding.value:.3f}, {finding.verdict}")
        say(f"   {found.reason}")
        linear = _count_linear(repository, test, versions)
    bound = math.ceil(math.log2(VERSIONS + 1))
    say(
        f"   {found.tests_run} tests; {bound} at most, wherever it is; a walk back from the newest: {linear}."
    )
    affected = _report(repository, found, say)
    return Findings(bisection=found, bound=bound, linear=linear, affected=affected)


def _add(repository: mgit.Repository, prefix: str, say: Say) -> list[mgit.Model]:
    weights = make_versions()
    versions: list[mgit.Model] = []
    for each in weights:
        parents = [mgit.finetuned(older) for older in versions[-1:]]
        versions.append(repository.add(f"{prefix}/chain", each, parents=parents, type=prefix, progress=None))
    say(f"   {versions[0].ref} to {versions[-1].ref}")
    for derived in derive_models(weights):
        parent = mgit.Parent(versions[derived.version - 1], mgit.Relation(derived.relation))
        added = repository.add(
            f"{prefix}/{derived.name}", derived.weights, parents=[parent], type=prefix, progress=None
        )
        say(f"   {added.ref}, {derived.relation} from version {derived.version}")
    return versions


def _step_line(step: BisectProgress) -> str:
    least, most = step.least_left, step.most_left
    left = f"{most}" if least == most else f"{least} to {most}"
    return f"testing {step.model.ref}: then {left} could be the first"


def _count_linear(repository: mgit.Repository, test: str, versions: Sequence[mgit.Model]) -> int:
    """Tests that a walk from the leaf takes: all bad versions, and the first good one."""
    tests = 0
    for model in reversed(versions):
        [run] = repository.tests.run(test, models=[model], progress=None)
        tests += 1
        if not run.is_bad:
            break
    return tests


def _report(repository: mgit.Repository, found: Bisection, say: Say) -> tuple[str, ...]:
    assert found.first_bad is not None, found.reason
    say("\n== The bug is recorded. Who inherits it?")
    bug = repository.bugs.report(
        f"Accuracy below {THRESHOLD}", affects=[found.first_bad], description=found.reason
    )
    reach = repository.bugs.affected(bug)
    for each in reach.models:
        way = " -> ".join(model.ref for model in reach.witness(each))
        say(f"   {each.model.ref:<24} {each.reason}{f': {way}' if each.hops else ''}")
    affected = [each.model.ref for each in reach.models]
    say(f"   Bug {bug.id}: {len(affected)} models, the first one included.")
    return tuple(sorted(ref.rpartition("/")[2] for ref in affected))
