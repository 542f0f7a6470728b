"""Graphs to bisect, what is bad in them, and git's rule, which the search is compared with."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from mgit_core.bisect import BisectGraph, BisectModel, build_graph

__all__ = [
    "NO_BAD_MODEL",
    "GitSearch",
    "Parents",
    "chain",
    "first_bad_ones",
    "heirs",
    "make_graph",
    "random_dag",
    "with_no_bad_model",
]

Parents: TypeAlias = Mapping[str, Sequence[str]]
"""The parents of each model; parents come first."""

NO_BAD_MODEL = "none"
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def make_graph(parents: Parents) -> BisectGraph:
    """A graph whose models were made in the order of ``parents``, a minute apart."""
    return build_graph(
        BisectModel(
            uid=uid, ref=f"{uid}@1", created_at=_BEGIN + timedelta(minutes=minute), parents=tuple(each)
        )
        for minute, (uid, each) in enumerate(parents.items())
    )


def chain(length: int) -> dict[str, list[str]]:
    """``v0`` to ``v(length - 1)``, each made from the one before."""
    return {f"v{place}": [f"v{place - 1}"] if place else [] for place in range(length)}


def random_dag(seed: int) -> dict[str, list[str]]:
    """A graph of 2 to 40 models with one end: chains, forks, merges and wide ones, as the seed wants."""
    numbers = random.Random(seed)
    count = numbers.randint(2, 40)
    reach, most = numbers.choice((1, 2, 4, 40)), numbers.choice((1, 2, 3, 6))
    parents: dict[str, list[str]] = {}
    for place in range(count - 1):
        near = range(max(0, place - reach), place)
        wanted = numbers.randint(0 if numbers.random() < 0.2 else 1, most)
        parents[f"m{place}"] = [
            f"m{parent}" for parent in sorted(numbers.sample(near, min(wanted, len(near))))
        ]
    used = {parent for each in parents.values() for parent in each}
    parents[f"m{count - 1}"] = [uid for uid in parents if uid not in used]
    return parents


def heirs(parents: Parents, origins: Collection[str]) -> set[str]:
    """``origins`` and all that was made from them."""
    bad = set(origins)
    for uid, each in parents.items():  # Parents come first.
        if bad.intersection(each):
            bad.add(uid)
    return bad


def first_bad_ones(parents: Parents, bad: Collection[str]) -> set[str]:
    """Bad models all of whose parents are good: a walk over everything."""
    return {uid for uid in bad if not set(parents[uid]) & set(bad)}


def with_no_bad_model(parents: Parents) -> dict[str, list[str]]:
    """The same graph with one model more, ``NO_BAD_MODEL``, made from the end: the first bad one if none is bad.

    That is how git can be asked whether there is a bad model at all, since it takes its end to be bad.
    """
    return {**{uid: list(each) for uid, each in parents.items()}, NO_BAD_MODEL: [list(parents)[-1]]}


class GitSearch:
    """Git's search on one graph, written over sets, apart from the search that it is compared with.

    Its rule: of the candidates, test the one whose number of candidate ancestors, itself counted, is nearest to
    half of them. Of equals it takes the one with more ancestors, then the oldest, as the search does, since any
    other choice among equals would only compare luck.
    """

    def __init__(self, parents: Parents) -> None:
        self.ancestors: dict[str, set[str]] = {}
        for uid, each in parents.items():  # Parents come first.
            self.ancestors[uid] = {uid}.union(*(self.ancestors[parent] for parent in each))
        self._steps: dict[frozenset[str], str] = {}

    def find(self, end: str, bad: Collection[str]) -> tuple[str, int]:
        """The first bad model below ``end``, which is taken to be bad, and how many tests it took."""
        candidates = frozenset(self.ancestors[end])
        tests = 0
        while len(candidates) > 1:
            best = self._steps.get(candidates) or self._best(candidates)
            self._steps[candidates] = best
            tests += 1
            if best in bad:
                candidates &= self.ancestors[best]
            else:
                candidates -= self.ancestors[best]
        return next(iter(candidates)), tests

    def _best(self, candidates: frozenset[str]) -> str:
        best, best_value = "", (-1, -1)
        for uid, ancestors in self.ancestors.items():
            if uid in candidates:
                behind = len(ancestors & candidates)
                value = (min(behind, len(candidates) - behind), behind)
                if value > best_value:
                    best, best_value = uid, value
        return best
