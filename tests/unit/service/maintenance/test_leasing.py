"""Holding the lease: renewed beside the work, checked by its holder's own clock, given back at the end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ConflictError, ErrorReason, MGitError, UnavailableError
from mgit_core.ports.graph import Lease, Leases
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance.leasing import MERGE, HeldLease, held_lease
from mgit_storage.lineage import open_memory
from mgit_storage.store import memory_store

_AT_MOST_S = 20.0


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class FaultyLeases(Leases):
    """Real leases of a graph in memory; raises ``failure`` while there is one, and counts renewals."""

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self.failure: MGitError | None = None
        self.renewed = asyncio.Semaphore(0)
        self.tried = asyncio.Semaphore(0)

    async def acquire(self, work: str, seconds: float) -> Lease:
        return await self.leases.acquire(work, seconds)

    async def renew(self, lease: Lease) -> Lease:
        self.tried.release()
        if self.failure is not None:
            raise self.failure
        await self.leases.renew(lease)
        self.renewed.release()
        return lease

    async def release(self, lease: Lease) -> None:
        if self.failure is not None:
            raise self.failure
        await self.leases.release(lease)


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    store = memory_store(DigestAlgorithm.BLAKE3)
    lineage = open_memory()
    await lineage.binding.bind(store.id, store_is_empty=True)
    with ThreadPoolExecutor(2) as threads:
        yield Backend(
            store_id=store.id,
            chunks=store.chunks,
            parameters=store.parameters,
            lineage=replace(lineage, leases=FaultyLeases(lineage.leases)),
            threads=threads,
        )


def leases(backend: Backend) -> FaultyLeases:
    assert isinstance(backend.lineage.leases, FaultyLeases)
    return backend.lineage.leases


def is_lost(held: HeldLease) -> bool:
    try:
        held.check()
    except ConflictError as error:
        return error.reason is ErrorReason.LEASE_LOST
    return False


async def until(is_right: Callable[[], bool]) -> None:
    async with asyncio.timeout(_AT_MOST_S):
        while True:
            if is_right():
                return
            await asyncio.sleep(0.01)


async def is_free(backend: Backend) -> bool:
    try:
        await leases(backend).leases.release(await leases(backend).acquire("fsck", 60))
    except ConflictError:
        return False
    return True


async def test_the_lease_is_held_inside_and_given_back_at_the_end(backend: Backend) -> None:
    async with held_lease(backend, "gc") as held:
        held.check()
        assert (held.lease.work, held.lease.seconds) == ("gc", 60)
        assert not await is_free(backend)
    assert await is_free(backend)


async def test_the_lease_is_given_back_after_an_error(backend: Backend) -> None:
    with pytest.raises(ZeroDivisionError):
        async with held_lease(backend, "gc"):
            raise ZeroDivisionError
    assert await is_free(backend)


async def test_the_lease_is_given_back_when_the_work_is_cancelled(backend: Backend) -> None:
    began = asyncio.Event()

    async def work() -> None:
        async with held_lease(backend, "gc"):
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await is_free(backend)


@pytest.mark.parametrize("turns", range(5))
async def test_the_lease_is_given_back_when_its_end_is_cancelled(backend: Backend, turns: int) -> None:
    """The caller leaves while the lease is on its way back, some turns of the loop after the work."""

    def cancel_after(left: int) -> None:
        if left:
            asyncio.get_running_loop().call_soon(cancel_after, left - 1)
        else:
            task.cancel()

    async def work() -> None:
        async with held_lease(backend, "repack"):
            await asyncio.sleep(0)
            cancel_after(turns + 1)

    task = asyncio.create_task(work())
    with contextlib.suppress(asyncio.CancelledError):
        await task
    async with held_lease(backend, "gc"):
        pass


async def test_a_lease_that_comes_when_nobody_waits_any_more_is_given_back(backend: Backend) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    real = leases(backend).acquire

    async def slow(work: str, seconds: float) -> Lease:
        lease = await real(work, seconds)
        asked.set()
        await go_on.wait()
        return lease

    leases(backend).acquire = slow  # type: ignore[method-assign]
    task = asyncio.create_task(held_lease(backend, "gc").__aenter__())
    await asked.wait()
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    leases(backend).acquire = real  # type: ignore[method-assign]
    assert await is_free(backend)


async def test_another_work_is_refused_at_once(backend: Backend) -> None:
    async with held_lease(backend, "gc"):
        with pytest.raises(ConflictError) as error:
            async with held_lease(backend, "repack"):
                pass
    assert error.value.reason is ErrorReason.MAINTENANCE_BUSY
    assert error.value.details["work"] == "gc"


async def test_a_merge_is_waited_for(backend: Backend) -> None:
    merge = await leases(backend).acquire(MERGE, 60)

    async def collect() -> str:
        async with held_lease(backend, "gc") as held:
            return held.lease.work

    task = asyncio.create_task(collect())
    done, _ = await asyncio.wait({task}, timeout=0.3)
    assert not done
    await leases(backend).release(merge)
    assert await asyncio.wait_for(task, _AT_MOST_S) == "gc"


async def test_a_merge_that_never_ends_is_waited_for_half_a_minute(backend: Backend) -> None:
    await leases(backend).acquire(MERGE, 60)
    clock = Clock()
    task = asyncio.create_task(held_lease(backend, "gc", clock=clock).__aenter__())
    done, _ = await asyncio.wait({task}, timeout=0.3)
    assert not done
    clock.now += 31
    with pytest.raises(ConflictError) as error:
        await asyncio.wait_for(task, _AT_MOST_S)
    assert error.value.reason is ErrorReason.MAINTENANCE_BUSY


async def test_a_merge_does_not_wait_for_a_merge(backend: Backend) -> None:
    await leases(backend).acquire(MERGE, 60)
    with pytest.raises(ConflictError):
        async with held_lease(backend, MERGE):
            pass


async def test_the_lease_is_renewed_beside_the_work(backend: Backend) -> None:
    clock = Clock()
    async with held_lease(backend, "gc", seconds=0.3, clock=clock) as held:
        clock.now += 0.19
        held.check()
        await asyncio.wait_for(leases(backend).renewed.acquire(), _AT_MOST_S)
        await until(lambda: not is_lost(held))
        clock.now += 0.19
        held.check()


async def test_with_less_than_a_third_left_nothing_more_is_done(backend: Backend) -> None:
    clock = Clock()
    async with held_lease(backend, "gc", clock=clock) as held:
        clock.now += 39.9
        held.check()
        clock.now += 0.2
        with pytest.raises(ConflictError) as error:
            held.check()
        assert error.value.reason is ErrorReason.LEASE_LOST
        assert error.value.details["work"] == "gc"


async def test_the_time_counts_from_before_the_lease_was_asked_for(backend: Backend) -> None:
    """The graph's answer may be slow, and its clock ran meanwhile."""
    clock = Clock()
    real = leases(backend).acquire

    async def slow(work: str, seconds: float) -> Lease:
        lease = await real(work, seconds)
        clock.now += 50
        return lease

    leases(backend).acquire = slow  # type: ignore[method-assign]
    async with held_lease(backend, "gc", clock=clock) as held:
        assert is_lost(held)


