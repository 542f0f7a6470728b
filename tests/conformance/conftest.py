"""An empty bound graph for each test, on the run's Neo4j."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.neo4j_server import TestServer, empty

from mgit_core.ports.graph import Lineage
from mgit_storage.lineage import open_neo4j

STORE_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def neo4j_lineage(neo4j_server: TestServer) -> AsyncIterator[Lineage]:
    await empty(neo4j_server)
    server = neo4j_server
    lineage = open_neo4j(server.uri, server.username, server.password, is_warmed=False)
    await lineage.binding.bind(STORE_ID, store_is_empty=True)
    try:
        yield lineage
    finally:
        await lineage.binding.close()
        await empty(neo4j_server)
