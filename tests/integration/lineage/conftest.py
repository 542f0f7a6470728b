"""A bound graph for each test, and a way to ask the server directly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import neo4j
import pytest
from tests.neo4j_server import TestServer, empty

from mgit_core.ports.graph import Lineage
from mgit_storage.lineage import open_neo4j

STORE_ID = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class RawGraph:
    """The server without the adapter."""

    driver: neo4j.AsyncDriver

    async def rows(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        async with self.driver.session() as session:
            return await (await session.run(query, parameters)).data()  # type: ignore[arg-type]


@pytest.fixture
async def emptied(neo4j_server: TestServer) -> AsyncIterator[TestServer]:
    """The run's server, with nothing but its schema and the record of it before and after the test."""
    await empty(neo4j_server)
    yield neo4j_server
    await empty(neo4j_server)


@pytest.fixture
async def raw(emptied: TestServer) -> AsyncIterator[RawGraph]:
    async with neo4j.AsyncGraphDatabase.driver(
        emptied.uri, auth=(emptied.username, emptied.password), notifications_min_severity="OFF"
    ) as driver:
        yield RawGraph(driver)


@pytest.fixture
async def lineage(emptied: TestServer) -> AsyncIterator[Lineage]:
    lineage = open_neo4j(emptied.uri, emptied.username, emptied.password, is_warmed=False)
    await lineage.binding.bind(STORE_ID, store_is_empty=True)
    yield lineage
    await lineage.binding.close()
