"""Finds the first bad model of a graph with few tests.

Badness is taken to be inherited: what was made from a bad model is bad, so what a good model was made from is good.
The search looks among *possibilities*: each model may be the first bad one, and perhaps no model is bad. It tests the
model whose result leaves the fewest of them at worst, git's best-split rule with one possibility more, so the ends are
not tested first. Of equals it tests the one that leaves fewer if it is good, then the oldest, then the one of the
least uid. On a chain of n models that is at most ceil(log2(n + 1)) tests, whatever comes out.

Source: git, bisect.c (``do_find_bisection``); MGit, section on bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mgit_core.bisect.explaining import (
    explain_all_fail,
    explain_all_pass,
    explain_ambiguity,
    explain_contradiction,
    explain_found,
)
from mgit_core.bisect.graph import BisectGraph
from mgit_core.bisect.splitting import count_splits
from mgit_core.bisect.values import BisectAnswer, BisectOutcome, BisectStep, BisectVerdict

__all__ = ["next_step", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of a graph, by number."""

    good: frozenset[int]
    bad: frozenset[int]
    skipped: frozenset[int]
    cleared: set[int]  # Good by inheritance.


def search(
    graph: BisectGraph,
    verdicts: Mapping[str, BisectVerdict],
    examine: Callable[[BisectStep], BisectVerdict],
) -> BisectAnswer:
    """The answer for ``graph``; deterministic for a deterministic ``examine``.

    Args:
        graph: What is searched.
        verdicts: What is known before, by uid; none of it is examined. Models outside the graph are left out.
        examine: Tests one model; SKIPPED if it cannot be tested. Never called twice for a model.
    """
    known = dict(verdicts)
    while isinstance(found := next_step(graph, known), BisectStep):
        known[found.uid] = examine(found)
    return found


def next_step(graph: BisectGraph, verdicts: Mapping[str, BisectVerdict]) -> BisectStep | BisectAnswer:
    """The model to test next, or the answer if no test is needed or possible any more.

    Args:
        graph: What is searched.
        verdicts: What is known, by uid. Models outside the graph are left out.
    """
    known = _read(graph, verdicts)
    if contradiction := _find_contradiction(graph, known):
        return _contradicted(graph, contradiction)
    end = _nearest_bad(graph, known)
    below = range(len(graph)) if end is None else graph.ancestors([end])
    candidates = set(below) - known.cleared
    testable = candidates - known.skipped - known.bad
    splits = count_splits(graph, candidates, testable)
    if not testable:
        return _answer(graph, known, end, candidates)
    chosen = min(testable, key=lambda each: (*splits.cost(each), graph.ranks[each]))
    return BisectStep(
        uid=graph.models[chosen].uid,
        left_if_bad=splits.if_bad[chosen],
        left_if_good=splits.possibilities - splits.if_bad[chosen],
    )


def _read(graph: BisectGraph, verdicts: Mapping[str, BisectVerdict]) -> _Known:
    by_verdict: dict[BisectVerdict, set[int]] = {verdict: set() for verdict in BisectVerdict}
    for uid, verdict in verdicts.items():
        if (number := graph.numbers.get(uid)) is not None:
            by_verdict[verdict].add(number)
    good = by_verdict[BisectVerdict.GOOD]
    return _Known(
        good=frozenset(good),
        bad=frozenset(by_verdict[BisectVerdict.BAD]),
        skipped=frozenset(by_verdict[BisectVerdict.SKIPPED]),
        cleared=graph.ancestors(good),
    )


def _find_contradiction(graph: BisectGraph, known: _Known) -> tuple[int, int] | None:
    """The oldest bad model that a good one was made from, and the oldest such good one."""
    for bad in graph.by_age(known.bad & known.cleared):
        return bad, graph.by_age(known.good & graph.descendants([bad]))[0]
    return None


def _nearest_bad(graph: BisectGraph, known: _Known) -> int | None:
    """The bad model with the fewest candidates, the oldest of such; None if no model is known to be bad.

    Of a bad model that was made from a bad one nothing has to be asked: the older one has fewer.
    """
    below: set[int] = set()
    sizes: dict[int, int] = {}
    for number in sorted(known.bad):  # Parents first, so that what is below another one is known by then.
        if number not in below:
            sizes[number] = len(graph.ancestors([number]) - known.cleared)
            below |= graph.descendants([number])
    return min(sizes, key=lambda each: (sizes[each], graph.ranks[each]), default=None)


def _answer(graph: BisectGraph, known: _Known, end: int | None, candidates: set[int]) -> BisectAnswer:
    if end is None and not candidates:
        return BisectAnswer(outcome=BisectOutcome.ALL_PASS, reason=explain_all_pass(graph))
    if end is None or len(candidates) > 1:
        suspects = graph.by_age(candidates)
        return BisectAnswer(
            outcome=BisectOutcome.AMBIGUOUS,
            reason=explain_ambiguity(graph, suspects, end),
            suspects=tuple(graph.models[number].uid for number in suspects),
        )
    unexplored = len(graph) - len(known.cleared | graph.descendants([end]))
    uid = graph.models[end].uid
    if not graph.parents[end] and not known.cleared and not unexplored:
        reason = explain_all_fail(graph, end)
        return BisectAnswer(outcome=BisectOutcome.ALL_FAIL, reason=reason, first_bad=uid)
    return BisectAnswer(
        outcome=BisectOutcome.FOUND,
        reason=explain_found(graph, end, unexplored),
        first_bad=uid,
        unexplored=unexplored,
    )


def _contradicted(graph: BisectGraph, pair: tuple[int, int]) -> BisectAnswer:
    bad, good = pair
    return BisectAnswer(
        outcome=BisectOutcome.NON_MONOTONIC,
        reason=explain_contradiction(graph, bad, good),
        contradiction=(graph.models[bad].uid, graph.models[good].uid),
    )
