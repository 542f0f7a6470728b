"""Tags on Neo4j."""

from __future__ import annotations

import builtins

from mgit_core.errors import ConflictError, ErrorReason, FailedPreconditionError
from mgit_core.lineage import ModelState, RequestKey, Tag
from mgit_core.ports.graph import Tags
from mgit_storage.lineage import checks, records
from mgit_storage.lineage.cypher import models as cypher
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run

__all__ = ["Neo4jTags"]


class Neo4jTags(Tags):
    """Names for versions. Changes of one model name take turns by a lock on its node."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def put(self, uid: str, tag: str, *, force: bool = False, request: RequestKey | None = None) -> Tag:
        async def unit(transaction: Transaction) -> Answer:
            return await _put(transaction, uid, tag, force=force)

        answer, _ = await self._session.write(unit, request)
        return _tag(answer)

    async def delete(self, name: str, tag: str, request: RequestKey | None = None) -> Tag:
        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, cypher.LOCK_NAME, name_lower=name.lower())
            rows = await run(transaction, cypher.FIND_TAG, name=name, tag=tag)
            if not rows:
                raise checks.tag_not_found(name, tag)
            await run(transaction, cypher.DELETE_TAG, name=name, tag=tag)
            return _answer(name, tag, rows[0]["model"])

        answer, _ = await self._session.write(unit, request)
        return _tag(answer)

    async def list(self, name: str) -> builtins.list[Tag]:
        rows = await self._session.rows(cypher.LIST_TAGS, name=name)
        return [_tag({"name": name, **row}) for row in rows]


async def _put(transaction: Transaction, uid: str, tag: str, *, force: bool) -> Answer:
    locked = await run(transaction, cypher.LOCK_NAME_OF, uid=uid)
    models = await run(transaction, cypher.FIND_SUMMARIES, uids=[uid])
    if not locked or not models:
        raise checks.model_not_found(f"@{uid}")
    name, model = locked[0]["name"], models[0]["model"]
    if model["state"] == ModelState.REMOVED:
        raise FailedPreconditionError(ErrorReason.MODEL_REMOVED, f"Model @{uid} was removed.", uid=uid)
    rows = await run(transaction, cypher.FIND_TAG, name=name, tag=tag)
    if rows and rows[0]["model"]["uid"] != uid and not force:
        points_to = records.summary_from_row(rows[0]["model"]).ref
        raise ConflictError(
            ErrorReason.TAG_MOVED,
            f"Tag {tag!r} of {name} points to {points_to}; it is moved only when forced.",
            points_to=points_to,
        )
    await run(transaction, cypher.PUT_TAG, uid=uid, name=name, tag=tag)
    return _answer(name, tag, model)


def _answer(name: str, tag: str, model: records.Row) -> Answer:
    return {"name": name, "tag": tag, "model": records.plain(model)}


def _tag(answer: Answer) -> Tag:
    return Tag(model_name=answer["name"], tag=answer["tag"], model=records.summary_from_row(answer["model"]))
