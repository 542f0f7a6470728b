"""Random lineages for walks, and the same ones as networkx sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx
from hypothesis import strategies as st

from mgit_core.walks.graph import WalkGraph, WalkModel
from mgit_core.walks.question import WalkDirection

_MOST = 12


def make_model(number: int, created_us: int) -> WalkModel:
    """A model that is there."""
    return WalkModel(created_us, f"m{number:05d}", "m", number + 1, "present")


def make_graph(count: int, edges: Iterable[tuple[int, int]]) -> WalkGraph:
    """Models whose numbers are those of the edges, newer end first."""
    newer, older = zip(*edges, strict=True) if edges else ((), ())
    models = [make_model(number, number) for number in range(count)]
    return WalkGraph.build(models, range(count), newer, older)


@dataclass(frozen=True)
class Case:
    """A lineage and what is asked of it."""

    count: int
    edges: frozenset[tuple[int, int]]
    starts: frozenset[int]
    skipped: frozenset[int]
    stopped: frozenset[int]
    max_depth: int | None

    @property
    def graph(self) -> WalkGraph:
        return make_graph(self.count, self.edges)

    def steps(self, direction: WalkDirection) -> nx.DiGraph[int]:
        """An edge from each model to where a walk can go from it."""
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(self.count))
        if direction is not WalkDirection.DESCENDANTS:
            graph.add_edges_from(self.edges)
        if direction is not WalkDirection.ANCESTORS:
            graph.add_edges_from((older, newer) for newer, older in self.edges)
        return graph

    def hops(self, direction: WalkDirection) -> dict[int, int]:
        """What is within the depth, with its hops."""
        graph = self.steps(direction)
        graph.add_edges_from(("start", number) for number in self.starts)  # type: ignore[misc]
        found = nx.single_source_shortest_path_length(graph, "start")  # type: ignore[type-var]
        bound = self.count if self.max_depth is None else self.max_depth
        return {number: hops - 1 for number, hops in found.items() if 0 < hops <= bound + 1}

    def passable(self, direction: WalkDirection) -> nx.DiGraph[int]:
        """What is reached and not stopped, and the ways among it."""
        graph = self.steps(direction).subgraph(self.hops(direction)).copy()
        graph.remove_nodes_from(self.stopped)
        reached = set[int]()
        for start in self.starts - self.stopped:
            reached |= {start} | nx.descendants(graph, start)
        return graph.subgraph(reached).copy()

    def asked(self, direction: WalkDirection) -> set[int]:
        """What is reached, stopped or not."""
        steps, hops = self.steps(direction), self.hops(direction)
        behind = {each for number in self.passable(direction) for each in steps.successors(number)}
        return self.starts | (behind & hops.keys())


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Numbers are drawn apart from the edges, so that a child may be older than its parent."""
    count = draw(st.integers(1, _MOST))
    place = draw(st.permutations(range(count)))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    edges = draw(st.sets(pairs.filter(lambda pair: pair[0] != pair[1]), max_size=3 * count))
    numbers = st.integers(0, count - 1)
    return Case(
        count=count,
        edges=frozenset((place[max(pair)], place[min(pair)]) for pair in edges),
        starts=frozenset(draw(st.sets(numbers, min_size=1, max_size=3))),
        skipped=frozenset(draw(st.sets(numbers, max_size=3))),
        stopped=frozenset(draw(st.sets(numbers, max_size=3))),
        max_depth=draw(st.none() | st.integers(0, 4)),
    )


def stacked_diamonds(count: int) -> WalkGraph:
    """Three models each on one root; the last one is on top."""
    edges: list[tuple[int, int]] = []
    for below in range(0, 3 * count, 3):
        edges += [(below + 1, below), (below + 2, below), (below + 3, below + 1), (below + 3, below + 2)]
    return make_graph(3 * count + 1, edges)