async def test_a_lease_that_passed_to_another_is_lost_for_good(backend: Backend) -> None:
    async with held_lease(backend, "gc", seconds=0.3) as held:
        leases(backend).failure = ConflictError(ErrorReason.LEASE_LOST, "Lost.")
        await until(lambda: is_lost(held))
        leases(backend).failure = None
        assert is_lost(held)
    assert await is_free(backend)


async def test_a_renewal_that_fails_is_tried_again(backend: Backend) -> None:
    clock = Clock()
    async with held_lease(backend, "gc", seconds=0.3, clock=clock) as held:
        leases(backend).failure = UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, "Gone.")
        for _ in range(2):
            await asyncio.wait_for(leases(backend).tried.acquire(), _AT_MOST_S)
        held.check()
        leases(backend).failure = None
        clock.now += 0.25
        assert is_lost(held)
        await until(lambda: not is_lost(held))


async def test_a_lease_that_cannot_be_given_back_is_no_error(backend: Backend) -> None:
    async with held_lease(backend, "gc"):
        leases(backend).failure = UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, "Gone.")
    assert not await is_free(backend)


async def test_after_the_end_every_check_fails(backend: Backend) -> None:
    """A thread that was left behind must not go on."""
    async with held_lease(backend, "gc") as held:
        held.check()
    assert is_lost(held)


async def test_a_check_may_come_from_any_thread(backend: Backend) -> None:
    async with held_lease(backend, "gc") as held:
        await asyncio.to_thread(held.check)


async def test_work_in_a_thread_ends_before_the_lease_is_given_back(backend: Backend) -> None:
    began, go_on = threading.Event(), threading.Event()
    seen: list[bool] = []

    def step(held: HeldLease) -> None:
        began.set()
        assert go_on.wait(_AT_MOST_S)
        seen.append(is_lost(held))

    async def work() -> None:
        async with held_lease(backend, "gc") as held:
            await held.in_thread(backend, step, held)

    task = asyncio.create_task(work())
    assert await asyncio.to_thread(began.wait, _AT_MOST_S)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=0.2)
    assert not done
    assert not await is_free(backend)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, _AT_MOST_S)
    assert seen == [True]
    assert await is_free(backend)
