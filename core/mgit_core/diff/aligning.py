"""Modules that moved: under which path a layer of one model is to be looked for in the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from mgit_core.diff.marks import MarkedGraph

__all__ = ["align_paths", "anchor"]

Components: TypeAlias = tuple[str, ...]

# What layers hold says more of where a module went than any number of names could.
_CONTENT_VOTE = 1_000_000
# A wrapper puts a word or two before all names.
_MOST_PREFIX = 3
# Never at the beginning of a path, so such a place is nobody's.
_NOWHERE = "\0"


def align_paths(before: MarkedGraph, after: MarkedGraph) -> MarkedGraph:
    """``before`` with the paths that its layers have in ``after``, as far as that can be told.

    Layers that hold the same tell under which path their module is now, and with it all others of the module: a
    module that was renamed, blocks that were numbered anew. Where they do not, names tell that have a prefix more or
    less. A path that another layer has taken leads nowhere.
    """
    places = {content: at for at, content in enumerate(after.contents) if content}
    exact = {
        at: after.paths[places[content]] for at, content in enumerate(before.contents) if content in places
    }
    moves = _moves(before, after, exact)
    if not moves and all(before.paths[at] == path for at, path in exact.items()):
        return before
    paths: list[str | None] = [
        exact.get(at, _moved(path, moves) if moves else None) for at, path in enumerate(before.paths)
    ]
    return replace(before, paths=tuple(_without_clashes(before, paths)))


def anchor(before: MarkedGraph, after: MarkedGraph) -> tuple[MarkedGraph, MarkedGraph]:
    """Both graphs so that layers which are certainly the same can be paired with each other only.

    Those have one path, one form, and hold the same. They get a path and a form of their own; no matching is better for
    leaving one of them unpaired.
    """
    forms, paths = list(before.forms), list(before.paths)
    other_forms, other_paths = list(after.forms), list(after.paths)
    for at, path in enumerate(before.paths):
        other = after.place.get(path)
        if other is None or not before.hints[at]:
            continue
        if (before.forms[at], before.hints[at]) == (after.forms[other], after.hints[other]):
            name = f"{_NOWHERE}{_NOWHERE}{at}"
            forms[at] = paths[at] = other_forms[other] = other_paths[other] = name
    return (
        replace(before, forms=tuple(forms), paths=tuple(paths)),
        replace(after, forms=tuple(other_forms), paths=tuple(other_paths)),
    )


def _moves(before: MarkedGraph, after: MarkedGraph, exact: dict[int, str]) -> dict[Components, Components]:
    """Modules by their old paths, and the new ones."""
    votes: dict[Components, Counter[Components]] = defaultdict(Counter)
    back: dict[Components, Counter[Components]] = defaultdict(Counter)
    for old, new, weight in (*_content_votes(before, exact), *_name_votes(before, after)):
        votes[old][new] += weight
        back[new][old] += weight
    moves = {old: _most(news) for old, news in votes.items()}
    return {old: new for old, new in moves.items() if _most(back[new]) == old}


def _content_votes(
    before: MarkedGraph, exact: dict[int, str]
) -> Iterator[tuple[Components, Components, int]]:
    for at, path in exact.items():
        old, new = _components(before.paths[at]), _components(path)
        if old != new:
            shared = 0
            while shared < min(len(old), len(new)) and old[-1 - shared] == new[-1 - shared]:
                shared += 1
            yield old[: len(old) - shared], new[: len(new) - shared], _CONTENT_VOTE


def _name_votes(before: MarkedGraph, after: MarkedGraph) -> Iterator[tuple[Components, Components, int]]:
    for one, other, is_forth in ((before, after, True), (after, before, False)):
        for path in one.paths:
            if path in other.place:
                continue
            components = _components(path)
            for cut in range(1, min(_MOST_PREFIX, len(components) - 1) + 1):
                rest = ".".join(components[cut:])
                if rest in other.place and rest not in one.place:
                    prefix: Components = components[:cut]
                    yield (prefix, (), 1) if is_forth else ((), prefix, 1)
                    break


def _most(counts: Counter[Components]) -> Components:
    return min(counts, key=lambda each: (-counts[each], each))


def _moved(path: str, moves: dict[Components, Components]) -> str | None:
    """The path below the longest module that moved; None if none did."""
    components = _components(path)
    for length in range(len(components), -1, -1):
        new = moves.get(components[:length])
        if new is not None:
            return ".".join((*new, *components[length:]))
    return None


def _without_clashes(before: MarkedGraph, paths: list[str | None]) -> Iterator[str]:
    """Each path once: layers that moved come first, a second layer at one path is nowhere."""
    taken: set[str] = set()
    chosen: list[str | None] = []
    for path in paths:
        is_first = path is not None and path not in taken
        chosen.append(path if is_first else None)
        if is_first and path is not None:
            taken.add(path)
    for own, path in zip(before.paths, chosen, strict=True):
        if path is not None:
            yield path
        else:
            yield own if own not in taken else f"{_NOWHERE}{own}"


def _components(path: str) -> Components:
    return tuple(path.split(".")) if path else ()
