"""Laws of the maintenance lease, and of what only its holder may do."""

from __future__ import annotations

import asyncio
import time

import pytest

from mgit_core.errors import ConflictError, ErrorReason, UnavailableError
from mgit_core.ports.graph import Lease, Lineage, StoreState
from mgit_storage.testing.lineage.steps import add, eventually, find, refused
from mgit_storage.testing.values import make_commit

__all__ = ["CondemnLaws", "LeaseLaws"]

_LONG_S = 3_600.0
_SHORT_S = 0.05


async def _acquired_at_last(lineage: Lineage, work: str) -> Lease:
    """The lease, once its holder's time is over."""
    held: list[Lease] = []

    async def ask() -> ErrorReason | None:
        try:
            held.append(await lineage.leases.acquire(work, _LONG_S))
        except ConflictError as error:
            return error.reason
        return None

    await eventually(ask, lambda reason: reason is not ErrorReason.MAINTENANCE_BUSY)
    return held[0]


class LeaseLaws:
    """One process at a time changes what is stored."""

    async def test_a_held_lease_says_whose_it_is(self, lineage: Lineage) -> None:
        lease = await lineage.leases.acquire("gc", _LONG_S)
        assert (lease.work, lease.seconds, bool(lease.holder)) == ("gc", _LONG_S, True)
        with pytest.raises(ConflictError) as error:
            await lineage.leases.acquire("repack", _LONG_S)
        assert error.value.reason is ErrorReason.MAINTENANCE_BUSY
        assert error.value.details["work"] == "gc"
        assert _LONG_S < int(error.value.details["seconds_left"]) <= 2 * _LONG_S

    async def test_a_released_lease_is_free_and_its_number_rises(self, lineage: Lineage) -> None:
        first = await lineage.leases.acquire("gc", _LONG_S)
        await lineage.leases.release(first)
        second = await lineage.leases.acquire("repack", _LONG_S)
        assert (second.work, second.number) == ("repack", first.number + 1)
        assert second.holder != first.holder

    async def test_of_many_who_ask_at_once_one_gets_it(self, lineage: Lineage) -> None:
        results = await asyncio.gather(
            *(lineage.leases.acquire(f"work {number}", _LONG_S) for number in range(8)),
            return_exceptions=True,
        )
        assert len([result for result in results if isinstance(result, Lease)]) == 1
        assert all(
            isinstance(result, Lease)
            or (isinstance(result, ConflictError) and result.reason is ErrorReason.MAINTENANCE_BUSY)
            for result in results
        )

    async def test_a_lease_passes_on_after_twice_its_seconds(self, lineage: Lineage) -> None:
        before = time.monotonic()
        first = await lineage.leases.acquire("gc", 0.2)
        second = await _acquired_at_last(lineage, "repack")
        # The clock of the graph counts in milliseconds.
        assert time.monotonic() - before > 0.39
        assert second.number == first.number + 1

    async def test_a_renewed_lease_stays_its_holders(self, lineage: Lineage) -> None:
        lease = await lineage.leases.acquire("gc", _LONG_S)
        assert await lineage.leases.renew(lease) == lease
        with refused(ConflictError, ErrorReason.MAINTENANCE_BUSY):
            await lineage.leases.acquire("repack", _LONG_S)
        await lineage.leases.release(lease)
        await lineage.leases.acquire("repack", _LONG_S)

    async def test_a_lease_that_passed_on_cannot_be_renewed(self, lineage: Lineage) -> None:
        first = await lineage.leases.acquire("gc", _SHORT_S)
        second = await _acquired_at_last(lineage, "repack")
        with refused(ConflictError, ErrorReason.LEASE_LOST):
            await lineage.leases.renew(first)
        assert await lineage.leases.renew(second) == second

    async def test_a_released_lease_cannot_be_renewed(self, lineage: Lineage) -> None:
        lease = await lineage.leases.acquire("gc", _LONG_S)
        await lineage.leases.release(lease)
        with refused(ConflictError, ErrorReason.LEASE_LOST):
            await lineage.leases.renew(lease)

    async def test_who_lost_the_lease_cannot_release_it(self, lineage: Lineage) -> None:
        first = await lineage.leases.acquire("gc", _SHORT_S)
        await _acquired_at_last(lineage, "repack")
        await lineage.leases.release(first)
        with refused(ConflictError, ErrorReason.MAINTENANCE_BUSY):
            await lineage.leases.acquire("gc", _LONG_S)

    async def test_a_lease_that_nobody_ever_held_cannot_be_renewed(self, lineage: Lineage) -> None:
        stranger = Lease(holder="0" * 32, number=1, seconds=_LONG_S, work="gc")
        with refused(ConflictError, ErrorReason.LEASE_LOST):
            await lineage.leases.renew(stranger)
        await lineage.leases.release(stranger)


