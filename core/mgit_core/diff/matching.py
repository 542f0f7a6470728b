"""Which layers of two models stand for each other, so that as few items differ as can be."""

from __future__ import annotations

from dataclasses import dataclass

from mgit_core.diff.improving import improve
from mgit_core.diff.marks import MarkedGraph, Pairs, count_items, least_items, penalty_of
from mgit_core.diff.searching import MOST_LAYERS, search
from mgit_core.diff.starting import first_matchings

__all__ = ["Matching", "match_graphs"]

# Local moves on larger graphs take longer than what they tell is worth; first matchings stay linear.
_MOST_IMPROVED_EDGES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Which layers stand for each other.

    Attributes:
        pairs: Of each layer of before the layer of after, or None.
        items: Layers added, removed and changed, and edges added and removed.
        least_items: No matching has fewer.
    """

    pairs: tuple[int | None, ...]
    items: int
    least_items: int


def match_graphs(before: MarkedGraph, after: MarkedGraph) -> Matching:
    """A matching with few items; the same whichever graph is called before.

    Layers of one form can be paired, and layers at one path. Among matchings with as many items that one is wanted
    whose pairs hold the same, and then one whose pairs stand at the same path.

    The items are the fewest possible, and said to be, where both graphs have six layers at most; where neither has
    edges; and where the bound of ``least_items`` is met, as it is where few layers or edges differ. Up to 64 layers
    the search often proves it besides. Elsewhere the best of three first matchings, improved layer by layer, is
    taken, and ``least_items`` says how far from the fewest it can be. Better pairs among equals are not proven to be
    the best.
    """
    if before.order_key() > after.order_key():
        found = match_graphs(after, before)
        pairs: Pairs = [None] * len(before)
        for at, other in enumerate(found.pairs):
            if other is not None:
                pairs[other] = at
        return Matching(pairs=tuple(pairs), items=found.items, least_items=found.least_items)
    best = min(
        (_improved(before, after, pairs) for pairs in first_matchings(before, after)),
        key=lambda pairs: _badness(before, after, pairs),
    )
    return _proven(before, after, best)


def _improved(before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> Pairs:
    edges = len(before.edges) + len(after.edges)
    return improve(before, after, pairs) if 0 < edges <= _MOST_IMPROVED_EDGES else pairs


def _badness(before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> tuple[int, int]:
    penalty = sum(penalty_of(before, after, at, other) for at, other in enumerate(pairs) if other is not None)
    return count_items(before, after, pairs), penalty


def _proven(before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> Matching:
    items, penalty = _badness(before, after, pairs)
    if not before.edges and not after.edges:
        return Matching(pairs=tuple(pairs), items=items, least_items=items)
    least = least_items(before, after)
    if max(len(before), len(after)) <= MOST_LAYERS and (items > least or penalty):
        pairs, is_proven = search(before, after, pairs)
        items = count_items(before, after, pairs)
        least = items if is_proven else min(least, items)
    return Matching(pairs=tuple(pairs), items=items, least_items=least)
