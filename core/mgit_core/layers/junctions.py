"""Which junctions of a layer graph stay, and an order for what is left."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

__all__ = ["drop_junctions", "in_topological_order"]


def drop_junctions(givers: Sequence[set[int]], is_junction: Sequence[bool]) -> dict[int, set[int]]:
    """What each node takes from, without the junctions that one flow leads to or from.

    Those that stay keep the edges few: through a chain of residual connections each layer would otherwise take from
    all before it. One that nobody takes from stays too: there flows meet in what the model gives. Which node is
    reached from which does not change.

    Args:
        givers: What each node takes from, by number.
        is_junction: Whether each node is a junction.
    """
    left = {node: set(taken) for node, taken in enumerate(givers)}
    takers: dict[int, set[int]] = {node: set() for node in left}
    for node, taken in left.items():
        for giver in taken:
            takers[giver].add(node)
    junctions = [node for node in reversed(left) if is_junction[node]]
    while dropped := {node for node in junctions if _drop_if_needless(node, left, takers)}:
        junctions = [node for node in junctions if node not in dropped]
    return left


def _drop_if_needless(node: int, givers: dict[int, set[int]], takers: dict[int, set[int]]) -> bool:
    if len(givers[node]) > 1 and len(takers[node]) != 1:
        return False
    taken, given = givers.pop(node), takers.pop(node)
    for giver in taken:
        takers[giver].discard(node)
        takers[giver] |= given
    for taker in given:
        givers[taker].discard(node)
        givers[taker] |= taken
    return True


def in_topological_order(givers: Mapping[int, set[int]]) -> list[int]:
    """The nodes so that each comes behind those that it takes from; else by number."""
    takers: dict[int, list[int]] = {node: [] for node in givers}
    waiting = {node: len(taken) for node, taken in givers.items()}
    for node, taken in givers.items():
        for giver in taken:
            takers[giver].append(node)
    ready = [node for node, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for taker in takers[node]:
            waiting[taker] -= 1
            if not waiting[taker]:
                heapq.heappush(ready, taker)
    return order
