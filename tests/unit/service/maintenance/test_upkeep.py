"""What a service does by itself: each turn does all there is to do, and no failure ends it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
from tests.unit.service.stored_models import add_model, opened, store_tensors, weights

from mgit_core.errors import CorruptError, ErrorReason, ResourceExhaustedError
from mgit_core.ports.graph import Page
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance.upkeep import Upkeep
from mgit_service.use_cases.transfer.resolution import MissingChunks
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.faults import FaultyObjectStore

_AT_MOST_S = 20.0


@pytest.fixture
def objects() -> FaultyObjectStore:
    return FaultyObjectStore(MemoryObjectStore())


@pytest.fixture
async def backend(objects: FaultyObjectStore) -> AsyncIterator[Backend]:
    with opened(objects) as backend:
        await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
        yield backend


class Turns:
    """A pause that a test ends."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._paused = asyncio.Semaphore(0)
        self._go_on = asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._paused.release()
        await self._go_on.acquire()

    async def ended(self) -> None:
        """Wait for the end of a turn."""
        await asyncio.wait_for(self._paused.acquire(), _AT_MOST_S)

    def begin(self) -> None:
        self._go_on.release()


def healthy() -> bool:
    return True


async def lacking(backend: Backend) -> int:
    return len(await backend.lineage.sketches.lacking(Page(size=1_000)))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.message
        for record in caplog.records
        if record.name == "mgit_service.use_cases.maintenance.upkeep"
    ]


async def seal_many(backend: Backend, count: int) -> None:
    for number in range(count):
        store_tensors(backend, {"weight": np.arange(number + 1.0)})


async def test_a_turn_makes_the_sketches_that_lack(backend: Backend) -> None:
    models = [await add_model(backend, f"m{seed}", weights(seed)) for seed in (1, 2)]
    assert await lacking(backend) == 2
    await Upkeep(backend, healthy).turn()
    assert await lacking(backend) == 0
    assert all(
        model.parameters and backend.parameters.read_sketches(model.parameters.digest) for model in models
    )


async def test_a_turn_goes_through_all_pages(backend: Backend) -> None:
    for number in range(103):
        await add_model(backend, "m", {"weight": np.arange(number + 2.0)})
    await Upkeep(backend, healthy).turn()
    assert await lacking(backend) == 0


