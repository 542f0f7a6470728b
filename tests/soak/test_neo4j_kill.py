"""SIGKILL of Neo4j while models are committed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.neo4j_server import cache_folder

from mgit.local.distribution import fetch_neo4j
from mgit.local.neo4j import ManagedNeo4j, free_port
from mgit_core.errors import ErrorReason
from mgit_core.names import parse_reference
from mgit_storage.lineage import open_neo4j
from mgit_storage.testing.values import make_commit

STORE_ID = "00000000-0000-4000-8000-000000000001"
_BEFORE_THE_KILL = 20


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ManagedNeo4j]:
    """A server with a password, for one test alone."""
    managed = ManagedNeo4j(home=tmp_path / "neo4j", jars=fetch_neo4j(cache_folder()))
    try:
        managed.start(bolt_port=free_port(), http_port=free_port())
        yield managed
    finally:
        managed.stop()


@pytest.mark.soak
async def test_acknowledged_commits_survive_a_killed_server(own_server: ManagedNeo4j) -> None:
    """The same adapter goes on with the server that came back."""
    running = own_server.find()
    assert running is not None
    lineage = open_neo4j(running.bolt_uri, running.username, running.password(), is_warmed=False)
    await lineage.binding.bind(STORE_ID, store_is_empty=True)
    acknowledged: list[str] = []
    some, is_over = asyncio.Event(), asyncio.Event()

    async def write(name: str) -> None:
        while not is_over.is_set():
            acknowledged.append((await lineage.models.commit(make_commit(name))).model.ref)
            if len(acknowledged) >= _BEFORE_THE_KILL:
                some.set()

    writers = [asyncio.create_task(write(f"m{writer}")) for writer in range(4)]
    async with asyncio.timeout(60):
        await some.wait()
    os.kill(running.process.pid, signal.SIGKILL)
    bolt, http = (int(address.rpartition(":")[2]) for address in (running.bolt_uri, running.http_url))
    await asyncio.to_thread(own_server.start, bolt_port=bolt, http_port=http)
    is_over.set()
    outcomes = await asyncio.gather(*writers, return_exceptions=True)
    errors = [outcome for outcome in outcomes if outcome is not None]
    assert {getattr(error, "reason", error) for error in errors} <= {ErrorReason.NEO4J_UNAVAILABLE}
    for reference in acknowledged:
        assert (await lineage.models.get(parse_reference(reference))).parameters is not None
    counts = await lineage.content.counts()
    assert len(acknowledged) <= counts.models <= len(acknowledged) + len(writers)
    assert counts.tensors == 2 * counts.models
    await lineage.binding.close()