class CondemnLaws:
    """What is condemned moves the epoch, and only the holder of the lease condemns."""

    async def test_a_new_store_has_nothing_condemned(self, lineage: Lineage) -> None:
        assert await lineage.binding.state() == StoreState(epoch=1, condemned=None)

    async def test_each_step_of_a_collection_raises_the_epoch(self, lineage: Lineage) -> None:
        lease = await lineage.leases.acquire("gc", _LONG_S)
        pointed = await lineage.binding.condemn("condemned/list", lease)
        assert pointed == StoreState(epoch=2, condemned="condemned/list")
        assert await lineage.binding.state() == pointed
        assert await lineage.binding.epoch() == 2
        assert await lineage.binding.condemn(None, lease) == StoreState(epoch=3, condemned=None)
        assert await lineage.binding.state() == StoreState(epoch=3, condemned=None)

    async def test_a_commit_of_an_earlier_epoch_is_stale(self, lineage: Lineage) -> None:
        lease = await lineage.leases.acquire("gc", _LONG_S)
        await add(lineage, "before")
        await lineage.binding.condemn("condemned/list", lease)
        with refused(UnavailableError, ErrorReason.UPLOAD_STALE):
            await lineage.models.commit(make_commit("m", epoch=1))
        await lineage.models.commit(make_commit("m", epoch=2))
        assert (await find(lineage, "m")).version == 1

    async def test_who_lost_the_lease_condemns_nothing(self, lineage: Lineage) -> None:
        lost = await lineage.leases.acquire("gc", _SHORT_S)
        await _acquired_at_last(lineage, "repack")
        with refused(ConflictError, ErrorReason.LEASE_LOST):
            await lineage.binding.condemn("condemned/list", lost)
        assert await lineage.binding.state() == StoreState(epoch=1, condemned=None)

    async def test_who_never_had_the_lease_condemns_nothing(self, lineage: Lineage) -> None:
        stranger = Lease(holder="0" * 32, number=1, seconds=_LONG_S, work="gc")
        with refused(ConflictError, ErrorReason.LEASE_LOST):
            await lineage.binding.condemn("condemned/list", stranger)
        assert await lineage.binding.state() == StoreState(epoch=1, condemned=None)

    async def test_commits_beside_a_collection_are_of_its_epoch_or_stale(self, lineage: Lineage) -> None:
        """A commit that is let through ended before the list was pointed at, which the marking then sees."""
        lease = await lineage.leases.acquire("gc", _LONG_S)
        commits = [lineage.models.commit(make_commit(f"m{number}", epoch=1)) for number in range(6)]
        state, *results = await asyncio.gather(
            lineage.binding.condemn("condemned/list", lease), *commits, return_exceptions=True
        )
        assert state == StoreState(epoch=2, condemned="condemned/list")
        stale = [result for result in results if isinstance(result, UnavailableError)]
        assert all(error.reason is ErrorReason.UPLOAD_STALE for error in stale)
        assert len(stale) + (await lineage.content.counts()).models == len(commits)
