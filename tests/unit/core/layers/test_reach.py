"""Which layers depend on which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.layers.reach import reachable

COUNT = 7
PAIRS = [(giver, taker) for taker in range(COUNT) for giver in range(taker)]


def _graph(edges: set[tuple[int, int]], repeats: dict[int, int] | None = None) -> LayerGraph:
    again = repeats or {}
    layers = tuple(
        Layer(path=f"l{at}", kind="Linear", repeats=f"l{again[at]}" if at in again else "")
        for at in range(COUNT)
    )
    return LayerGraph(layers=layers, edges=tuple(sorted(edges)), source=LayerGraphSource.FX)


@given(st.sets(st.sampled_from(PAIRS)), st.sets(st.integers(0, COUNT - 1)))
def test_reach_is_the_transitive_closure(edges: set[tuple[int, int]], starts: set[int]) -> None:
    closed = set(edges)
    for middle in range(COUNT):
        closed |= {(a, d) for a, b in closed if b == middle for c, d in closed if c == middle}
    assert reachable(_graph(edges), starts) == {taker for giver, taker in closed if giver in starts}


def test_each_call_of_a_module_works_with_what_changed() -> None:
    graph = _graph({(0, 1), (1, 2), (2, 3), (4, 5)}, repeats={4: 0})
    assert reachable(graph, [0]) == {1, 2, 3, 5}
    assert reachable(graph, [1]) == {2, 3}


def test_a_module_is_reached_by_what_feeds_any_of_its_calls() -> None:
    graph = _graph({(1, 2), (2, 3)}, repeats={2: 0})
    assert reachable(graph, [1]) == {0, 2, 3}


def test_a_module_that_feeds_itself_again_is_reached() -> None:
    assert reachable(_graph({(0, 1), (1, 2)}, repeats={2: 0}), [0]) == {0, 1, 2}


def test_nothing_is_reached_from_nothing() -> None:
    assert reachable(_graph({(0, 1)}), []) == frozenset()
