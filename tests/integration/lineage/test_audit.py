"""How questions run on a real server: places, time, and what happens when they are left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.integration.lineage.conftest import RawGraph
from tests.neo4j_server import TestServer

from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    MGitError,
    ResourceExhaustedError,
    UnavailableError,
)
from mgit_core.ports.audit import AuditAnswer, AuditQueries, AuditQuestion
from mgit_storage.lineage import open_neo4j
from mgit_storage.lineage.audit import Neo4jAuditQueries
from mgit_storage.lineage.session import GraphSession

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

# Neo4j does not look at the time within an expression; some seconds on any machine.
DEAF = "RETURN reduce(a = 0, x IN range(1, 60000000) | a + 1) AS a"
HEEDING = "UNWIND range(1, 1000000000000) AS x RETURN count(x) AS x"
ENDLESS = "UNWIND range(1, 1000000000000) AS x RETURN x"
MARKED = "SHOW TRANSACTIONS YIELD metaData WHERE metaData.mgit_audit IS NOT NULL RETURN count(*) AS questions"


@pytest.fixture
async def door(neo4j_server: TestServer) -> AsyncIterator[Neo4jAuditQueries]:
    """With one place."""
    session = GraphSession.open(neo4j_server.uri, neo4j_server.username, neo4j_server.password, None)
    yield Neo4jAuditQueries(session, most_at_once=1)
    await session.close()


async def ask(door: AuditQueries, statement: str, timeout_s: float = 60.0) -> list[AuditAnswer]:
    question = AuditQuestion(statement=statement, parameters={}, timeout_s=timeout_s)
    async with contextlib.aclosing(door.ask(question)) as answers:
        return [answer async for answer in answers]


async def place_of(door: AuditQueries) -> None:
    """Ask until there is a place."""
    while True:
        try:
            await ask(door, "RETURN 1 AS one")
        except ResourceExhaustedError:
            await asyncio.sleep(0)  # Gives way, so that the question that has the place can end.
        else:
            return


async def test_columns_come_first_and_rows_in_parts(door: Neo4jAuditQueries) -> None:
    first, *parts = await ask(door, "UNWIND range(1, 250) AS x RETURN x, toString(x) AS text")
    assert (first.columns, first.rows) == (("x", "text"), ())
    assert [row for part in parts for row in part.rows] == [(x, str(x)) for x in range(1, 251)]
    assert len(parts) == 3


async def test_a_question_beyond_its_time_ends_at_the_server(door: Neo4jAuditQueries, raw: RawGraph) -> None:
    with pytest.raises(DeadlineExceededError):
        await ask(door, HEEDING, timeout_s=0.5)
    await place_of(door)
    assert await raw.rows(MARKED) == [{"questions": 0}]


async def test_a_question_that_does_not_heed_its_time_keeps_its_place(door: Neo4jAuditQueries) -> None:
    with pytest.raises(DeadlineExceededError):
        await ask(door, DEAF, timeout_s=0.5)
    with pytest.raises(ResourceExhaustedError) as caught:
        await ask(door, "RETURN 1 AS one")
    assert caught.value.reason is ErrorReason.AUDIT_BUSY
    await place_of(door)


async def test_a_question_that_is_left_ends_at_the_server(door: Neo4jAuditQueries, raw: RawGraph) -> None:
    question = AuditQuestion(statement=ENDLESS, parameters={}, timeout_s=60.0)
    answers = door.ask(question)
    assert (await anext(answers)).rows == ()
    assert len((await anext(answers)).rows) == 100
    assert await raw.rows(MARKED) == [{"questions": 1}]
    await answers.aclose()
    await place_of(door)
    assert await raw.rows(MARKED) == [{"questions": 0}]


async def test_a_question_whose_asker_is_cancelled_ends_at_the_server(
    door: Neo4jAuditQueries, raw: RawGraph
) -> None:
    asking = asyncio.create_task(ask(door, HEEDING))
    while await raw.rows(MARKED) == [{"questions": 0}]:
        pass  # The server's list tells when it began.
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await place_of(door)
    assert await raw.rows(MARKED) == [{"questions": 0}]


async def test_a_refused_question_takes_no_place(door: Neo4jAuditQueries) -> None:
    for statement in ("CREATE (:Planted)", "MATCH (m) DELETE m", "RETURN nope(1)", "RETURN 'x"):
        with pytest.raises(MGitError):
            await ask(door, statement)
    assert [part.rows for part in await ask(door, "RETURN 1 AS one")] == [(), ((1,),)]


async def test_what_is_too_large_for_the_server_is_said(door: Neo4jAuditQueries) -> None:
    with pytest.raises(ResourceExhaustedError) as caught:
        await ask(door, "UNWIND range(1, 100000000) AS x WITH x ORDER BY -x RETURN x", timeout_s=120.0)
    assert caught.value.reason is ErrorReason.LIMIT_EXCEEDED
    await place_of(door)


async def test_without_a_server_the_question_may_be_sent_again() -> None:
    lineage = open_neo4j("bolt://127.0.0.1:1", "neo4j", "")
    assert lineage.audit is not None
    with pytest.raises(UnavailableError):
        await ask(lineage.audit, "RETURN 1 AS one")
    await lineage.binding.close()
