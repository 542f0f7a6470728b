"""Cycles in a graph that must have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["find_cycles"]


def find_cycles(parents: Mapping[int, Sequence[int]], limit: int) -> list[list[int]]:
    """Cycles that have no node in common, each from child to parent; at least one wherever there are any.

    What has no child left is taken away again and again; what stays lies on cycles or above one. From there every
    way up ends in a cycle, once what has no parent left is gone too. Time and memory follow nodes and edges.

    Args:
        parents: Of each node that has any.
        limit: Largest number of cycles.
    """
    left = _peeled(_peeled(parents))
    found: list[list[int]] = []
    seen: set[int] = set()
    for start in left:
        if len(found) == limit:
            break
        cycle = _walk_up(start, left, seen)
        if cycle:
            found.append(cycle)
    return found


def _peeled(edges: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """The edges turned around, without those that begin at a node which no edge of the rest leads to."""
    leading: dict[int, int] = dict.fromkeys(edges, 0)
    for ends in edges.values():
        for end in ends:
            leading[end] = leading.get(end, 0) + 1
    free = [node for node, count in leading.items() if not count]
    while free:
        for end in edges.get(free.pop(), ()):
            leading[end] -= 1
            if not leading[end]:
                free.append(end)
    turned: dict[int, list[int]] = {}
    for node, ends in edges.items():
        if leading[node]:
            for end in ends:
                turned.setdefault(end, []).append(node)
    return turned


def _walk_up(start: int, parents: Mapping[int, Sequence[int]], seen: set[int]) -> list[int]:
    """The cycle that the first parents lead to, unless it, or a way to one, was seen before."""
    path: list[int] = []
    places: dict[int, int] = {}
    node = start
    while node not in seen:
        seen.add(node)
        places[node] = len(path)
        path.append(node)
        node = parents[node][0]
    return path[places[node] :] if node in places else []
