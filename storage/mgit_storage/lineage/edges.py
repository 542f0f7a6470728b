"""Edges after the fact, on Neo4j."""

from __future__ import annotations

from datetime import UTC, datetime

from mgit_core.errors import AlreadyExistsError, ErrorReason
from mgit_core.lineage import ParentLink, ProvenanceEdge, Relation, RequestKey, RevisionEdge
from mgit_core.ports.graph import Edges
from mgit_storage.lineage import checks, records
from mgit_storage.lineage.cypher import graph as cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.cypher import schema
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run

__all__ = ["Neo4jEdges"]


class Neo4jEdges(Edges):
    """Adds and deletes edges; changes take turns by a lock on one node."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def link(
        self, child_uid: str, link: ParentLink, request: RequestKey | None = None
    ) -> ProvenanceEdge:
        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, schema.LOCK_GRAPH)
            return await _link(transaction, child_uid, link)

        answer, _ = await self._session.write(unit, request)
        return records.edge_from_row(answer)

    async def unlink(
        self, child_uid: str, parent_uid: str, relation: Relation | None, request: RequestKey | None = None
    ) -> list[ProvenanceEdge]:
        type_name = None if relation is None else records.edge_type(relation)

        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, schema.LOCK_GRAPH)
            edges = await _between(transaction, child_uid, parent_uid, type_name)
            if not edges:
                raise checks.edge_not_found(child_uid, parent_uid)
            await run(
                transaction, cypher.UNLINK, child_uid=child_uid, parent_uid=parent_uid, relation=type_name
            )
            return {"edges": edges}

        answer, _ = await self._session.write(unit, request)
        return [records.edge_from_row(edge) for edge in answer["edges"]]

    async def link_revision(
        self, newer_uid: str, older_uid: str, request: RequestKey | None = None
    ) -> RevisionEdge:
        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, schema.LOCK_GRAPH)
            known = await _known(transaction, newer_uid, older_uid)
            for uid in (newer_uid, older_uid):
                if uid not in known:
                    raise checks.model_not_found(f"@{uid}")
            await _check_no_cycle(transaction, newer_uid, older_uid)
            rows = await run(transaction, cypher.CREATE_REVISION, newer_uid=newer_uid, older_uid=older_uid)
            if not rows[0]["made"]:
                raise AlreadyExistsError(
                    ErrorReason.EDGE_EXISTS, f"@{newer_uid} has a version edge already; unlink it first."
                )
            return {}

        await self._session.write(unit, request)
        return RevisionEdge(newer_uid=newer_uid, older_uid=older_uid)

    async def unlink_revision(
        self, newer_uid: str, older_uid: str, request: RequestKey | None = None
    ) -> RevisionEdge:
        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, schema.LOCK_GRAPH)
            rows = await run(transaction, cypher.UNLINK_REVISION, newer_uid=newer_uid, older_uid=older_uid)
            if not rows[0]["deleted"]:
                raise checks.edge_not_found(newer_uid, older_uid)
            return {}

        await self._session.write(unit, request)
        return RevisionEdge(newer_uid=newer_uid, older_uid=older_uid)


async def _link(transaction: Transaction, child_uid: str, link: ParentLink) -> Row:
    relation = records.edge_type(link.relation)
    known = await _known(transaction, child_uid, link.parent_uid)
    if child_uid not in known:
        raise checks.model_not_found(f"@{child_uid}")
    if link.parent_uid not in known:
        raise checks.parent_not_found(link.parent_uid)
    if await _between(transaction, child_uid, link.parent_uid, relation):
        raise AlreadyExistsError(
            ErrorReason.EDGE_EXISTS, f"@{child_uid} is {link.relation} from @{link.parent_uid} already."
        )
    await _check_no_cycle(transaction, child_uid, link.parent_uid)
    last = (await run(transaction, cypher.LAST_POSITION, child_uid=child_uid))[0]["position"]
    properties = records.edge_properties(link, 0 if last is None else last + 1, datetime.now(UTC))
    ends = {"child_uid": child_uid, "parent_uid": link.parent_uid}
    await run(transaction, cypher.CREATE_LINK, **ends, relation=relation, properties=properties)
    row: Row = records.plain({**properties, **ends, "relation": relation})
    return row


async def _known(transaction: Transaction, *uids: str) -> set[str]:
    rows = await run(transaction, model_cypher.FIND_SUMMARIES, uids=list(uids))
    return {row["model"]["uid"] for row in rows}


async def _between(
    transaction: Transaction, child_uid: str, parent_uid: str, relation: str | None
) -> list[Row]:
    rows = await run(
        transaction, cypher.EDGES_BETWEEN, child_uid=child_uid, parent_uid=parent_uid, relation=relation
    )
    return [records.plain(row["edge"]) for row in rows]


async def _check_no_cycle(transaction: Transaction, child_uid: str, parent_uid: str) -> None:
    """An edge from child to parent closes a cycle if the parent reaches the child already."""
    rows = await run(transaction, cypher.REACHES, from_uid=parent_uid, to_uid=child_uid)
    if not rows or not rows[0]["found"]:
        return
    if parent_uid == child_uid:
        raise checks.cycle([f"@{child_uid}"])
    path = await run(transaction, cypher.CYCLE_PATH, from_uid=parent_uid, to_uid=child_uid)
    raise checks.cycle(path[0]["refs"])
