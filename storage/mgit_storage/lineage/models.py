"""Models and versions on Neo4j."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.lineage import CommittedModel, Model, ModelCommit, ModelState, RequestKey
from mgit_core.names import Reference
from mgit_core.ports.graph import Models, Page
from mgit_storage.lineage import checks, creation_records, records
from mgit_storage.lineage.cascade_steps import check_not_in_use
from mgit_storage.lineage.commit import commit_models
from mgit_storage.lineage.cypher import creation as creation_cypher
from mgit_storage.lineage.cypher import models as cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run

__all__ = ["Neo4jModels"]

# Greater than every version number.
_BEHIND_ALL = 2**62
# Sorts behind everything that goes on from a prefix of a name.
_BEHIND_PREFIX = "\uffff"


class Neo4jModels(Models):
    """Models and their versions."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def commit(self, commit: ModelCommit, request: RequestKey | None = None) -> CommittedModel:
        checks.check_batch([commit])

        async def unit(transaction: Transaction) -> Answer:
            return (await commit_models(transaction, [commit]))[0]

        answer, is_repeated = await self._session.write(unit, request, epochs=[commit.epoch])
        return _committed(answer, is_repeated=is_repeated)

    async def find_commit(self, request: RequestKey) -> CommittedModel | None:
        answer = await self._session.find_answer(request)
        return None if answer is None else _committed(answer, is_repeated=True)

    async def commit_batch(self, commits: Sequence[ModelCommit]) -> list[CommittedModel]:
        checks.check_batch(commits)
        if not commits:
            return []

        async def unit(transaction: Transaction) -> Answer:
            return {"rows": await commit_models(transaction, commits)}

        answer, _ = await self._session.write(unit, epochs=[commit.epoch for commit in commits])
        return [_committed(row, is_repeated=False) for row in answer["rows"]]

    async def get(self, reference: Reference) -> Model:
        rows = await self._find(reference)
        if not rows:
            if reference.tag is not None:
                raise checks.tag_not_found(reference.name, reference.tag)
            raise checks.model_not_found(reference)
        return records.model_from_row(rows[0])

    async def list_latest(self, page: Page, *, prefix: str = "", type_name: str | None = None) -> list[Model]:
        # A name that comes after the prefix in the order may be the prefix itself.
        lower = prefix.lower()
        rows = await self._session.rows(
            cypher.LIST_LATEST,
            after=(page.after or "").lower(),
            prefix=lower,
            below=lower + _BEHIND_PREFIX,
            type=type_name,
            size=page.size,
        )
        return [records.model_from_row(row) for row in rows]

    async def list_versions(self, name: str, page: Page) -> list[Model]:
        after = checks.version_after(page)
        rows = await self._session.rows(
            cypher.LIST_VERSIONS, name=name, before=_BEHIND_ALL if after is None else after, size=page.size
        )
        if not rows and after is None:
            await self._check_name_used(name)
        return [records.model_from_row(row) for row in rows]

    async def list_created_together(self, group: str, page: Page) -> list[Model]:
        rows = await self._session.rows(
            cypher.LIST_CREATED_TOGETHER, group=group, after=page.after or "", size=page.size
        )
        return [records.model_from_row(row) for row in rows]

    async def remove(self, uid: str, request: RequestKey | None = None) -> Model:
        async def unit(transaction: Transaction) -> Answer:
            return {"model": await _remove(transaction, uid)}

        answer, _ = await self._session.write(unit, request)
        return records.model_from_row(answer["model"])

    async def _find(self, reference: Reference) -> list[Row]:
        rows = self._session.rows
        if reference.uid is not None:
            return await rows(cypher.FIND_BY_UID, uid=reference.uid)
        if reference.version is not None:
            return await rows(cypher.FIND_BY_NUMBER, name=reference.name, version=reference.version)
        if reference.tag is not None:
            return await rows(cypher.FIND_BY_TAG, name=reference.name, tag=reference.tag)
        return await rows(cypher.FIND_LATEST, name=reference.name)

    async def _check_name_used(self, name: str) -> None:
        used = await self._session.rows(cypher.FIND_NAME, name_lower=name.lower())
        if not used or used[0]["name"] != name:
            raise checks.model_not_found(name)


def _committed(answer: Answer, *, is_repeated: bool) -> CommittedModel:
    return CommittedModel(
        model=records.model_from_row(answer["model"]),
        same_as=tuple(answer["same_as"]),
        repeated=is_repeated,
    )


async def _remove(transaction: Transaction, uid: str) -> Row:
    """Remove a model; the row that described it before. Its name is locked first, then it is read."""
    if not await run(transaction, cypher.LOCK_NAME_OF, uid=uid):
        raise checks.model_not_found(f"@{uid}")
    rows = await run(transaction, cypher.FIND_BY_UID, uid=uid)
    if not rows:
        raise checks.model_not_found(f"@{uid}")
    before: Row = records.plain(rows[0])
    if before["model"]["state"] == ModelState.REMOVED:
        return before
    await check_not_in_use(transaction, uid)
    touched = await run(transaction, cypher.IS_TOUCHED, uid=uid)
    await run(transaction, cypher.DELETE_TAGS_OF, uid=uid)
    query = cypher.MARK_REMOVED if touched[0]["is_touched"] else cypher.DELETE_MODEL
    await run(transaction, query, uid=uid)
    await run(transaction, cypher.DELETE_UNUSED_PARAMETERS, digests=[before["parameters"]["digest"]])
    keys = creation_records.function_keys([before])
    if keys:
        await run(transaction, creation_cypher.DELETE_UNUSED_FUNCTION, keys=keys)
    return before
