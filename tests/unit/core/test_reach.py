"""Witnesses of whom a bug reaches, against all ways on small lineages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.reach import CarryingEdges, Ways, trace_reach


@dataclass(frozen=True)
class Case:
    """A small lineage: edges from a child to a parent with a lower number, each inferred or not."""

    count: int
    touched: frozenset[int]
    edges: tuple[tuple[int, int, bool], ...]

    def trace(self) -> Ways:
        columns = np.array(self.edges, np.int64).reshape(-1, 3)
        return trace_reach(
            self.count,
            np.array(sorted(self.touched, reverse=True), np.int64),
            CarryingEdges(
                children=columns[:, 0], parents=columns[:, 1], is_inferred=columns[:, 2].astype(np.bool_)
            ),
        )

    def ways(self, model: int) -> Iterator[tuple[bool, tuple[int, ...]]]:
        """Every way from a model to a touched one, with whether it has an inferred edge."""
        if model in self.touched:
            yield False, (model,)
        for child, parent, is_inferred in self.edges:
            if child == model:
                for is_doubtful, way in self.ways(parent):
                    yield is_inferred or is_doubtful, (model, *way)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(min_value=1, max_value=8))
    pairs = [(child, parent) for child in range(count) for parent in range(child)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=16)) if pairs else []
    edges = tuple((child, parent, draw(st.booleans())) for child, parent in chosen)
    touched = draw(st.frozensets(st.integers(min_value=0, max_value=count - 1)))
    return Case(count, touched, edges)


def trace(count: int, touched: set[int], *edges: tuple[int, int, bool]) -> list[tuple[int, int, bool]]:
    """Hops, next model and doubt of each model."""
    ways = Case(count, frozenset(touched), edges).trace()
    return list(zip(ways.hops.tolist(), ways.nexts.tolist(), ways.is_inferred.tolist(), strict=True))


@given(cases())
def test_a_model_has_a_way_exactly_if_one_exists(case: Case) -> None:
    ways = case.trace()
    for model in range(case.count):
        found = list(case.ways(model))
        assert (ways.hops[model] >= 0) == bool(found)
        assert bool(ways.is_inferred[model]) == (bool(found) and all(doubt for doubt, _ in found))


@given(cases())
def test_a_sure_way_is_the_shortest_of_the_sure_ones(case: Case) -> None:
    ways = case.trace()
    for model in range(case.count):
        sure = [len(way) - 1 for doubt, way in case.ways(model) if not doubt]
        if sure:
            assert ways.hops[model] == min(sure)


@given(cases())
def test_a_witness_is_a_way_that_goes_on_with_the_next_one(case: Case) -> None:
    ways = case.trace()
    declared = {(child, parent) for child, parent, is_inferred in case.edges if not is_inferred}
    every = {(child, parent) for child, parent, _ in case.edges}
    for model in range(case.count):
        following = int(ways.nexts[model])
        if following < 0:
            assert (ways.hops[model] == 0) == (model in case.touched)
            continue
        assert ways.hops[model] == ways.hops[following] + 1
        assert (model, following) in (every if ways.is_inferred[model] else declared)
        nearest = [
            parent
            for child, parent in (every if ways.is_inferred[model] else declared)
            if child == model and ways.hops[parent] + 1 == ways.hops[model] and ways.hops[parent] >= 0
        ]
        assert following == min(
            parent for parent in nearest if ways.is_inferred[model] or not ways.is_inferred[parent]
        )


@given(cases())
def test_the_order_is_by_hops_and_then_by_number(case: Case) -> None:
    ways = case.trace()
    order = ways.in_order().tolist()
    assert order == sorted(order, key=lambda model: (ways.hops[model], model))
    assert sorted(order) == [model for model in range(case.count) if ways.hops[model] >= 0]


def test_an_inferred_shortcut_gives_way_to_a_longer_sure_way() -> None:
    found = trace(4, {0}, (1, 0, False), (2, 1, False), (2, 0, True), (3, 2, True))
    assert found == [(0, -1, False), (1, 0, False), (2, 1, False), (3, 2, True)]


def test_nothing_touched_reaches_nothing() -> None:
    assert trace(2, set(), (1, 0, False)) == [(-1, -1, False), (-1, -1, False)]
    assert trace(0, set()) == []


@pytest.mark.parametrize("count", [30, 3_000])
def test_diamonds_are_walked_once(count: int) -> None:
    edges = [
        edge
        for top in range(0, 3 * count, 3)
        for edge in (
            (top + 1, top, False),
            (top + 2, top, False),
            (top + 3, top + 1, False),
            (top + 3, top + 2, False),
        )
    ]
    found = trace(3 * count + 1, {0}, *edges)
    assert found[-1] == (2 * count, 3 * count - 2, False)
