from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgit.pictures.layers import Layers, arrange


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    count = draw(st.integers(1, 14))
    pairs = [(start, end) for start in range(count) for end in range(start + 1, count)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    names = draw(st.permutations(range(count)))
    return count, [(names[start], names[end]) for start, end in edges]


def drawn(count: int, edges: list[tuple[int, int]]) -> Layers:
    return arrange(count, edges, node_px=50.0, bend_px=10.0)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_edges_lead_from_a_lower_layer_to_a_higher_one(graph: tuple[int, list[tuple[int, int]]]) -> None:
    layers = drawn(*graph)

    for (start, end), path in zip(graph[1], layers.paths, strict=True):
        assert (start, end) == (path[0], path[-1])
        assert [layers.layer[point] for point in path] == list(
            range(layers.layer[start], layers.layer[end] + 1)
        )


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_nothing_overlaps_within_a_layer(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    layers = drawn(count, edges)
    columns: dict[int, list[tuple[float, float]]] = {}
    for point, (layer, height) in enumerate(zip(layers.layer, layers.height, strict=True)):
        columns.setdefault(layer, []).append((height, 50.0 if point < count else 10.0))

    for column in columns.values():
        for (upper, upper_px), (lower, lower_px) in itertools.pairwise(sorted(column)):
            assert lower - upper >= (upper_px + lower_px) / 2 - 1e-6


def test_a_chain_is_a_straight_line() -> None:
    layers = drawn(4, [(0, 1), (1, 2), (2, 3)])

    assert layers.layer == [0, 1, 2, 3]
    assert len(set(layers.height)) == 1


def test_a_parent_stands_in_the_middle_of_its_children() -> None:
    layers = drawn(4, [(0, 1), (0, 2), (0, 3)])

    assert layers.height[0] == pytest.approx(sorted(layers.height[1:])[1])


def test_edges_that_need_not_cross_do_not_cross() -> None:
    layers = drawn(4, [(0, 3), (1, 2)])

    assert (layers.height[0] < layers.height[1]) == (layers.height[3] < layers.height[2])


def test_a_model_without_parents_stands_right_before_its_first_child() -> None:
    layers = drawn(5, [(0, 1), (1, 2), (2, 3), (4, 3)])

    assert layers.layer[4] == 2


def test_parts_that_are_not_connected_lie_below_each_other() -> None:
    layers = drawn(4, [(0, 1), (2, 3)])

    assert {layers.height[0], layers.height[1]}.isdisjoint({layers.height[2], layers.height[3]})


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        drawn(2, [(0, 1), (1, 0)])


def test_five_hundred_models_stay_within_a_bound_of_bends() -> None:
    chooser = random.Random(7)
    edges = sorted({(chooser.randrange(end), end) for end in range(1, 500) for _ in range(3)})

    layers = drawn(500, edges)

    assert len(layers.paths) == len(edges)


def test_more_bends_than_the_bound_leave_long_edges_straight() -> None:
    count = 400
    edges = sorted(
        {(number, number + 1) for number in range(count - 1)} | {(0, end) for end in range(2, count)}
    )

    layers = drawn(count, edges)

    assert len(layers.layer) == count
