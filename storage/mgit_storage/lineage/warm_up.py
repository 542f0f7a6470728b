"""Has the server plan the usual queries before anyone waits for them.

The first query of each text costs its planning, together one to two seconds after a restart of the server. Usual is what
adds a model, names one, lists models and follows lineage. Staged models, cascades and exchanges are left to their first
call: they have some fifty queries more, which would hold up every start, and whose planning is little beside the run of a
creation function or the way of a model to another store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from typing import LiteralString

import neo4j

from mgit_core.digest import Digest
from mgit_core.errors import MGitError, NotFoundError
from mgit_core.lineage import Direction, ModelCommit, ParameterSet, TensorRecord
from mgit_core.names import make_uid
from mgit_core.ports.graph import Page, TraversalQuery
from mgit_storage.lineage.commit import commit_models
from mgit_storage.lineage.content import Neo4jContentQueries
from mgit_storage.lineage.cypher import commit as commit_cypher
from mgit_storage.lineage.cypher import models as cypher
from mgit_storage.lineage.models import Neo4jModels
from mgit_storage.lineage.session import GraphSession, run
from mgit_storage.lineage.traversal import Neo4jTraversal

__all__ = ["warm_up"]

_log = logging.getLogger(__name__)

# A uid and a name that nobody has: no time is so early, and no name holds a space.
_NOBODY = make_uid(0, bytes(10))
_NO_NAME = "no name"
_DIGEST: Digest = bytes(32)
_SOME_TENSORS = 100
_AT_MOST_S = 20.0


async def warm_up(session: GraphSession) -> None:
    """Run the usual queries on nothing. A failure is logged, and is no reason not to start."""
    try:
        async with asyncio.timeout(_AT_MOST_S), asyncio.TaskGroup() as group:
            group.create_task(_find(session))
            group.create_task(_traverse(session))
            group.create_task(session.undone(_commit))
    except* (MGitError, TimeoutError) as errors:
        reason = str(errors.exceptions[0]) or f"it took more than {_AT_MOST_S:g} s."
        _log.warning("The graph's queries could not be warmed: %s", reason)


async def _find(session: GraphSession) -> None:
    texts: tuple[LiteralString, ...] = (
        cypher.FIND_BY_UID,
        cypher.FIND_BY_NUMBER,
        cypher.FIND_BY_TAG,
        cypher.FIND_LATEST,
        cypher.FIND_SUMMARIES,
        cypher.LIST_TAGS,
    )
    for text in texts:
        await session.rows(text, uid=_NOBODY, uids=[_NOBODY], name=_NO_NAME, version=1, tag="tag")
    models = Neo4jModels(session)
    await models.list_latest(Page(size=1))
    with contextlib.suppress(NotFoundError):
        await models.list_versions(_NO_NAME, Page(size=1))
    content = Neo4jContentQueries(session)
    await content.models_with_tensor(_DIGEST, Page(size=1))
    await content.counts()


async def _traverse(session: GraphSession) -> None:
    traversal = Neo4jTraversal(session)
    for direction in Direction:
        query = TraversalQuery(uid=_NOBODY, direction=direction)
        for answer in (traversal.uids(query), traversal.relatives(query)):
            with contextlib.suppress(NotFoundError):
                async for _ in answer:
                    pass


async def _commit(transaction: neo4j.AsyncTransaction) -> None:
    """A whole commit with the id of a request, which is rolled back; the lock on the store comes last."""
    await run(transaction, commit_cypher.CLAIM_REQUEST, id=_NO_NAME)
    parameters = ParameterSet(digest=_DIGEST, manifest_key="", size_bytes=0, tensor_count=_SOME_TENSORS)
    tensors = tuple(
        TensorRecord(name=str(number), digest=_DIGEST, dtype="", shape=(), size_bytes=0)
        for number in range(_SOME_TENSORS)
    )
    model = ModelCommit(
        uid=_NOBODY,
        name=_NO_NAME,
        created_at=datetime.now(UTC),
        parameters=parameters,
        tensors=tensors,
        epoch=0,
    )
    await commit_models(transaction, [model])
    await run(transaction, commit_cypher.RECORD_REQUEST, id=_NO_NAME, arguments_digest="", answer="")
    await run(transaction, commit_cypher.LOCK_AND_CHECK_EPOCH, epochs=[])
