"""The pool is stored, walked and tested, and what the failing models have in common is asked of the lineage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from examples.half_precision.network import predict
from examples.half_precision.pool import POOL, PoolMember, make_pool, sample_texts
from examples.throwaway import choose_prefix

import mgit
from mgit.bisecting import Bisection

__all__ = ["Findings", "answers_in_half", "tell_story"]

_KIND = "text-classifier"
_CARRIED_BY = ("finetuned", "pruned", "merged")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came out.

    Attributes:
        walked: Names of the models in the order of the walk.
        failing: Those of them that fail in half precision, by the test.
        numberless: Those whose answers to real texts in half precision have NaN or infinities.
        origin: Where the first failing one came in, and how many tests that took.
    """

    walked: tuple[str, ...]
    failing: tuple[str, ...]
    numberless: tuple[str, ...]
    origin: Bisection


def tell_story(repository: mgit.Repository, say: Say, members: Sequence[PoolMember] = POOL) -> Findings:
    """Runs the example on a repository, under a prefix that is free.

    Raises:
        MGitError: As the SDK raises it.
    """
    prefix = choose_prefix(repository, "half-precision")
    say(f"\n== A pool of {len(members)} models, each base with what was made from it")
    added = _add(repository, prefix, members)
    for line in _tree_lines(members):
        say(f"   {line}")

    say("\n== Every model is walked, parents first, and tested: is each weight finite in half precision?")
    test = f"{prefix}/finite-in-half"
    repository.tests.register(test, builtin="finite-in-half", type=_type(prefix))
    bases = [added[member.name] for member in members if not member.parents]
    walked = list(repository.walk(bases, order="parents-first"))
    runs = {run.model.uid: run for run in repository.tests.run(test, models=walked, progress=None)}
    failing = [each for each in walked if runs[each.uid].is_bad]
    loaded = repository.load_many(walked, progress=None)
    numberless = [each for each, weights in zip(walked, loaded, strict=True) if not answers_in_half(weights)]
    width = max(len(each.ref) for each in walked)
    for each in walked:
        run = runs[each.uid]
        mark = "fails " if run.is_bad else "passes"
        answers = "NaN" if each in numberless else "finite"
        say(
            f"   {mark}  {each.ref:<{width}}  {run.result.value:>6,.0f} weights overflow, its answers are {answers}"
        )

    say(f"\n== {len(failing)} of {len(walked)} fail. Where did it come from?")
    origin = repository.bisect(failing[-1], test)
    say(f"   {origin.reason}")
    say(f"   {origin.tests_run} tests ran: every result was known.")
    if origin.first_bad is not None:
        heirs = repository.walk(origin.first_bad, stop=lambda each: not runs[each.uid].is_bad)
        say(f"   A walk from there that stops where the test passes: {_names(heirs, prefix)}.")
        bug = repository.bugs.report(
            "NaN in half precision", origin.first_bad, description=origin.reason, carried_by=_CARRIED_BY
        )
        count = repository.bugs.count_affected(bug)
        say(f"   Recorded as bug {bug.id}, carried by {', '.join(_CARRIED_BY)}: {count} models have it.")
    return Findings(
        walked=tuple(_plain(each.name, prefix) for each in walked),
        failing=tuple(_plain(each.name, prefix) for each in failing),
        numberless=tuple(_plain(each.name, prefix) for each in numberless),
        origin=origin,
    )


def answers_in_half(weights: Mapping[str, Any]) -> bool:
    """Whether a model that is run in half precision gives nothing but finite numbers, for some texts."""
    return bool(np.isfinite(predict(weights, sample_texts(9), np.float16)).all())


def _add(repository: mgit.Repository, prefix: str, members: Sequence[PoolMember]) -> dict[str, mgit.Model]:
    weights = make_pool(members)
    added: dict[str, mgit.Model] = {}
    for member in members:
        parents = [mgit.Parent(added[name], mgit.Relation(member.relation)) for name in member.parents]
        added[member.name] = repository.add(
            f"{prefix}/{member.name}",
            weights[member.name],
            parents=parents,
            type=_type(prefix),
            progress=None,
        )
    return added


def _type(prefix: str) -> str:
    """A model type of its own, so that the test is for these models alone."""
    return f"{prefix}-{_KIND}"


def _tree_lines(members: Sequence[PoolMember]) -> Iterator[str]:
    for base in members:
        if not base.parents:
            heirs = [member.name for member in members if member.name.startswith(f"{base.name}-")]
            yield f"{base.name}: {', '.join(heirs)}"


def _names(walk: mgit.walking.Walk, prefix: str) -> str:
    return ", ".join(_plain(each.name, prefix) for each in walk)


def _plain(name: str, prefix: str) -> str:
    return name.removeprefix(f"{prefix}/")
