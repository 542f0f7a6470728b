"""The lease of the twin in memory follows the clock that it is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mgit_core.errors import ConflictError, ErrorReason
from mgit_core.ports.graph import Lineage
from mgit_storage.lineage import open_memory


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lineage(clock: Clock) -> Lineage:
    return open_memory(clock)


async def test_a_lease_is_free_at_twice_its_seconds_and_not_before(lineage: Lineage, clock: Clock) -> None:
    await lineage.leases.acquire("gc", 60)
    clock.move(119)
    with pytest.raises(ConflictError) as error:
        await lineage.leases.acquire("repack", 60)
    assert error.value.reason is ErrorReason.MAINTENANCE_BUSY
    assert error.value.details == {"work": "gc", "seconds_left": "1"}
    clock.move(1)
    assert (await lineage.leases.acquire("repack", 60)).number == 2


async def test_a_renewal_lets_the_seconds_begin_anew(lineage: Lineage, clock: Clock) -> None:
    lease = await lineage.leases.acquire("gc", 60)
    clock.move(100)
    await lineage.leases.renew(lease)
    clock.move(119)
    with pytest.raises(ConflictError):
        await lineage.leases.acquire("repack", 60)


async def test_a_holder_who_is_late_goes_on_if_nobody_came(lineage: Lineage, clock: Clock) -> None:
    """The number tells that nobody held it in between."""
    lease = await lineage.leases.acquire("gc", 60)
    clock.move(1_000)
    assert await lineage.leases.renew(lease) == lease
    with pytest.raises(ConflictError):
        await lineage.leases.acquire("repack", 60)
