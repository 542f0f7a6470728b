"""Cycles, against networkx on random graphs."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_storage.lineage.graph_cycles import find_cycles

graphs = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40)


def parents_of(edges: list[tuple[int, int]]) -> dict[int, list[int]]:
    parents: dict[int, list[int]] = {}
    for child, parent in edges:
        parents.setdefault(child, []).append(parent)
    return parents


@given(graphs)
def test_cycles_are_found_where_there_are_any(edges: list[tuple[int, int]]) -> None:
    graph = nx.DiGraph(edges)
    found = find_cycles(parents_of(edges), 100)
    assert bool(found) != nx.is_directed_acyclic_graph(graph)
    nodes = [node for cycle in found for node in cycle]
    assert len(nodes) == len(set(nodes))
    for cycle in found:
        assert all(graph.has_edge(*edge) for edge in zip(cycle, [*cycle[1:], cycle[0]], strict=True))


@given(graphs)
def test_every_component_with_a_cycle_that_leads_nowhere_else_is_told(edges: list[tuple[int, int]]) -> None:
    graph = nx.DiGraph(edges)
    condensed = nx.condensation(graph)
    last = [
        set(condensed.nodes[each]["members"])
        for each in condensed
        if all(
            len(condensed.nodes[below]["members"]) == 1
            and not _is_loop(graph, condensed.nodes[below]["members"])
            for below in nx.descendants(condensed, each)
        )
        and (len(condensed.nodes[each]["members"]) > 1 or _is_loop(graph, condensed.nodes[each]["members"]))
    ]
    found = [set(cycle) for cycle in find_cycles(parents_of(edges), 100)]
    assert all(any(cycle <= component for cycle in found) for component in last)


def _is_loop(graph: nx.DiGraph[int], members: set[int]) -> bool:
    [node] = members if len(members) == 1 else [next(iter(members))]
    return bool(graph.has_edge(node, node))


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (2, 2), (5, 3)])
def test_no_more_than_the_limit_are_told(limit: int, expected: int) -> None:
    assert len(find_cycles({1: [2], 2: [1], 3: [3], 4: [5], 5: [6], 6: [4]}, limit)) == expected


def test_long_chains_and_rings_take_no_recursion() -> None:
    chain = {at: [at + 1] for at in range(100_000)}
    assert find_cycles(chain, 10) == []
    [ring] = find_cycles({**chain, 100_000: [0]}, 10)
    assert len(ring) == 100_001


def test_stacked_diamonds_take_linear_time() -> None:
    diamonds = {}
    for at in range(0, 3000, 3):
        diamonds |= {at: [at + 1, at + 2], at + 1: [at + 3], at + 2: [at + 3]}
    assert find_cycles(diamonds, 10) == []
    assert len(find_cycles({**diamonds, 3000: [0]}, 10)) == 1
