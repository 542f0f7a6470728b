"""A matching made better layer by layer, until no single move helps."""

from __future__ import annotations

from collections.abc import Iterator

from mgit_core.diff.marks import MarkedGraph, Pairs, penalty_of

__all__ = ["improve"]

_MOST_PASSES = 8
# Looking at neighbors of neighbors is quadratic in how many there are.
_MOST_NEIGHBORS = 32


def improve(before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> Pairs:
    """A matching with no more items than ``pairs``.

    Layers move to where the data flow around them says that they belong; two may change places.
    """
    worker = _Improvement(before, after, pairs)
    for _ in range(_MOST_PASSES):
        if not worker.pass_over():
            break
    return worker.pairs


class _Improvement:
    """A matching in both directions, and what a move gains."""

    def __init__(self, before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> None:
        self._before, self._after = before, after
        self.pairs = list(pairs)
        self._back: list[int | None] = [None] * len(after)
        for at, other in enumerate(self.pairs):
            if other is not None:
                self._back[other] = at

    def pass_over(self) -> bool:
        """Try every layer once; gives whether anything moved."""
        moved = False
        for at in range(len(self._before)):
            for other in list(self._places(at)):
                moved |= other != self.pairs[at] and self._try(at, other)
        return moved

    def _places(self, at: int) -> Iterator[int]:
        """Layers of after that ``at`` could stand for, as its neighbors have it."""
        twin = self._after.place.get(self._before.paths[at])
        if twin is not None:
            yield twin
        seen: set[int] = set()
        for neighbors, back in (
            (self._before.givers, self._after.takers),
            (self._before.takers, self._after.givers),
        ):
            for neighbor in neighbors[at][:_MOST_NEIGHBORS]:
                image = self.pairs[neighbor]
                for other in back[image][:_MOST_NEIGHBORS] if image is not None else ():
                    if other not in seen and self._fits(at, other):
                        seen.add(other)
                        yield other

    def _fits(self, at: int, other: int) -> bool:
        return (
            self._before.forms[at] == self._after.forms[other]
            or self._before.paths[at] == self._after.paths[other]
        )

    def _try(self, at: int, other: int) -> bool:
        """Pair the two if that is better; who is driven out takes the place that became free, or none."""
        old, rival = self.pairs[at], self._back[other]
        touched = [at] if rival is None else [at, rival]
        worth = self._worth(touched)
        self._set(at, other)
        for place in (old, None):
            if rival is not None:
                if place is not None and not self._fits(rival, place):
                    continue
                self._set(rival, place)
            if self._worth(touched) > worth:
                return True
        self._set(at, old)
        if rival is not None:
            self._set(rival, other)
        return False

    def _set(self, at: int, other: int | None) -> None:
        old = self.pairs[at]
        if old is not None and self._back[old] == at:
            self._back[old] = None
        self.pairs[at] = other
        if other is not None:
            self._back[other] = at

    def _worth(self, touched: list[int]) -> tuple[int, int]:
        """What these layers save, in items, and less what speaks against their pairs."""
        saved, penalty = 0, 0
        kept: set[tuple[int, int]] = set()
        for at in touched:
            other = self.pairs[at]
            if other is None:
                continue
            saved += 2 if self._before.forms[at] == self._after.forms[other] else 1
            penalty += penalty_of(self._before, self._after, at, other)
            kept.update((at, taker) for taker in self._before.takers[at])
            kept.update((giver, at) for giver in self._before.givers[at])
        saved += 2 * sum((self.pairs[giver], self.pairs[taker]) in self._after.edges for giver, taker in kept)
        return saved, -penalty
