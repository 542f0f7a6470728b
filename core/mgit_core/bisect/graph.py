"""The graph that a bisection searches, its models numbered so that parents come before their children."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mgit_core.bisect.values import BisectModel
from mgit_core.errors import ConflictError, ErrorReason, FailedPreconditionError

__all__ = ["BisectGraph", "build_graph"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectGraph:
    """Models and edges. A model's number is its place in ``models``.

    Attributes:
        models: Parents before their children; of those that are free to come next, the oldest, then the one of
            the least uid.
        parents: For each model the numbers of its parents, ascending.
        children: For each model the numbers of its children, ascending.
        ranks: For each model its place by creation time and uid alone.
        numbers: The number of each uid.
    """

    models: tuple[BisectModel, ...]
    parents: tuple[tuple[int, ...], ...]
    children: tuple[tuple[int, ...], ...]
    ranks: tuple[int, ...]
    numbers: dict[str, int]

    def __len__(self) -> int:
        return len(self.models)

    def ancestors(self, starts: Iterable[int]) -> set[int]:
        """``starts`` and all that they come from."""
        return _reach(starts, self.parents)

    def descendants(self, starts: Iterable[int]) -> set[int]:
        """``starts`` and all that comes from them."""
        return _reach(starts, self.children)

    def by_age(self, numbers: Iterable[int]) -> list[int]:
        """``numbers``, oldest first."""
        return sorted(numbers, key=self.ranks.__getitem__)


def build_graph(models: Iterable[BisectModel]) -> BisectGraph:
    """The graph of ``models``, given in any order; parents that are not among them are left out.

    Raises:
        FailedPreconditionError: NOTHING_TO_BISECT: there are no models.
        ConflictError: CYCLE: the edges go round.
    """
    aged = sorted(models, key=lambda model: (model.created_at, model.uid))
    if not aged:
        raise FailedPreconditionError(
            ErrorReason.NOTHING_TO_BISECT, "A bisection needs at least one model; found none."
        )
    rank_of = {model.uid: rank for rank, model in enumerate(aged)}
    parents = [sorted({rank_of[uid] for uid in model.parents if uid in rank_of}) for model in aged]
    order = _parents_first(parents)
    if len(order) < len(aged):
        left = sorted(set(range(len(aged))) - set(order))
        raise ConflictError(
            ErrorReason.CYCLE,
            f"Edges of a lineage never go round, yet {len(left)} models reach themselves or come from such, "
            f"{aged[left[0]].ref} among them; 'mgit doctor' tells more.",
        )
    number_of = {rank: number for number, rank in enumerate(order)}
    numbered = [tuple(sorted(number_of[parent] for parent in parents[rank])) for rank in order]
    return BisectGraph(
        models=tuple(aged[rank] for rank in order),
        parents=tuple(numbered),
        children=_turned(numbered),
        ranks=tuple(order),
        numbers={aged[rank].uid: number for number, rank in enumerate(order)},
    )


def _parents_first(parents: Sequence[Sequence[int]]) -> list[int]:
    """Every model that no cycle holds back, by rank where there is a choice."""
    children = _turned(parents)
    waiting = [len(each) for each in parents]
    free = [rank for rank, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while free:
        rank = heapq.heappop(free)
        order.append(rank)
        for child in children[rank]:
            waiting[child] -= 1
            if waiting[child] == 0:
                heapq.heappush(free, child)
    return order


def _turned(parents: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    children: list[list[int]] = [[] for _ in parents]
    for child, each in enumerate(parents):
        for parent in each:
            children[parent].append(child)
    return tuple(map(tuple, children))


def _reach(starts: Iterable[int], edges: Sequence[Sequence[int]]) -> set[int]:
    reached = set(starts)
    waiting = list(reached)
    while waiting:
        for other in edges[waiting.pop()]:
            if other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached
