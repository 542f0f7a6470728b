"""Edges in memory."""

from __future__ import annotations

from datetime import datetime

from mgit_core.errors import AlreadyExistsError, ErrorReason
from mgit_core.lineage import ParentLink, ProvenanceEdge, Relation, RequestKey, RevisionEdge
from mgit_core.ports.graph import Edges
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.state import MemoryGraph, State

__all__ = ["MemoryEdges"]


class MemoryEdges(Edges):
    """Adds and deletes edges."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def link(
        self, child_uid: str, link: ParentLink, request: RequestKey | None = None
    ) -> ProvenanceEdge:
        now = self._graph.now()
        return self._graph.write(lambda state: _link(state, child_uid, link, now), request)[0]

    async def unlink(
        self, child_uid: str, parent_uid: str, relation: Relation | None, request: RequestKey | None = None
    ) -> list[ProvenanceEdge]:
        return list(
            self._graph.write(lambda state: _unlink(state, child_uid, parent_uid, relation), request)[0]
        )

    async def link_revision(
        self, newer_uid: str, older_uid: str, request: RequestKey | None = None
    ) -> RevisionEdge:
        return self._graph.write(lambda state: _link_revision(state, newer_uid, older_uid), request)[0]

    async def unlink_revision(
        self, newer_uid: str, older_uid: str, request: RequestKey | None = None
    ) -> RevisionEdge:
        return self._graph.write(lambda state: _unlink_revision(state, newer_uid, older_uid), request)[0]


def _link(state: State, child_uid: str, link: ParentLink, now: datetime) -> ProvenanceEdge:
    state.model(child_uid)
    if link.parent_uid not in state.models:
        raise checks.parent_not_found(link.parent_uid)
    edges = state.parents.get(child_uid, ())
    if any((edge.parent_uid, edge.relation) == (link.parent_uid, link.relation) for edge in edges):
        raise AlreadyExistsError(
            ErrorReason.EDGE_EXISTS, f"@{child_uid} is {link.relation} from @{link.parent_uid} already."
        )
    _check_no_cycle(state, child_uid, link.parent_uid)
    edge = ProvenanceEdge(
        child_uid=child_uid,
        parent_uid=link.parent_uid,
        relation=link.relation,
        position=max((edge.position for edge in edges), default=-1) + 1,
        weight=link.weight,
        origin=link.origin,
        confidence=link.confidence,
        created_at=now,
    )
    state.parents[child_uid] = (*edges, edge)
    return edge


def _unlink(
    state: State, child_uid: str, parent_uid: str, relation: Relation | None
) -> tuple[ProvenanceEdge, ...]:
    edges = state.parents.get(child_uid, ())
    gone = tuple(
        edge for edge in edges if edge.parent_uid == parent_uid and relation in (None, edge.relation)
    )
    if not gone:
        raise checks.edge_not_found(child_uid, parent_uid)
    state.parents[child_uid] = tuple(edge for edge in edges if edge not in gone)
    return gone


def _link_revision(state: State, newer_uid: str, older_uid: str) -> RevisionEdge:
    state.model(newer_uid)
    state.model(older_uid)
    _check_no_cycle(state, newer_uid, older_uid)
    if newer_uid in state.revisions:
        raise AlreadyExistsError(
            ErrorReason.EDGE_EXISTS, f"@{newer_uid} has a version edge already; unlink it first."
        )
    state.revisions[newer_uid] = older_uid
    return RevisionEdge(newer_uid=newer_uid, older_uid=older_uid)


def _unlink_revision(state: State, newer_uid: str, older_uid: str) -> RevisionEdge:
    if state.revisions.get(newer_uid) != older_uid:
        raise checks.edge_not_found(newer_uid, older_uid)
    del state.revisions[newer_uid]
    return RevisionEdge(newer_uid=newer_uid, older_uid=older_uid)


def _check_no_cycle(state: State, child_uid: str, parent_uid: str) -> None:
    """Walk from the parent; whoever meets the child has found a cycle."""
    seen = {parent_uid}
    frontier = [parent_uid]
    while frontier:
        uid = frontier.pop()
        if uid == child_uid:
            raise checks.cycle([state.models[parent_uid].ref, state.models[child_uid].ref])
        older = [edge.parent_uid for edge in state.parents.get(uid, ())]
        if uid in state.revisions:
            older.append(state.revisions[uid])
        frontier += [each for each in older if each not in seen]
        seen.update(older)
