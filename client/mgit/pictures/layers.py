"""A layered drawing of an acyclic graph: which layer, which order, which height.

The steps are the classical ones: layers by longest path, bends where an edge passes a layer, fewer crossings
by sweeps over the layers, and heights that keep the order while edges become as straight as they can.

Source: Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical system structures", 1981.
"""

from __future__ import annotations

import bisect
import graphlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Layers", "arrange"]

_ORDER_SWEEPS = 12
_HEIGHT_SWEEPS = 10
_MAX_BENDS = 20_000  # Beyond it long edges cross layers straight, so that a picture takes seconds at most.


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Where everything is.

    Attributes:
        layer: Layer of each node and bend, from 0; edges lead from a lower one to a higher one.
        height: Distance of the middle of each node and bend from the first one's, pixels, in the same order.
        paths: For each edge the nodes and bends that it passes, its ends included.
    """

    layer: list[int]
    height: list[float]
    paths: list[list[int]]


def arrange(node_count: int, edges: Sequence[tuple[int, int]], *, node_px: float, bend_px: float) -> Layers:
    """Arrange nodes that are numbered from 0.

    Args:
        node_count: How many nodes.
        edges: Pairs of an earlier and a later node, acyclic, each pair once.
        node_px: Room that a node takes across its layer.
        bend_px: Room that a passing edge takes.

    Raises:
        ValueError: The edges close a cycle.
    """
    layer = _layers(node_count, edges)
    paths = _with_bends(layer, edges)
    links = sorted({pair for path in paths for pair in itertools.pairwise(path)})
    before, after = _neighbors(len(layer), links)
    height = [0.0] * len(layer)
    top = 0.0
    for part in _components(len(layer), before, after):
        order = _ordered(part, layer, before, after)
        sizes = [[node_px if point < node_count else bend_px for point in column] for column in order]
        _set_heights(order, sizes, before, after, height)
        lowest = min(height[column[0]] - size[0] / 2 for column, size in zip(order, sizes, strict=True))
        highest = max(height[column[-1]] + size[-1] / 2 for column, size in zip(order, sizes, strict=True))
        for point in part:
            height[point] += top - lowest
        top += highest - lowest
    return Layers(layer=layer, height=height, paths=paths)


def _layers(node_count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Longest path from a node without earlier ones; such a node stands right before its first later one."""
    earlier: dict[int, list[int]] = {node: [] for node in range(node_count)}
    later: dict[int, list[int]] = {node: [] for node in range(node_count)}
    for start, end in edges:
        earlier[end].append(start)
        later[start].append(end)
    layer = [0] * node_count
    for node in graphlib.TopologicalSorter(earlier).static_order():
        layer[node] = max((layer[other] + 1 for other in earlier[node]), default=0)
    for node in range(node_count):
        if not earlier[node] and later[node]:
            layer[node] = min(layer[other] for other in later[node]) - 1
    return layer


