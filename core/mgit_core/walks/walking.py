"""Walks: each model once, on any graph without cycles, in the order that is asked for.

What a walk gives, in every order:

- Its *range* is the models within ``max_depth`` hops of the nearest start. Hops are those of the shortest way, and count
  whatever lies on it.
- A model is *reached* if it is a start, or a reached model that is not stopped has an edge to it, within the range.
- The walk gives each reached model once, except those that ``stops`` or ``skips`` holds for. A walk goes on behind a
  skipped model and not behind a stopped one.
- ``stops`` is asked of reached models only, and at most once of each; ``skips`` then of those that are not stopped.
- Where nothing else decides, the smaller number comes first, so the same graph gives the same walk.

Questions are asked late: when a model's turn has come, so that they may depend on what was done with the models before.
One case cannot wait: parents first towards ancestors, children first towards descendants, and either of them in both
directions. There the last model that is reached may have to come first; ``stops`` is asked of all before the first model.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mgit_core.errors import ConflictError, ErrorReason
from mgit_core.walks.graph import WalkGraph
from mgit_core.walks.question import WalkDirection, WalkOrder

__all__ = ["Question", "Step", "WalkPlan", "default_starts", "walk"]

Question: TypeAlias = Callable[[int], bool]
Steps: TypeAlias = Callable[[int], Sequence[int]]


class Step(NamedTuple):
    """A model of a walk.

    Attributes:
        number: The model.
        hops: Of the shortest way from the nearest start; 0 for a start.
    """

    number: int
    hops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkPlan:
    """What a walk does.

    Attributes:
        starts: Where it begins, in any order; None means ``default_starts``.
        direction: Which way it goes.
        order: In which order it gives its models.
        max_depth: Largest number of hops; None means no bound.
        skips: Which models are left out.
        stops: Which models are left out and not passed.
    """

    starts: Iterable[int] | None = None
    direction: WalkDirection = WalkDirection.DESCENDANTS
    order: WalkOrder = WalkOrder.BREADTH_FIRST
    max_depth: int | None = None
    skips: Question | None = None
    stops: Question | None = None


def walk(graph: WalkGraph, plan: WalkPlan) -> Iterator[Step]:
    """The models of a walk, as they are asked for. Takes time and memory of the range, whatever the number of paths.

    Raises:
        ConflictError: CYCLE, for parents or children first over edges that form one.
    """
    chosen = default_starts(graph, plan.direction) if plan.starts is None else plan.starts
    starts = sorted(set(chosen))
    match plan.order:
        case WalkOrder.BREADTH_FIRST:
            return _breadth_first(graph, starts, plan)
        case WalkOrder.DEPTH_FIRST:
            return _depth_first(graph, starts, plan)
        case WalkOrder.PARENTS_FIRST if plan.direction is WalkDirection.DESCENDANTS:
            return _along(graph, starts, plan)
        case WalkOrder.CHILDREN_FIRST if plan.direction is WalkDirection.ANCESTORS:
            return _along(graph, starts, plan)
        case WalkOrder.PARENTS_FIRST | WalkOrder.CHILDREN_FIRST:
            return _against(graph, starts, plan)


def default_starts(graph: WalkGraph, direction: WalkDirection) -> list[int]:
    """The models from which all of the graph is reached: those without an edge against the direction.

    In both directions: those without an edge to an older model.
    """
    before = graph.newer if direction is WalkDirection.ANCESTORS else graph.older
    return [number for number in range(len(graph.models)) if not before.of(number)]


def _breadth_first(graph: WalkGraph, starts: list[int], plan: WalkPlan) -> Iterator[Step]:
    steps = _steps(graph, plan.direction)
    # Without stops the rounds themselves count the hops.
    hops = None if plan.stops is None else _range(starts, steps, plan.max_depth)
    seen = bytearray(len(graph.models))
    level, depth = starts, 0
    for number in starts:
        seen[number] = 1
    while level:
        reached: list[int] = []
        for number in level:
            if plan.stops is not None and plan.stops(number):
                continue
            if plan.skips is None or not plan.skips(number):
                yield Step(number, depth if hops is None else hops[number])
            if hops is None and depth == plan.max_depth:
                continue
            for each in steps(number):
                if not seen[each] and (hops is None or each in hops):
                    seen[each] = 1
                    reached.append(each)
        reached.sort()
        level, depth = reached, depth + 1


def _depth_first(graph: WalkGraph, starts: list[int], plan: WalkPlan) -> Iterator[Step]:
    steps = _steps(graph, plan.direction)
    hops = _range(starts, steps, plan.max_depth)
    seen = bytearray(len(graph.models))
    stack = starts[::-1]
    while stack:
        number = stack.pop()
        if seen[number]:
            continue
        seen[number] = 1
        if plan.stops is not None and plan.stops(number):
            continue
        if plan.skips is None or not plan.skips(number):
            yield Step(number, hops[number])
        stack += [each for each in reversed(steps(number)) if not seen[each] and each in hops]


def _along(graph: WalkGraph, starts: list[int], plan: WalkPlan) -> Iterator[Step]:
    """Parents or children first, in the direction of the walk: what is reached shows as it goes on."""
    steps = _steps(graph, plan.direction)
    hops = _range(starts, steps, plan.max_depth)
    reached = set(starts)
    for number in _sorted_by_edges(hops, steps):
        if number not in reached or (plan.stops is not None and plan.stops(number)):
            continue
        reached.update(each for each in steps(number) if each in hops)
        if plan.skips is None or not plan.skips(number):
            yield Step(number, hops[number])


def _against(graph: WalkGraph, starts: list[int], plan: WalkPlan) -> Iterator[Step]:
    """Parents or children first where the walk goes the other way, or both ways."""
    steps = _steps(graph, plan.direction)
    hops = _range(starts, steps, plan.max_depth)
    passed = {number: hops[number] for number in _passed(starts, steps, hops, plan.stops)}
    is_parents = plan.order is WalkOrder.PARENTS_FIRST
    for number in _sorted_by_edges(passed, graph.newer.of if is_parents else graph.older.of):
        if plan.skips is None or not plan.skips(number):
            yield Step(number, passed[number])


def _steps(graph: WalkGraph, direction: WalkDirection) -> Steps:
    """Where a walk can go from a model."""
    match direction:
        case WalkDirection.ANCESTORS:
            return graph.older.of
        case WalkDirection.DESCENDANTS:
            return graph.newer.of
        case WalkDirection.BOTH:
            return lambda number: sorted({*graph.older.of(number), *graph.newer.of(number)})


def _range(starts: list[int], steps: Steps, max_depth: int | None) -> dict[int, int]:
    """Hops of each model within the depth."""
    hops = dict.fromkeys(starts, 0)
    level, depth = starts, 0
    while level and depth != max_depth:
        depth += 1
        reached: list[int] = []
        for number in level:
            for each in steps(number):
                if each not in hops:
                    hops[each] = depth
                    reached.append(each)
        level = reached
    return hops


def _passed(starts: list[int], steps: Steps, hops: dict[int, int], stops: Question | None) -> Iterable[int]:
    """The reached models that are not stopped."""
    if stops is None:
        return hops
    passed: list[int] = []
    seen, level = set(starts), starts
    while level:
        reached: list[int] = []
        for number in level:
            if stops(number):
                continue
            passed.append(number)
            found = [each for each in steps(number) if each in hops and each not in seen]
            seen.update(found)
            reached += found
        level = sorted(reached)
    return passed


def _sorted_by_edges(chosen: dict[int, int], steps: Steps) -> Iterator[int]:
    """The models with each behind those whose steps lead to it; the smallest of those that may come next first."""
    waits = dict.fromkeys(chosen, 0)
    for number in chosen:
        for each in steps(number):
            if each in waits:
                waits[each] += 1
    ready = [number for number, count in waits.items() if not count]
    heapq.heapify(ready)
    given = 0
    while ready:
        number = heapq.heappop(ready)
        given += 1
        yield number
        for each in steps(number):
            if each in waits:
                waits[each] -= 1
                if not waits[each]:
                    heapq.heappush(ready, each)
    if given < len(waits):
        raise ConflictError(
            ErrorReason.CYCLE,
            f"No order has parents before children: edges among {len(waits) - given} of the models form a cycle. If "
            "the graph changed just now, ask again; otherwise 'mgit doctor' finds the edges.",
            models=len(waits) - given,
        )
