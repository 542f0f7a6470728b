"""The tie between graph and store, and the schema's migrations, on the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import LiteralString

import pytest
from tests.integration.lineage.conftest import STORE_ID, RawGraph
from tests.neo4j_server import TestServer

from mgit_core.errors import ErrorReason, FailedPreconditionError, UnavailableError
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.lineage import open_neo4j
from mgit_storage.lineage.binding import Neo4jStoreBinding
from mgit_storage.lineage.cypher import schema
from mgit_storage.lineage.session import Answer, GraphSession
from mgit_storage.testing.values import make_commit

OTHER_ID = "00000000-0000-4000-8000-000000000002"


@pytest.fixture(autouse=True)
async def unmigrated(raw: RawGraph) -> AsyncIterator[None]:
    """Other tests start with the schema of the run, whose level some of these change."""
    await raw.rows("MATCH (m:Migration) DELETE m")
    yield
    await raw.rows("MATCH (m:Migration) DELETE m")


def another(server: TestServer) -> Lineage:
    return open_neo4j(server.uri, server.username, server.password, is_warmed=False)


async def bind(server: TestServer, store_id: str = STORE_ID, *, store_is_empty: bool = True) -> None:
    lineage = another(server)
    try:
        await lineage.binding.bind(store_id, store_is_empty=store_is_empty)
    finally:
        await lineage.binding.close()


async def test_binding_makes_the_schema_and_records_it(emptied: TestServer, raw: RawGraph) -> None:
    await bind(emptied)
    await bind(emptied, store_is_empty=False)
    levels = await raw.rows("MATCH (m:Migration) RETURN m.number AS number ORDER BY number")
    assert [row["number"] for row in levels] == list(range(1, len(schema.MIGRATIONS) + 1))
    constraints = {row["name"] for row in await raw.rows("SHOW CONSTRAINTS YIELD name")}
    assert {"store_key", "model_uid", "model_version", "tensor_digest", "request_id"} <= constraints


async def test_a_migration_that_was_cut_off_is_run_again(emptied: TestServer, raw: RawGraph) -> None:
    await bind(emptied)
    await raw.rows("MATCH (m:Migration) DELETE m")
    await raw.rows("DROP INDEX request_age")
    await bind(emptied)
    names = {row["name"] for row in await raw.rows("SHOW INDEXES YIELD name")}
    assert "request_age" in names
    assert len(await raw.rows("MATCH (m:Migration) RETURN m")) == len(schema.MIGRATIONS)


async def test_a_graph_from_before_sketches_learns_which_lack(emptied: TestServer, raw: RawGraph) -> None:
    lineage = another(emptied)
    await lineage.binding.bind(STORE_ID, store_is_empty=True)
    model = (await lineage.models.commit(make_commit("m"))).model
    await raw.rows("MATCH (m:Migration) WHERE m.number > 1 DELETE m")
    await raw.rows("MATCH (p:ParameterSet) REMOVE p.unsketched")
    assert await lineage.sketches.lacking(Page()) == []
    await lineage.binding.bind(STORE_ID, store_is_empty=False)
    assert await lineage.sketches.lacking(Page()) == [model.parameters]
    await lineage.binding.close()


async def test_services_that_start_at_once_bind_and_migrate_once(emptied: TestServer, raw: RawGraph) -> None:
    await asyncio.gather(*(bind(emptied) for _ in range(3)))
    assert len(await raw.rows("MATCH (s:Store) RETURN s")) == 1
    assert len(await raw.rows("MATCH (m:Migration) RETURN m")) == len(schema.MIGRATIONS)


class Overtaken(GraphSession):
    """A session after whose first look another service binds the graph."""

    overtake: Callable[[], Awaitable[None]] | None = None

    async def rows(self, query: LiteralString, **parameters: object) -> list[Answer]:
        answer = await super().rows(query, **parameters)
        overtake, self.overtake = self.overtake, None
        if overtake is not None:
            await overtake()
        return answer


async def test_a_service_that_is_overtaken_while_it_binds_is_bound_too(emptied: TestServer) -> None:
    session = Overtaken.open(emptied.uri, emptied.username, emptied.password, None)
    session.overtake = lambda: bind(emptied)
    binding = Neo4jStoreBinding(session, is_warmed=False)
    await binding.bind(STORE_ID, store_is_empty=True)
    assert await binding.epoch() == 1
    await binding.close()


async def test_of_two_stores_that_bind_at_once_one_is_refused(emptied: TestServer) -> None:
    results = await asyncio.gather(bind(emptied, STORE_ID), bind(emptied, OTHER_ID), return_exceptions=True)
    refused = [result for result in results if isinstance(result, FailedPreconditionError)]
    assert [error.reason for error in refused] == [ErrorReason.STORE_MISMATCH]


async def test_a_store_with_content_is_not_bound_to_an_empty_graph(emptied: TestServer) -> None:
    with pytest.raises(FailedPreconditionError, match="the store is not empty") as error:
        await bind(emptied, store_is_empty=False)
    assert error.value.reason is ErrorReason.STORE_MISMATCH


async def test_an_empty_store_is_not_bound_to_a_graph_with_nodes(emptied: TestServer, raw: RawGraph) -> None:
    await raw.rows("CREATE (:Somebodys)")
    with pytest.raises(FailedPreconditionError, match="the graph is not empty") as error:
        await bind(emptied)
    assert error.value.reason is ErrorReason.STORE_MISMATCH
    assert await raw.rows("MATCH (s:Store) RETURN s") == []


async def test_another_store_is_refused(emptied: TestServer) -> None:
    await bind(emptied)
    with pytest.raises(FailedPreconditionError) as error:
        await bind(emptied, OTHER_ID)
    assert error.value.reason is ErrorReason.STORE_MISMATCH
    assert error.value.details == {"graph_store_id": STORE_ID, "store_id": OTHER_ID}


async def test_a_graph_of_a_later_version_is_refused(emptied: TestServer, raw: RawGraph) -> None:
    await bind(emptied)
    await raw.rows("CREATE (:Migration {number: 1000})")
    with pytest.raises(FailedPreconditionError) as error:
        await bind(emptied)
    assert error.value.reason is ErrorReason.SCHEMA_TOO_NEW


async def test_an_empty_graph_of_a_later_version_is_not_bound(emptied: TestServer, raw: RawGraph) -> None:
    await raw.rows("CREATE (:Migration {number: 1000})")
    with pytest.raises(FailedPreconditionError) as error:
        await bind(emptied)
    assert error.value.reason is ErrorReason.SCHEMA_TOO_NEW
    assert await raw.rows("MATCH (s:Store) RETURN s") == []


async def test_a_graph_with_nothing_but_its_schema_is_bound(emptied: TestServer, raw: RawGraph) -> None:
    await bind(emptied)
    await raw.rows("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    await bind(emptied, OTHER_ID)
    assert [row["id"] for row in await raw.rows("MATCH (s:Store) RETURN s.id AS id")] == [OTHER_ID]


async def test_a_graph_that_was_replaced_is_noticed(lineage: Lineage, raw: RawGraph) -> None:
    await raw.rows("MATCH (s:Store) SET s.id = $other", other=OTHER_ID)
    with pytest.raises(FailedPreconditionError) as error:
        await lineage.binding.epoch()
    assert error.value.reason is ErrorReason.STORE_MISMATCH


async def test_a_collection_makes_drafts_stale(lineage: Lineage, raw: RawGraph) -> None:
    await raw.rows("MATCH (s:Store) SET s.epoch = s.epoch + 1")
    assert await lineage.binding.epoch() == 2
    with pytest.raises(UnavailableError) as error:
        await lineage.models.commit(make_commit("m"))
    assert error.value.reason is ErrorReason.UPLOAD_STALE
    assert (await lineage.models.commit(make_commit("m", epoch=2))).model.ref == "m@1"
