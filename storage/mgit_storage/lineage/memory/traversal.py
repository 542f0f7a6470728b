"""Questions over the lineage, in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence

from mgit_core.lineage import (
    Direction,
    ModelSummary,
    ProvenanceEdge,
    Relation,
    RevisionEdge,
)
from mgit_core.ports.graph import RelatedModel, Traversal, TraversalQuery
from mgit_core.ports.walks import WalkQuery
from mgit_core.walks.graph import WalkGraph, WalkModel
from mgit_core.walks.question import WalkDirection, WalkEdges
from mgit_storage.lineage.memory.state import MemoryGraph, State, summary_of

__all__ = ["MemoryTraversal"]

_SLICE = 500


class MemoryTraversal(Traversal):
    """Each model once, breadth first."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def uids(self, query: TraversalQuery) -> AsyncIterator[list[str]]:
        found = list(_hops(self._graph.state, query))[: query.limit]
        for start in range(0, len(found), _SLICE):
            yield found[start : start + _SLICE]

    async def relatives(self, query: TraversalQuery) -> AsyncIterator[list[RelatedModel]]:
        state = self._graph.state
        ordered = sorted((hops, uid) for uid, hops in _hops(state, query).items())[: query.limit]
        rows = [RelatedModel(model=summary_of(state.models[uid]), hops=hops) for hops, uid in ordered]
        for start in range(0, len(rows), _SLICE):
            yield rows[start : start + _SLICE]

    async def count(self, query: TraversalQuery) -> int:
        return len(_hops(self._graph.state, query))

    async def lineage(
        self, uids: Sequence[str], *, max_models: int
    ) -> tuple[list[ModelSummary], list[ProvenanceEdge], list[RevisionEdge], bool]:
        state = self._graph.state
        found = _around(state, uids) if uids else sorted(state.models)
        chosen = set(found[:max_models])
        models = sorted((state.models[uid] for uid in chosen), key=lambda each: (each.created_at, each.uid))
        edges = [edge for uid in sorted(chosen) for edge in state.parents.get(uid, ())]
        revisions = sorted(pair for pair in state.revisions.items() if chosen.issuperset(pair))
        return (
            [summary_of(model) for model in models],
            [edge for edge in edges if edge.parent_uid in chosen],
            [RevisionEdge(newer_uid=newer, older_uid=older) for newer, older in revisions],
            len(found) > max_models,
        )

    async def merge_bases(self, ours_uid: str, theirs_uid: str) -> list[ModelSummary]:
        state = self._graph.state
        common = _with_ancestors(state, ours_uid) & _with_ancestors(state, theirs_uid)
        above = set[str]().union(*(_with_ancestors(state, uid) - {uid} for uid in common))
        return [summary_of(state.models[uid]) for uid in sorted(common - above)]

    async def walk_graph(self, query: WalkQuery) -> WalkGraph:
        state = self._graph.state
        edges = _followed(state, query)
        uids = _reached(state, query, edges) if query.uids else list(state.models)
        ids = {uid: number for number, uid in enumerate(uids)}
        among = [(ids[newer], ids[older]) for newer, older in edges if newer in ids and older in ids]
        models = [WalkModel.of(state.models[uid]) for uid in uids]
        newer, older = [one for one, _ in among], [other for _, other in among]
        return WalkGraph.build(models, range(len(uids)), newer, older)


def _neighbors(state: State, direction: Direction, relations: Iterable[Relation]) -> dict[str, list[str]]:
    wanted = frozenset(relations or Relation)
    neighbors: dict[str, list[str]] = defaultdict(list)
    for edges in state.parents.values():
        for edge in edges:
            if edge.relation in wanted and direction is Direction.ANCESTORS:
                neighbors[edge.child_uid].append(edge.parent_uid)
            elif edge.relation in wanted:
                neighbors[edge.parent_uid].append(edge.child_uid)
    return neighbors


def _hops(state: State, query: TraversalQuery) -> dict[str, int]:
    """Relatives of the model with the length of the shortest way to each."""
    state.model(query.uid)
    neighbors = _neighbors(state, query.direction, query.relations)
    hops = {query.uid: 0}
    frontier = [query.uid]
    while frontier and (query.max_depth is None or hops[frontier[0]] < query.max_depth):
        reached: list[str] = []
        for uid in frontier:
            for each in neighbors.get(uid, ()):
                if each not in hops:
                    hops[each] = hops[uid] + 1
                    reached.append(each)
        frontier = reached
    del hops[query.uid]
    return hops


def _followed(state: State, query: WalkQuery) -> list[tuple[str, str]]:
    """The edges that a walk follows, newer end first."""
    wanted = frozenset(query.relations or Relation)
    edges: list[tuple[str, str]] = []
    if query.edges is not WalkEdges.VERSION:
        edges += [
            (edge.child_uid, edge.parent_uid)
            for parents in state.parents.values()
            for edge in parents
            if edge.relation in wanted
        ]
    if query.edges is not WalkEdges.PROVENANCE:
        edges += state.revisions.items()
    return edges


def _reached(state: State, query: WalkQuery, edges: Iterable[tuple[str, str]]) -> list[str]:
    """The starts and what is within the depth."""
    steps: dict[str, list[str]] = defaultdict(list)
    for newer, older in edges:
        if query.direction is not WalkDirection.DESCENDANTS:
            steps[newer].append(older)
        if query.direction is not WalkDirection.ANCESTORS:
            steps[older].append(newer)
    level = [state.model(uid).uid for uid in query.uids]
    found, depth = set(level), 0
    while level and depth != query.max_depth:
        reached = {each for uid in level for each in steps.get(uid, ())} - found
        found |= reached
        level, depth = list(reached), depth + 1
    return list(found)


def _with_ancestors(state: State, uid: str) -> set[str]:
    return {uid, *_hops(state, TraversalQuery(uid=uid, direction=Direction.ANCESTORS))}


def _around(state: State, uids: Sequence[str]) -> list[str]:
    found: set[str] = set()
    for uid in uids:
        for direction in Direction:
            found.update(_hops(state, TraversalQuery(uid=uid, direction=direction)))
    return [*dict.fromkeys(uids), *sorted(found.difference(uids))]
