"""First matchings of two layer graphs: by path, by what layers hold, and by what they are like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator

from mgit_core.diff.marks import MarkedGraph, Pairs, changeable

__all__ = ["first_matchings"]


def first_matchings(before: MarkedGraph, after: MarkedGraph) -> Iterator[Pairs]:
    """Matchings to begin with, each in time linear in the layers.

    The first pairs as many layers of one form as can be, and then as many at the same path as can be besides. Without
    data flow no matching has fewer items.
    """
    yield _by_content(before, after)
    yield _by_path(before, after, with_changed=False)
    yield _by_path(before, after, with_changed=True)


class _Matching:
    """A matching that grows."""

    def __init__(self, before: MarkedGraph, after: MarkedGraph) -> None:
        self.before, self.after = before, after
        self.pairs: Pairs = [None] * len(before)
        self.used = [False] * len(after)

    def pair(self, at: int, other: int) -> None:
        """Pair two layers if neither is paired."""
        if self.pairs[at] is None and not self.used[other]:
            self.pairs[at], self.used[other] = other, True

    def pair_paths(self, fits: Callable[[int, int], bool]) -> None:
        """Pair layers at the same path that fit."""
        for at, path in enumerate(self.before.paths):
            other = self.after.place.get(path)
            if other is not None and fits(at, other):
                self.pair(at, other)

    def pair_equal(self, key: Callable[[MarkedGraph, int], Hashable | None]) -> None:
        """Pair layers of equal keys in order; None is no key."""
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for other in range(len(self.after)):
            wanted = None if self.used[other] else key(self.after, other)
            if wanted is not None:
                waiting[wanted].append(other)
        places = {found: iter(others) for found, others in waiting.items()}
        for at in range(len(self.before)):
            found = key(self.before, at) if self.pairs[at] is None else None
            image = next(places[found], None) if found in places else None
            if image is not None:
                self.pair(at, image)

    def is_alike(self, at: int, other: int) -> bool:
        """Whether two layers have one form."""
        return self.before.forms[at] == self.after.forms[other]

    def is_same(self, at: int, other: int) -> bool:
        """Whether they hold the same besides."""
        return self.is_alike(at, other) and self.before.contents[at] == self.after.contents[other] != b""


def _content_key(graph: MarkedGraph, at: int) -> Hashable | None:
    return (graph.forms[at], graph.contents[at]) if graph.contents[at] else None


def _hint_key(graph: MarkedGraph, at: int) -> Hashable | None:
    return (graph.forms[at], graph.hints[at]) if graph.hints[at] else None


def _form_key(graph: MarkedGraph, at: int) -> Hashable | None:
    return graph.forms[at]


def _by_content(before: MarkedGraph, after: MarkedGraph) -> Pairs:
    matching = _Matching(before, after)
    for at, other in _most_changed(before, after):
        matching.pair(at, other)
    matching.pair_paths(matching.is_same)
    matching.pair_equal(_content_key)
    matching.pair_paths(matching.is_alike)
    matching.pair_equal(_hint_key)
    matching.pair_equal(_form_key)
    return matching.pairs


def _by_path(before: MarkedGraph, after: MarkedGraph, *, with_changed: bool) -> Pairs:
    matching = _Matching(before, after)
    matching.pair_paths(matching.is_alike)
    if with_changed:
        matching.pair_paths(lambda _at, _other: True)
    matching.pair_equal(_content_key)
    matching.pair_equal(_hint_key)
    matching.pair_equal(_form_key)
    matching.pair_paths(lambda _at, _other: True)
    return matching.pairs


def _most_changed(before: MarkedGraph, after: MarkedGraph) -> list[tuple[int, int]]:
    """As many pairs at one path and of two forms as leave all pairs of one form possible: a flow between forms.

    Each form of before has some layers more than after, and can give so many to changed pairs; and the other way round.
    """
    twins = changeable(before, after)
    forms, others = Counter(before.forms), Counter(after.forms)
    flow = _FormFlow(forms - others, others - forms)
    for at, other in twins.items():
        flow.offer(before.forms[at], after.forms[other], (at, other))
    return flow.chosen()


class _FormFlow:
    """A largest choice of pairs from forms with room to forms with room, by augmenting paths."""

    def __init__(self, room: Counter[str], other_room: Counter[str]) -> None:
        self._room, self._other_room = room, other_room
        self._offers: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        self._taken: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))

    def offer(self, form: str, other: str, pair: tuple[int, int]) -> None:
        """A pair that could be chosen."""
        self._offers[form][other].append(pair)

    def chosen(self) -> list[tuple[int, int]]:
        """The pairs of a largest choice, by layers of before."""
        for form in sorted(self._offers):
            while self._room[form] > 0 and self._augment(form, set()):
                self._room[form] -= 1
        return sorted(pair for others in self._taken.values() for pairs in others.values() for pair in pairs)

    def _augment(self, form: str, seen: set[str]) -> bool:
        """Choose one pair more from ``form``, if need be by choosing another one for a form that has chosen."""
        for other in sorted(self._offers[form]):
            if not self._offers[form][other] or other in seen:
                continue
            seen.add(other)
            if self._other_room[other] > 0:
                self._other_room[other] -= 1
                self._take(form, other)
                return True
            for rival in sorted(self._taken):
                if rival != form and self._taken[rival][other] and self._augment(rival, seen):
                    self._offers[rival][other].append(self._taken[rival][other].pop())
                    self._take(form, other)
                    return True
        return False

    def _take(self, form: str, other: str) -> None:
        self._taken[form][other].append(self._offers[form][other].pop())
