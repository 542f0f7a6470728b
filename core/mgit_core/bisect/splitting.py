"""How evenly a test of each model would split what is left of a search."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mgit_core.bisect.graph import BisectGraph

__all__ = ["Splits", "count_splits"]

_BLOCK = 4096
"""Models whose reach is followed in one pass: 512 bytes for each model of the graph, however large it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """What tests would tell.

    Attributes:
        possibilities: How many answers of the search tests can tell apart.
        if_bad: For each model that can be tested, how many of them are left if it is bad.
    """

    possibilities: int
    if_bad: dict[int, int]

    def cost(self, number: int) -> tuple[int, int]:
        """What is left at worst after a test of a model; of equals, what is left if it is good."""
        if_good = self.possibilities - self.if_bad[number]
        return max(self.if_bad[number], if_good), if_good


def count_splits(graph: BisectGraph, candidates: Collection[int], testable: Collection[int]) -> Splits:
    """What a test of each model of ``testable`` would tell of which candidate is the first bad one.

    A possibility is a set of tests that come out bad: two candidates with the same testable descendants are one
    possibility, and one more is that no test comes out bad. Takes time in proportion to the edges among the
    candidates times the candidates, in units of 4,096 of these.

    Args:
        graph: The graph.
        candidates: Models that may be the first bad one; with a model all its ancestors that may be, too.
        testable: Those of them that can be tested.
    """
    order = sorted(candidates)
    tests = set(testable)
    told_apart = order if len(tests) == len(order) else _tell_apart(graph, order, tests)
    counts = dict.fromkeys(order, 0)
    for reach in _reaches(order, graph.parents, told_apart):
        for number, mask in reach.items():
            counts[number] += mask.bit_count()
    return Splits(possibilities=len(told_apart) + 1, if_bad={number: counts[number] for number in tests})


def _tell_apart(graph: BisectGraph, order: Sequence[int], tests: Collection[int]) -> list[int]:
    """One candidate for each set of testable descendants, the empty set left out."""
    classes = dict.fromkeys(order, 0)  # Refined block by block; 0 is the class without testable descendants.
    for reach in _reaches(order[::-1], graph.children, sorted(tests)):
        names: dict[tuple[int, int], int] = {(0, 0): 0}
        classes = {
            number: names.setdefault((classes[number], mask), len(names)) for number, mask in reach.items()
        }
    first = {name: number for number, name in reversed(classes.items()) if name}
    return sorted(first.values())


def _reaches(
    order: Sequence[int], edges: Sequence[Sequence[int]], targets: Iterable[int]
) -> Iterator[dict[int, int]]:
    """For each block of ``targets`` which of them each model reaches, itself included, as bits."""
    rest = iter(targets)
    while block := list(islice(rest, _BLOCK)):
        own = {number: 1 << place for place, number in enumerate(block)}
        masks: dict[int, int] = {}
        for number in order:
            mask = own.get(number, 0)
            for other in edges[number]:
                mask |= masks.get(other, 0)
            masks[number] = mask
        yield masks