async def test_a_damaged_model_does_not_keep_others_from_their_sketches(
    backend: Backend, objects: FaultyObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    await add_model(backend, "damaged", weights(1))

    def damage(step: str, key: str) -> None:
        if step == "get_range" and key == packs[0]:
            raise CorruptError(ErrorReason.CHUNK_CORRUPT, "Damaged.")

    packs = objects.inner.list("packs")
    objects.fault = damage
    await add_model(backend, "intact", weights(2))
    upkeep = Upkeep(backend, healthy, clock=lambda: now[0])
    await upkeep.turn()
    await upkeep.turn()
    assert await lacking(backend) == 1
    assert len(said(caplog)) == 1, "damage is said once"
    objects.fault = lambda _step, _key: None
    await upkeep.turn()
    assert await lacking(backend) == 1
    now[0] += 3_601
    await upkeep.turn()
    assert await lacking(backend) == 0


async def test_many_indexes_are_merged(backend: Backend, objects: FaultyObjectStore) -> None:
    await seal_many(backend, 70)
    await Upkeep(backend, healthy).turn()
    assert len(objects.inner.list("indexes")) < 64
    lease = await backend.lineage.leases.acquire("gc", 60)
    assert lease.number == 2, "the lease was taken for the merge, and given back"


async def test_few_indexes_take_no_lease(backend: Backend) -> None:
    """Else a collection would be refused now and then without a reason that its caller can see."""
    await seal_many(backend, 3)
    await Upkeep(backend, healthy).turn()
    assert (await backend.lineage.leases.acquire("gc", 60)).number == 1


async def test_a_lease_that_another_has_is_no_failure(
    backend: Backend, objects: FaultyObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    await seal_many(backend, 70)
    lease = await backend.lineage.leases.acquire("repack", 60)
    upkeep = Upkeep(backend, healthy)
    await upkeep.turn()
    assert len(objects.inner.list("indexes")) == 70
    assert said(caplog) == []
    await backend.lineage.leases.release(lease)
    await upkeep.turn()
    assert len(objects.inner.list("indexes")) < 64


async def test_a_failure_is_said_once_and_tried_again(
    backend: Backend, objects: FaultyObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    await add_model(backend, "m", weights(1))

    def full(step: str, key: str) -> None:
        if step == "put" and key.startswith("sketches/"):
            raise ResourceExhaustedError(ErrorReason.DISK_FULL, "The disk is full.")

    objects.fault = full
    upkeep = Upkeep(backend, healthy)
    await upkeep.turn()
    await upkeep.turn()
    assert said(caplog) == ["the upkeep could not make sketches: The disk is full."]
    objects.fault = lambda _step, _key: None
    await upkeep.turn()
    assert await lacking(backend) == 0
    await add_model(backend, "n", weights(2))
    objects.fault = full
    await upkeep.turn()
    assert len(said(caplog)) == 2, "what was well in between is said again"


async def test_an_unforeseen_failure_is_logged_with_its_traceback(
    backend: Backend, objects: FaultyObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    await add_model(backend, "m", weights(1))

    def break_down(step: str, key: str) -> None:
        if step == "put" and key.startswith("sketches/"):
            raise ZeroDivisionError

    objects.fault = break_down
    with caplog.at_level(logging.WARNING):
        await Upkeep(backend, healthy).turn()
    assert caplog.records[-1].exc_info is not None


async def test_a_turn_learns_of_a_collection(backend: Backend) -> None:
    """Also in a service that nobody sends a draft to."""
    chunk = store_tensors(backend, {"weight": np.arange(9.0)}).parameters[0].chunks[0]
    maintenance = backend.chunks.maintenance
    copies = [copy for part in maintenance.copies() for copy in part]
    lease = await backend.lineage.leases.acquire("gc", 60)
    await backend.lineage.binding.condemn(maintenance.condemn(copies), lease)
    await Upkeep(backend, healthy).turn()
    assert await MissingChunks(backend).find([chunk]) == [chunk]


async def test_no_turn_begins_while_store_or_graph_are_gone(backend: Backend) -> None:
    await add_model(backend, "m", weights(1))
    state = [False]
    turns = Turns()
    task = asyncio.create_task(Upkeep(backend, lambda: state[0], pause=turns).run())
    await turns.ended()
    assert await lacking(backend) == 1
    state[0] = True
    turns.begin()
    await turns.ended()
    assert await lacking(backend) == 0
    assert turns.pauses == [1, 60]
    task.cancel()
    await asyncio.wait({task}, timeout=_AT_MOST_S)
    assert task.cancelled()


async def test_a_commit_wakes_it(backend: Backend) -> None:
    task = asyncio.create_task(Upkeep(backend, healthy).run())
    await add_model(backend, "m", weights(1))
    async with asyncio.timeout(_AT_MOST_S):
        while True:
            if not await lacking(backend):
                break
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task}, timeout=_AT_MOST_S)
    assert task.cancelled()


async def test_it_ends_at_once_in_the_middle_of_its_work(
    backend: Backend, objects: FaultyObjectStore
) -> None:
    """The thread ends with the chunk that it reads, and nothing is kept of the sketch."""
    await add_model(backend, "m", weights(1))
    began, go_on = threading.Event(), threading.Event()

    def block(step: str, key: str) -> None:
        if step == "get_range" and key.startswith("packs/"):
            began.set()
            assert go_on.wait(_AT_MOST_S)

    objects.fault = block
    task = asyncio.create_task(Upkeep(backend, healthy).run())
    try:
        assert await asyncio.to_thread(began.wait, _AT_MOST_S)
        task.cancel()
        await asyncio.wait({task}, timeout=_AT_MOST_S)
        assert task.cancelled()
    finally:
        go_on.set()
    assert await lacking(backend) == 1


async def test_a_merge_that_is_cut_off_gives_the_lease_back(
    backend: Backend, objects: FaultyObjectStore
) -> None:
    await seal_many(backend, 70)
    began, go_on = threading.Event(), threading.Event()

    def block(step: str, key: str) -> None:
        if step == "put" and key.startswith("indexes/"):
            began.set()
            assert go_on.wait(_AT_MOST_S)

    objects.fault = block
    task = asyncio.create_task(Upkeep(backend, healthy).run())
    try:
        assert await asyncio.to_thread(began.wait, _AT_MOST_S)
        task.cancel()
        # The task hears of it in a turn of the loop, and calls the lease lost before the merge goes on.
        for _ in range(10):
            await asyncio.sleep(0)
    finally:
        go_on.set()
    await asyncio.wait({task}, timeout=_AT_MOST_S)
    assert task.cancelled()
    assert len(objects.inner.list("indexes")) == 71, "without the lease nothing is deleted"
    await backend.lineage.leases.acquire("gc", 60)
    objects.fault = lambda _step, _key: None
    assert len([copy for part in backend.chunks.maintenance.copies() for copy in part]) == 70
