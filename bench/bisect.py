"""Bisection: every chain of 1 to 39 models, 1,000 random graphs beside git's rule, and the time of a choice."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.bisect_graphs import (
    NO_BAD_MODEL,
    GitSearch,
    Parents,
    chain,
    heirs,
    make_graph,
    random_dag,
    with_no_bad_model,
)
from bench.figures import Figure, Report
from bench.machine import describe_machine

from mgit_core.bisect import BisectGraph, BisectStep, BisectVerdict, next_step, search

__all__ = ["measure"]

_LENGTHS = range(1, 40)
_GRAPHS = range(1_000)
_LARGE = (10_000, 100_000)
_PARENTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """A search, and what git needs for the same answer on the same graph."""

    is_right: bool
    tests: int
    bound: int


def measure() -> Report:
    """Right answers and tests, counted; then seconds."""
    chains = list(_chains())
    graphs = list(_graphs())
    figures = [
        *_count_figures("chains of 1 to 39 models, all-pass and all-fail too", chains, "ceil(log2(n + 1))"),
        *_count_figures("1,000 random graphs, every model as the origin and none", graphs, "git's rule"),
        Figure(name="tests on these graphs, on average", value=_mean(graphs), unit="tests"),
        Figure(
            name="the same by git's rule",
            value=statistics.fmean(each.bound for each in graphs),
            unit="tests",
        ),
    ]
    for size in _LARGE:
        figures.append(_time_figure(f"first choice among {size:,} models in a chain", chain(size)))
        figures.append(
            _time_figure(f"first choice among {size:,} models with {_PARENTS} parents each", _dense(size))
        )
    return Report(title="Bisection", machine=describe_machine(), figures=figures)


def _count_figures(what: str, searches: Sequence[_Search], bound: str) -> Iterator[Figure]:
    wrong = sum(not each.is_right for each in searches)
    over = sum(each.tests > each.bound for each in searches)
    count = f"of {len(searches):,} searches"
    yield Figure(name=f"{what}: wrong answers", value=wrong, unit=count, goal="0", is_reached=wrong == 0)
    yield Figure(
        name=f"{what}: more tests than {bound}", value=over, unit=count, goal="0", is_reached=over == 0
    )


def _chains() -> Iterator[_Search]:
    for length in _LENGTHS:
        parents = chain(length)
        graph, bound = make_graph(parents), math.ceil(math.log2(length + 1))
        for place in range(length + 1):
            first = f"v{place}" if place < length else None
            found, tests = _search(graph, heirs(parents, [first] if first else []))
            yield _Search(is_right=found == first, tests=tests, bound=bound)


def _graphs() -> Iterator[_Search]:
    for seed in _GRAPHS:
        parents = random_dag(seed)
        asked = with_no_bad_model(parents)
        graph, git = make_graph(parents), GitSearch(asked)
        for origin in asked:
            bad = heirs(asked, [origin])
            found, tests = _search(graph, bad)
            yield _Search(
                is_right=(found or NO_BAD_MODEL) == origin, tests=tests, bound=git.find(NO_BAD_MODEL, bad)[1]
            )


def _search(graph: BisectGraph, bad: set[str]) -> tuple[str | None, int]:
    tests = 0

    def examine(step: BisectStep) -> BisectVerdict:
        nonlocal tests
        tests += 1
        return BisectVerdict.BAD if step.uid in bad else BisectVerdict.GOOD

    return search(graph, {}, examine).first_bad, tests


def _mean(searches: Sequence[_Search]) -> float:
    return statistics.fmean(each.tests for each in searches)


def _dense(size: int) -> Parents:
    numbers = random.Random(size)
    return {
        f"m{place}": [f"m{parent}" for parent in numbers.sample(range(place), min(_PARENTS, place))]
        for place in range(size)
    }


def _time_figure(name: str, parents: Parents) -> Figure:
    graph = make_graph(parents)
    start = time.perf_counter()
    next_step(graph, {})
    return Figure(name=name, value=time.perf_counter() - start, unit="s")