def _with_bends(layer: list[int], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The path of each edge; ``layer`` grows by the bends."""
    needed = sum(layer[end] - layer[start] - 1 for start, end in edges)
    paths = []
    for start, end in edges:
        path = [start]
        for passed in range(layer[start] + 1, layer[end]) if needed <= _MAX_BENDS else ():
            path.append(len(layer))
            layer.append(passed)
        paths.append([*path, end])
    return paths


def _neighbors(count: int, links: Iterable[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for start, end in links:
        after[start].append(end)
        before[end].append(start)
    return before, after


def _components(count: int, before: list[list[int]], after: list[list[int]]) -> list[list[int]]:
    """Connected parts, the largest first; points in the order of a walk in depth, which keeps families together."""
    seen = [False] * count
    parts = []
    for start in range(count):
        if seen[start] or before[start]:
            continue
        part, waiting = [], [start]
        while waiting:
            point = waiting.pop()
            if not seen[point]:
                seen[point] = True
                part.append(point)
                waiting.extend(reversed([*before[point], *after[point]]))
        parts.append(part)
    return sorted(parts, key=len, reverse=True)


def _ordered(
    part: list[int], layer: list[int], before: list[list[int]], after: list[list[int]]
) -> list[list[int]]:
    """The layers of a part, each in an order with few crossings."""
    columns: dict[int, list[int]] = {}
    for point in part:
        columns.setdefault(layer[point], []).append(point)
    order = [columns[number] for number in sorted(columns)]
    best, fewest = order, _crossings(order, after)
    for sweep in range(_ORDER_SWEEPS):
        if not fewest:
            break
        is_forward = sweep % 2 == 0
        order = _swept(order, before if is_forward else after, is_forward=is_forward)
        crossings = _crossings(order, after)
        if crossings < fewest:
            best, fewest = order, crossings
    return best


def _swept(order: list[list[int]], neighbors: list[list[int]], *, is_forward: bool) -> list[list[int]]:
    """Every layer sorted by the mean place of what its points hang on; points without such stay in place."""
    place: dict[int, int] = {}
    done = []
    for column in order if is_forward else reversed(order):
        keys = {}
        for index, point in enumerate(column):
            places = [place[other] for other in neighbors[point] if other in place]
            keys[point] = sum(places) / len(places) if places else index
        ordered = sorted(column, key=keys.__getitem__)
        place.update((point, index) for index, point in enumerate(ordered))
        done.append(ordered)
    return done if is_forward else done[::-1]


def _crossings(order: list[list[int]], after: list[list[int]]) -> int:
    """How many pairs of links between adjacent layers cross."""
    place = {point: index for column in order for index, point in enumerate(column)}
    count = 0
    for column in order:
        ends: list[int] = []
        for point in column:
            own = sorted(place[other] for other in after[point])
            count += sum(len(ends) - bisect.bisect_right(ends, end) for end in own)
            for end in own:
                bisect.insort(ends, end)
    return count


def _set_heights(
    order: list[list[int]],
    sizes: list[list[float]],
    before: list[list[int]],
    after: list[list[int]],
    height: list[float],
) -> None:
    """Move points towards what they hang on, first from one side, then from the other, at last from both."""
    for column, size in zip(order, sizes, strict=True):
        for point, position in zip(column, _stacked(size), strict=True):
            height[point] = position
    columns = list(zip(order, sizes, strict=True))
    for sweep in range(_HEIGHT_SWEEPS):
        is_last = sweep >= _HEIGHT_SWEEPS - 2
        is_forward = sweep % 2 == 0
        for column, size in columns if is_forward else reversed(columns):
            wanted = []
            for point in column:
                sides = [before[point], after[point]] if is_last else [(after, before)[is_forward][point]]
                wanted.append(_mean(height, sides, height[point]))
            for point, position in zip(column, _spread(wanted, size), strict=True):
                height[point] = position


def _mean(height: Sequence[float] | Mapping[int, float], sides: Iterable[list[int]], default: float) -> float:
    found = [height[other] for side in sides for other in side]
    return sum(found) / len(found) if found else default


def _stacked(sizes: Sequence[float]) -> list[float]:
    positions, end = [], 0.0
    for size in sizes:
        positions.append(end + size / 2)
        end += size
    return positions


def _spread(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Positions nearest to ``wanted`` in the sense of least squares that keep order and distance.

    Taken relative to a tight stack, positions only have to be sorted: neighbors that are not share their mean.
    """
    offsets = _stacked(sizes)
    blocks: list[tuple[float, int]] = []
    for position, offset in zip(wanted, offsets, strict=True):
        mean, count = position - offset, 1
        while blocks and blocks[-1][0] > mean:
            last, size = blocks.pop()
            mean = (mean * count + last * size) / (count + size)
            count += size
        blocks.append((mean, count))
    shifts = [mean for mean, count in blocks for _ in range(count)]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]
