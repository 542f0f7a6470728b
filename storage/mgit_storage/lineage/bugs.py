"""Bugs on Neo4j."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import LiteralString

from mgit_core.bugs import AffectedModel, Bug, BugState
from mgit_core.lineage import RequestKey
from mgit_core.ports.bugs import Bugs, ReachMargin, ReachQuery
from mgit_core.ports.paging import Page
from mgit_storage.lineage import bug_checks, checks, records
from mgit_storage.lineage.bug_reach import BugReach
from mgit_storage.lineage.bug_records import SubjectKeys, bug_from_row, bug_properties, keys_of_subjects
from mgit_storage.lineage.cypher import bugs as cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run

__all__ = ["Neo4jBugs"]

# Sorts behind every id.
_BEHIND_ALL = "g"


class Neo4jBugs(Bugs):
    """Bugs, their fixes, and whom they reach. Changes of one bug take turns by a lock on its node."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session
        self._reach = BugReach(session)

    async def report(self, bug: Bug, request: RequestKey | None = None) -> Bug:
        keys = keys_of_subjects(bug.affects)

        async def unit(transaction: Transaction) -> Answer:
            properties = bug_properties(bug, keys.every_version_of)
            await run(transaction, cypher.CREATE_BUG, properties=properties)
            await _tie(transaction, bug.id, keys)
            return await _describe(transaction, bug.id)

        answer, _ = await self._session.write(unit, request)
        return bug_from_row(answer)

    async def fix(
        self, bug_id: str, model_uid: str, *, force: bool = False, request: RequestKey | None = None
    ) -> Bug:
        async def unit(transaction: Transaction) -> Answer:
            fixes = (await _lock(transaction, bug_id))["fixes"]
            models = await run(transaction, model_cypher.FIND_SUMMARIES, uids=[model_uid])
            if not models:
                raise checks.model_not_found(f"@{model_uid}")
            before = await _describe(transaction, bug_id)
            if any(model["uid"] == model_uid for model in before["fixed_in"]):
                return before
            if not force and not await _is_reached(transaction, bug_id, model_uid):
                raise bug_checks.model_not_affected(bug_id, records.summary_from_row(models[0]["model"]))
            bug_checks.check_fixes(bug_id, fixes)
            await run(transaction, cypher.CREATE_FIX, id=bug_id, uid=model_uid, updated_at=datetime.now(UTC))
            return await _describe(transaction, bug_id)

        answer, _ = await self._session.write(unit, request)
        return bug_from_row(answer)

    async def set_state(self, bug_id: str, state: BugState, request: RequestKey | None = None) -> Bug:
        async def unit(transaction: Transaction) -> Answer:
            if (await _lock(transaction, bug_id))["state"] != state:
                now = datetime.now(UTC)
                await run(transaction, cypher.SET_BUG_STATE, id=bug_id, state=state.value, updated_at=now)
            return await _describe(transaction, bug_id)

        answer, _ = await self._session.write(unit, request)
        return bug_from_row(answer)

    async def find(self, id_prefix: str) -> list[Bug]:
        rows = await self._session.rows(cypher.FIND_BUGS, prefix=id_prefix)
        return [bug_from_row(row) for row in rows]

    async def list_page(
        self, page: Page, *, state: BugState | None = None, model_uid: str | None = None
    ) -> list[Bug]:
        query = cypher.LIST_BUGS if model_uid is None else cypher.LIST_BUGS_OF_MODEL
        rows = await self._session.rows(
            query,
            uid=model_uid,
            state=None if state is None else state.value,
            before=_BEHIND_ALL if page.after is None else page.after,
            size=page.size,
        )
        return [bug_from_row(row) for row in rows]

    def affected(self, query: ReachQuery) -> AsyncIterator[list[AffectedModel]]:
        return self._reach.affected(query)

    async def count(self, query: ReachQuery) -> int:
        return await self._reach.count(query)

    async def margin(self, query: ReachQuery) -> ReachMargin:
        return await self._reach.margin(query)


async def _lock(transaction: Transaction, bug_id: str) -> Answer:
    rows = await run(transaction, cypher.LOCK_BUG, id=bug_id)
    if not rows:
        raise bug_checks.bug_not_found(bug_id)
    return rows[0]


async def _describe(transaction: Transaction, bug_id: str) -> Answer:
    rows = await run(transaction, cypher.FIND_BUG, id=bug_id)
    found: Answer = records.plain(rows[0])
    return found


async def _tie(transaction: Transaction, bug_id: str, keys: SubjectKeys) -> None:
    """Make the edges to what a new bug affects; all of it must be there."""
    ties: tuple[tuple[LiteralString, dict[str, object]], ...] = (
        (cypher.AFFECT_MODELS, {"uids": keys.model_uids}),
        (cypher.AFFECT_TENSORS, {"digests": keys.tensors}),
        (
            cypher.AFFECT_DATASETS,
            {"datasets": [{"name": name, "version": version} for name, version in keys.datasets]},
        ),
        (cypher.KNOWN_DATASETS, {"names": keys.every_version_of}),
    )
    found: list[Sequence[object]] = []
    for query, parameters in ties:
        rows = await run(transaction, query, id=bug_id, **parameters)
        found.append([tuple(each) if isinstance(each, list) else each for each in rows[0]["found"]])
    bug_checks.check_subjects(keys, found)


async def _is_reached(transaction: Transaction, bug_id: str, model_uid: str) -> bool:
    scope = (await run(transaction, cypher.BUG_SCOPE, id=bug_id))[0]
    touched = (await run(transaction, cypher.TOUCHED, id=bug_id))[0]
    rows = await run(
        transaction,
        cypher.IS_REACHED,
        uid=model_uid,
        touched=[*touched["direct"], *touched["tensor"], *touched["dataset"]],
        fixed=scope["fixed"],
        types=scope["types"],
    )
    return bool(rows[0]["found"])
