"""What callers learn when the server, the network or their time fails them, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.lineage.conftest import RawGraph

from mgit.local.neo4j import free_port
from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    InvalidArgumentError,
    UnavailableError,
)
from mgit_core.lineage import ParentLink, RequestKey
from mgit_core.names import parse_reference
from mgit_core.ports.graph import Lineage, Page, deadline
from mgit_storage.lineage import open_neo4j
from mgit_storage.testing.values import make_commit


@contextlib.contextmanager
def time_left(seconds: float) -> Iterator[None]:
    token = deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        deadline.reset(token)


@contextlib.asynccontextmanager
async def locked(raw: RawGraph, match: str) -> AsyncIterator[None]:
    """Holds a write lock on a node, as a transaction that takes its time would."""
    async with raw.driver.session() as session:
        transaction = await session.begin_transaction()
        await (await transaction.run(f"MATCH {match} SET n.locked = true")).consume()  # type: ignore[arg-type]
        try:
            yield
        finally:
            await transaction.rollback()


async def waiting_transactions(raw: RawGraph) -> int:
    rows = await raw.rows(
        "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN count(*) AS waiting"
    )
    return int(rows[0]["waiting"])


async def wait_until_blocked(raw: RawGraph) -> None:
    async with asyncio.timeout(30):
        while not await waiting_transactions(raw):
            pass


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as error:
        open_neo4j("http://127.0.0.1:7474", "neo4j", "")
    assert error.value.reason is ErrorReason.INVALID_ARGUMENT


async def test_a_server_that_is_down_is_unavailable() -> None:
    lineage = open_neo4j(f"bolt://127.0.0.1:{free_port()}", "neo4j", "")
    with pytest.raises(UnavailableError) as error:
        await lineage.binding.server()
    assert error.value.reason is ErrorReason.NEO4J_UNAVAILABLE
    with time_left(0.2), pytest.raises(DeadlineExceededError):
        await lineage.models.list_latest(Page())
    await lineage.binding.close()


async def test_a_reader_that_waits_too_long_is_told(lineage: Lineage) -> None:
    with time_left(0.0), pytest.raises(DeadlineExceededError) as error:
        await lineage.models.list_latest(Page())
    assert error.value.reason is ErrorReason.DEADLINE_EXCEEDED


async def test_a_writer_that_waits_too_long_leaves_nothing(lineage: Lineage, raw: RawGraph) -> None:
    async with locked(raw, "(n:Store)"):
        with time_left(0.3), pytest.raises(DeadlineExceededError):
            await lineage.models.commit(make_commit("m"))
    assert await lineage.models.list_latest(Page()) == []
    assert (await lineage.models.commit(make_commit("m"))).model.ref == "m@1"


async def test_a_cancelled_writer_leaves_nothing_and_no_lock(lineage: Lineage, raw: RawGraph) -> None:
    async with locked(raw, "(n:Store)"):
        task = asyncio.create_task(lineage.models.commit(make_commit("m")))
        await wait_until_blocked(raw)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await lineage.models.list_latest(Page()) == []
    assert (await lineage.models.commit(make_commit("m"))).model.ref == "m@1"


async def test_a_writer_waits_for_another_one(lineage: Lineage, raw: RawGraph) -> None:
    async with locked(raw, "(n:Store)"):
        task = asyncio.create_task(lineage.models.commit(make_commit("m")))
        await wait_until_blocked(raw)
    assert (await task).model.ref == "m@1"


async def test_an_epoch_that_moves_while_a_commit_waits_refuses_it(lineage: Lineage, raw: RawGraph) -> None:
    async with raw.driver.session() as session:
        transaction = await session.begin_transaction()
        await (await transaction.run("MATCH (n:Store) SET n.epoch = n.epoch + 1")).consume()
        task = asyncio.create_task(lineage.models.commit(make_commit("m")))
        await wait_until_blocked(raw)
        await transaction.commit()
    with pytest.raises(UnavailableError) as error:
        await task
    assert error.value.reason is ErrorReason.UPLOAD_STALE
    assert await lineage.models.list_latest(Page()) == []


async def test_a_parent_that_is_removed_meanwhile_is_not_found_or_a_tombstone(lineage: Lineage) -> None:
    """Whoever is first wins, and no edge is lost."""
    for number in range(8):
        parent = (await lineage.models.commit(make_commit(f"p{number}"))).model
        child = make_commit(f"c{number}", *_child_of(parent.uid))
        results = await asyncio.gather(
            lineage.models.commit(child), lineage.models.remove(parent.uid), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            assert [getattr(error, "reason", error) for error in errors] == [ErrorReason.PARENT_NOT_FOUND]
        else:
            model = await lineage.models.get(parse_reference(f"@{child.uid}"))
            assert model.parent_refs == (f"p{number}@1",)


async def test_content_that_is_removed_meanwhile_is_made_again(lineage: Lineage) -> None:
    """A commit that shares all its tensors with a model under removal keeps them."""
    for number in range(8):
        content = f"shared {number}"
        old = (await lineage.models.commit(make_commit(f"old{number}", content=content))).model
        new, _ = await asyncio.gather(
            lineage.models.commit(make_commit(f"new{number}", content=content)),
            lineage.models.remove(old.uid),
        )
        assert (await lineage.models.get(parse_reference(new.model.ref))).parameters is not None
    counts = await lineage.content.counts()
    assert (counts.models, counts.tensors) == (8, 16)


async def test_an_answer_is_forgotten_after_a_week(lineage: Lineage, raw: RawGraph) -> None:
    old, new = (RequestKey(id=name, arguments_digest=b"\1" * 32) for name in ("old", "new"))
    first = await lineage.models.commit(make_commit("m"), old)
    await raw.rows("MATCH (r:Request {id: 'old'}) SET r.created_at = datetime() - duration('P8D')")
    again = await lineage.models.commit(make_commit("m"), old)
    assert (first.model.ref, again.model.ref, again.repeated) == ("m@1", "m@2", False)
    await raw.rows("MATCH (r:Request {id: 'old'}) SET r.created_at = datetime() - duration('P8D')")
    await lineage.models.commit(make_commit("m"), new)
    assert [row["id"] for row in await raw.rows("MATCH (r:Request) RETURN r.id AS id")] == ["new"]


def _child_of(uid: str) -> tuple[ParentLink, ...]:
    return (ParentLink(parent_uid=uid),)
