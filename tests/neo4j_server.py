"""One throw-away Neo4j for a test run, or the one that ``MGIT_TEST_NEO4J_URI`` names."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from unittest import mock

import neo4j
import platformdirs
import pytest

from mgit.local.distribution import fetch_neo4j
from mgit.local.neo4j import ManagedNeo4j, free_port
from mgit_storage.lineage.cypher.schema import COUNT_NODES

# Read by every Java of the run. A Neo4j of a few tests ends before the work of the second compiler pays: without it a
# start and the first queries take half the processor time.
_QUICK = "-XX:TieredStopAtLevel=1"
os.environ.setdefault("JDK_JAVA_OPTIONS", _QUICK)

_EMPTY: LiteralString = """
MATCH (n) WHERE NOT n:Migration
CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS
"""


@dataclass(frozen=True)
class TestServer:
    """Where the tests' Neo4j answers."""

    __test__ = False

    uri: str
    username: str
    password: str


def cache_folder() -> Path:
    return Path(platformdirs.user_cache_dir("mgit"))


def count_nodes(server: TestServer) -> int:
    with neo4j.GraphDatabase.driver(server.uri, auth=(server.username, server.password)) as driver:
        return int(driver.execute_query(COUNT_NODES).records[0]["nodes"])


def empty_graph(server: TestServer) -> None:
    """Deletes what the tests made, and keeps the schema and the record of it, which take longest to make."""
    with (
        neo4j.GraphDatabase.driver(
            server.uri, auth=(server.username, server.password), notifications_min_severity="OFF"
        ) as driver,
        driver.session() as session,
    ):
        session.run(_EMPTY).consume()


@contextlib.contextmanager
def _both_compilers() -> Iterator[None]:
    """For a server that lives as long as the run."""
    options = os.environ.get("JDK_JAVA_OPTIONS", "").replace(_QUICK, "")
    with mock.patch.dict(os.environ, {"JDK_JAVA_OPTIONS": options}):
        yield


async def empty(server: TestServer) -> None:
    """As ``empty_graph``, beside a running event loop."""
    await asyncio.to_thread(empty_graph, server)


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server that holds nothing when the run begins."""
    uri = os.environ.get("MGIT_TEST_NEO4J_URI")
    if uri:
        server = TestServer(
            uri,
            os.environ.get("MGIT_TEST_NEO4J_USERNAME", "neo4j"),
            os.environ.get("MGIT_TEST_NEO4J_PASSWORD", ""),
        )
        if count_nodes(server):
            pytest.exit(f"MGIT_TEST_NEO4J_URI names {uri}, which holds nodes; tests want an empty one.", 2)
        yield server
        return
    managed = ManagedNeo4j(
        home=tmp_path_factory.mktemp("neo4j"), jars=fetch_neo4j(cache_folder()), is_throw_away=True
    )
    try:
        with _both_compilers():
            running = managed.start(bolt_port=free_port(), http_port=free_port())
        yield TestServer(running.bolt_uri, running.username, "")
    finally:
        managed.stop()
