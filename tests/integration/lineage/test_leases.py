"""The lease on the real server, by that server's clock."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.lineage.conftest import STORE_ID, RawGraph
from tests.neo4j_server import TestServer

from mgit_core.errors import ConflictError, ErrorReason
from mgit_core.ports.graph import Lineage
from mgit_storage.lineage import open_neo4j

AGE = "MATCH (l:Lease) SET l.given_at = l.given_at - $seconds * 1000"


async def test_a_lease_is_free_at_twice_its_seconds_and_not_before(lineage: Lineage, raw: RawGraph) -> None:
    await lineage.leases.acquire("gc", 60)
    await raw.rows(AGE, seconds=90)
    with pytest.raises(ConflictError) as error:
        await lineage.leases.acquire("repack", 60)
    assert error.value.reason is ErrorReason.MAINTENANCE_BUSY
    assert 0 < int(error.value.details["seconds_left"]) <= 30
    await raw.rows(AGE, seconds=30)
    assert (await lineage.leases.acquire("repack", 60)).number == 2


async def test_a_renewal_lets_the_seconds_begin_anew(lineage: Lineage, raw: RawGraph) -> None:
    lease = await lineage.leases.acquire("gc", 60)
    await raw.rows(AGE, seconds=1_000)
    await lineage.leases.renew(lease)
    with pytest.raises(ConflictError) as error:
        await lineage.leases.acquire("repack", 60)
    assert 100 < int(error.value.details["seconds_left"]) <= 120


async def test_a_released_lease_says_nothing_of_its_last_holder(lineage: Lineage, raw: RawGraph) -> None:
    await lineage.leases.release(await lineage.leases.acquire("gc", 60))
    found = await raw.rows("MATCH (l:Lease) RETURN l {.*} AS lease")
    assert found == [{"lease": {"name": "maintenance", "number": 1, "locked": True}}]


async def test_of_two_services_that_ask_for_an_expired_lease_one_gets_it(
    emptied: TestServer, lineage: Lineage, raw: RawGraph
) -> None:
    await lineage.leases.acquire("gc", 60)
    await raw.rows(AGE, seconds=1_000)
    other = open_neo4j(emptied.uri, emptied.username, emptied.password, is_warmed=False)
    await other.binding.bind(STORE_ID, store_is_empty=True)
    try:
        results = await asyncio.gather(
            *(each.leases.acquire("repack", 60) for each in (lineage, other)), return_exceptions=True
        )
    finally:
        await other.binding.close()
    refused = [result for result in results if isinstance(result, ConflictError)]
    assert [error.reason for error in refused] == [ErrorReason.MAINTENANCE_BUSY]


async def test_a_graph_that_was_replaced_is_not_condemned(lineage: Lineage, raw: RawGraph) -> None:
    lease = await lineage.leases.acquire("gc", 60)
    await raw.rows("MATCH (s:Store) SET s.id = 'another'")
    for question in (lineage.binding.state(), lineage.binding.condemn("condemned/list", lease)):
        with pytest.raises(Exception, match="does not belong") as error:
            await question
        assert error.value.reason is ErrorReason.STORE_MISMATCH  # type: ignore[attr-defined]
    assert await raw.rows("MATCH (s:Store) RETURN s.epoch AS epoch, s.condemned AS condemned") == [
        {"epoch": 1, "condemned": None}
    ]
