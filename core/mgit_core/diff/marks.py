"""Layer graphs as the matching sees them: what a layer is like, what it holds, and whom it feeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "MarkedGraph",
    "Pairs",
    "changeable",
    "count_items",
    "least_items",
    "most_kept",
    "penalty_of",
]

Pairs: TypeAlias = "list[int | None]"
"""For each layer of before the layer of after that it is paired with; no layer of after is there twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedGraph:
    """A layer graph.

    Attributes:
        paths: Path of each layer; each is there once.
        forms: What each layer is like: kind and shapes. Layers of one form can be paired.
        contents: What each layer holds, if no other layer of the model holds the same and it is no accident where two
            models do; else empty. Decides first between diffs with as many items.
        hints: What each layer holds in any case. Decides last.
        edges: Data flow, as pairs of layers.
    """

    paths: tuple[str, ...]
    forms: tuple[str, ...]
    contents: tuple[bytes, ...]
    hints: tuple[bytes, ...] = ()
    edges: frozenset[tuple[int, int]] = frozenset()
    place: Mapping[str, int] = field(init=False, repr=False, compare=False)
    takers: Sequence[Sequence[int]] = field(init=False, repr=False, compare=False)
    givers: Sequence[Sequence[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index paths and neighbors once; without hints contents are hints."""
        object.__setattr__(self, "hints", self.hints or self.contents)
        takers: list[list[int]] = [[] for _ in self.paths]
        givers: list[list[int]] = [[] for _ in self.paths]
        for giver, taker in sorted(self.edges):
            takers[giver].append(taker)
            givers[taker].append(giver)
        object.__setattr__(self, "place", {path: at for at, path in enumerate(self.paths)})
        object.__setattr__(self, "takers", takers)
        object.__setattr__(self, "givers", givers)

    def __len__(self) -> int:
        return len(self.paths)

    def order_key(self) -> tuple[object, ...]:
        """Orders graphs, so that two of them can be told apart whichever came first."""
        return len(self), len(self.edges), self.paths, self.forms, self.hints, tuple(sorted(self.edges))

    def labels(self, edges: Iterable[tuple[int, int]]) -> Counter[tuple[str, str]]:
        """How many of ``edges`` lead from a layer of one form to one of another."""
        return Counter((self.forms[giver], self.forms[taker]) for giver, taker in edges)


def count_items(before: MarkedGraph, after: MarkedGraph, pairs: Pairs) -> int:
    """Layers added, removed and changed, and edges added and removed, if ``pairs`` stand for each other."""
    paired = [(at, other) for at, other in enumerate(pairs) if other is not None]
    changed = sum(before.forms[at] != after.forms[other] for at, other in paired)
    kept = sum((pairs[giver], pairs[taker]) in after.edges for giver, taker in before.edges)
    layers = len(before) + len(after) - 2 * len(paired) + changed
    return layers + len(before.edges) + len(after.edges) - 2 * kept


def penalty_of(before: MarkedGraph, after: MarkedGraph, at: int, other: int) -> int:
    """What speaks against a pair where as many items differ without it: other content, another path, another hint."""
    more_than_all = min(len(before), len(after)) + 1
    penalty = int(before.contents[at] != after.contents[other])
    penalty = more_than_all * penalty + (before.paths[at] != after.paths[other])
    return more_than_all * penalty + (before.hints[at] != after.hints[other])


def changeable(before: MarkedGraph, after: MarkedGraph) -> dict[int, int]:
    """Layers that stand at the same path in both and are not alike."""
    return {
        at: after.place[path]
        for at, path in enumerate(before.paths)
        if path in after.place and before.forms[at] != after.forms[after.place[path]]
    }


def least_items(before: MarkedGraph, after: MarkedGraph) -> int:
    """A number of items that no diff is below: what forms alone, and forms at both ends of an edge, tell."""
    twins = changeable(before, after)
    forms, others = Counter(before.forms), Counter(after.forms)
    alike = sum((forms & others).values())
    changed = min(len(twins), len(before) - alike, len(after) - alike)
    layers = len(before) + len(after) - 2 * alike - changed
    kept = most_kept(
        before.labels(before.edges),
        after.labels(after.edges),
        before.labels(edge for edge in before.edges if not twins.keys().isdisjoint(edge)),
        after.labels(edge for edge in after.edges if not set(twins.values()).isdisjoint(edge)),
    )
    return layers + len(before.edges) + len(after.edges) - 2 * kept


def most_kept(
    before: Counter[tuple[str, str]],
    after: Counter[tuple[str, str]],
    before_loose: Counter[tuple[str, str]],
    after_loose: Counter[tuple[str, str]],
) -> int:
    """How many edges two models can have in common at most.

    An edge keeps its label, unless an end of it can be paired with a layer of another form.

    Args:
        before: Edges by the forms of their ends.
        after: The same of the other model.
        before_loose: Those of ``before`` with such an end.
        after_loose: Those of ``after`` with one.
    """
    common = sum((before & after).values())
    loose = sum(((before - after) & before_loose).values())
    other_loose = sum(((after - before) & after_loose).values())
    return common + min(loose, other_loose)
