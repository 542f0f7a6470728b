"""A matching with the fewest items, searched for among all of them."""

from __future__ import annotations

import contextlib
from collections import Counter, deque

from mgit_core.diff.marks import MarkedGraph, Pairs, changeable, count_items, most_kept, penalty_of

__all__ = ["MOST_LAYERS", "search"]

MOST_LAYERS = 64
"""Larger graphs are not searched: what is pruned grows slower than what there is."""

# Two graphs of six layers that are all alike have 13,327 matchings, and no search over them takes more steps than this.
_MOST_STEPS = 20_000
_SMALL = 6
# A step over larger graphs looks at all layers and edges; so many looks take some tenths of a second.
_MOST_LOOKS = 200_000


def search(before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> tuple[Pairs, bool]:
    """A matching at least as good as ``pairs``, and whether it is known that none has fewer items.

    Branch and bound over the layers of ``before``. It always ends with a proof where both have six layers at most, and
    else within some tenths of a second, with or without one.
    """
    searching = _Search(before, after, pairs)
    try:
        searching.find_fewer_items()
    except _OutOfStepsError:
        return searching.best, False
    with contextlib.suppress(_OutOfStepsError):
        searching.find_better_pairs()
    return searching.best, True


class _OutOfStepsError(Exception):
    """The search was given up."""


class _Search:
    """Tries the layers of before one after the other; what is decided is in ``_pairs`` and ``_back``."""

    def __init__(self, before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> None:
        self._before, self._after = before, after
        self._twins = changeable(before, after)
        self._order = _connected_order(before)
        self._fits = [
            [
                other
                for other in range(len(after))
                if before.forms[at] == after.forms[other] or self._twins.get(at) == other
            ]
            for at in range(len(before))
        ]
        self._pairs: Pairs = [None] * len(before)
        self._back: list[int | None] = [None] * len(after)
        self._is_decided = [False] * len(before)
        sizes = len(before) + len(after) + len(before.edges) + len(after.edges)
        is_small = max(len(before), len(after)) <= _SMALL
        self._most_steps = _MOST_STEPS if is_small else _MOST_LOOKS // sizes
        self._steps = 0
        self._heeds_penalty = False
        self.best = list(pairs)
        self._best_saved = sizes - count_items(before, after, pairs)
        self._best_penalty = sum(
            penalty_of(before, after, at, other) for at, other in enumerate(pairs) if other is not None
        )

    def find_fewer_items(self) -> None:
        """Search for matchings with fewer items than the best one.

        Raises:
            _OutOfStepsError: It took too long.
        """
        self._run(heeds_penalty=False)

    def find_better_pairs(self) -> None:
        """Search, among those with as many items as the best one, for one with better pairs.

        Raises:
            _OutOfStepsError: It took too long.
        """
        self._run(heeds_penalty=True)

    def _run(self, *, heeds_penalty: bool) -> None:
        self._heeds_penalty = heeds_penalty
        self._steps = 0
        self._pairs = [None] * len(self._before)
        self._back = [None] * len(self._after)
        self._is_decided = [False] * len(self._before)
        self._place(0, 0, 0)

    def _place(self, depth: int, saved: int, penalty: int) -> None:
        if depth == len(self._order):
            if self._is_better(saved, penalty):
                self._best_saved, self._best_penalty = saved, penalty
                self.best = list(self._pairs)
            return
        self._steps += 1
        if self._steps > self._most_steps:
            raise _OutOfStepsError
        if not self._is_better(saved + self._most_saved(), penalty):
            return
        at = self._order[depth]
        self._is_decided[at] = True
        for gain, against, other in self._options(at):
            self._pairs[at] = other
            if other is not None:
                self._back[other] = at
            self._place(depth + 1, saved + gain, penalty + against)
            if other is not None:
                self._back[other] = None
        self._pairs[at] = None
        self._is_decided[at] = False

    def _is_better(self, saved: int, penalty: int) -> bool:
        if saved != self._best_saved:
            return saved > self._best_saved
        return self._heeds_penalty and penalty < self._best_penalty

    def _options(self, at: int) -> list[tuple[int, int, int | None]]:
        """What ``at`` can be paired with, the best first: what that saves, what speaks against it, and the layer."""
        options: list[tuple[int, int, int | None]] = [(0, 0, None)]
        for other in self._fits[at]:
            if self._back[other] is None:
                saved = 2 if self._before.forms[at] == self._after.forms[other] else 1
                saved += 2 * self._kept_by(at, other)
                options.append((saved, penalty_of(self._before, self._after, at, other), other))
        return sorted(options, key=lambda option: (-option[0], option[1]))

    def _kept_by(self, at: int, other: int) -> int:
        """Edges to layers that are decided which both have."""
        kept = 0
        for giver in self._before.givers[at]:
            kept += self._is_decided[giver] and (self._pairs[giver], other) in self._after.edges
        for taker in self._before.takers[at]:
            kept += self._is_decided[taker] and (other, self._pairs[taker]) in self._after.edges
        return kept

    def _most_saved(self) -> int:
        """What the layers that are not decided can save at most."""
        open_layers = [at for at, decided in enumerate(self._is_decided) if not decided]
        free = [other for other, back in enumerate(self._back) if back is None]
        forms = Counter(self._before.forms[at] for at in open_layers)
        others = Counter(self._after.forms[other] for other in free)
        alike = sum((forms & others).values())
        twins = {
            at: self._twins[at]
            for at in open_layers
            if at in self._twins and self._back[self._twins[at]] is None
        }
        changed = min(len(twins), len(open_layers) - alike, len(free) - alike)
        return 2 * alike + max(0, changed) + 2 * self._most_edges()

    def _most_edges(self) -> int:
        """Edges with an end that is not decided which both can have."""
        mine = [edge for edge in self._before.edges if self._is_open(*edge)]
        theirs = [edge for edge in self._after.edges if self._is_free(*edge)]
        loose = [edge for edge in mine if not self._twins.keys().isdisjoint(edge)]
        twins = set(self._twins.values())
        other_loose = [edge for edge in theirs if not twins.isdisjoint(edge)]
        label, other_label = self._before.labels, self._after.labels
        return most_kept(label(mine), other_label(theirs), label(loose), other_label(other_loose))

    def _is_open(self, giver: int, taker: int) -> bool:
        """Whether an edge of before can still be kept, and is not kept already."""
        decided = [at for at in (giver, taker) if self._is_decided[at]]
        return len(decided) < 2 and all(self._pairs[at] is not None for at in decided)

    def _is_free(self, giver: int, taker: int) -> bool:
        return self._back[giver] is None or self._back[taker] is None


def _connected_order(graph: MarkedGraph) -> list[int]:
    """Layers so that each has as many neighbors before it as can be: edges are decided early."""
    order: list[int] = []
    seen: set[int] = set()
    for start in sorted(range(len(graph)), key=lambda at: -len(graph.takers[at]) - len(graph.givers[at])):
        waiting = deque([] if start in seen else [start])
        seen.add(start)
        while waiting:
            at = waiting.popleft()
            order.append(at)
            for neighbor in (*graph.takers[at], *graph.givers[at]):
                if neighbor not in seen:
                    seen.add(neighbor)
                    waiting.append(neighbor)
    return order
