"""What a process takes over from the graph about its store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from tests.unit.service.stored_models import opened, store_tensors

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.ports.graph import Lease
from mgit_core.ports.maintenance import Copy
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.transfer.resolution import MissingChunks
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.faults import FaultyObjectStore


@pytest.fixture
def objects() -> FaultyObjectStore:
    return FaultyObjectStore(MemoryObjectStore())


@pytest.fixture
async def backend(objects: FaultyObjectStore) -> AsyncIterator[Backend]:
    with opened(objects) as backend:
        await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
        yield backend


@pytest.fixture
async def lease(backend: Backend) -> Lease:
    return await backend.lineage.leases.acquire("gc", 3_600)


def a_chunk(backend: Backend) -> Digest:
    return store_tensors(backend, {"weight": np.arange(9.0)}).parameters[0].chunks[0]


def copies(backend: Backend) -> list[Copy]:
    return [copy for part in backend.chunks.maintenance.copies() for copy in part]


async def missing(backend: Backend, digest: Digest) -> list[Digest]:
    return await MissingChunks(backend).find([digest])


async def test_what_is_condemned_does_not_count_as_there(backend: Backend, lease: Lease) -> None:
    chunk = a_chunk(backend)
    watch = EpochWatch(backend)
    assert await watch.read() == 1
    key = backend.chunks.maintenance.condemn(copies(backend))
    assert await missing(backend, chunk) == [], "nothing is condemned until the graph says so"
    await backend.lineage.binding.condemn(key, lease)
    assert await watch.read() == 2
    assert await missing(backend, chunk) == [chunk]
    assert backend.chunks.read(chunk), "it can still be read"
    await backend.lineage.binding.condemn(None, lease)
    assert await watch.read() == 3
    assert await missing(backend, chunk) == []


async def test_a_service_that_starts_during_a_collection_knows_the_list(
    backend: Backend, objects: FaultyObjectStore, lease: Lease
) -> None:
    chunk = a_chunk(backend)
    key = backend.chunks.maintenance.condemn(copies(backend))
    await backend.lineage.binding.condemn(key, lease)
    with opened(objects) as fresh:
        started = Backend(
            store_id=fresh.store_id,
            chunks=fresh.chunks,
            parameters=fresh.parameters,
            lineage=backend.lineage,
            threads=fresh.threads,
        )
        assert await EpochWatch(started).read() == 2
        assert await missing(started, chunk) == [chunk]


async def test_all_watches_of_a_process_know_what_one_saw(
    backend: Backend, objects: FaultyObjectStore, lease: Lease
) -> None:
    key = backend.chunks.maintenance.condemn([])
    await backend.lineage.binding.condemn(key, lease)
    await EpochWatch(backend).read()
    steps: list[str] = []
    objects.fault = lambda step, _key: steps.append(step)
    assert await EpochWatch(backend).read() == 2
    assert steps == []


async def test_a_list_that_goes_while_it_is_read_is_asked_for_again(
    backend: Backend, objects: FaultyObjectStore, lease: Lease
) -> None:
    """The collection ended between the answer of the graph and the look at the store."""
    key = backend.chunks.maintenance.condemn([])
    await backend.lineage.binding.condemn(key, lease)
    loop = asyncio.get_running_loop()

    def end_collection(step: str, found: str) -> None:
        if step == "view" and found == key:
            ended = backend.lineage.binding.condemn(None, lease)
            asyncio.run_coroutine_threadsafe(ended, loop).result(10)
            objects.inner.delete(key)

    objects.fault = end_collection
    assert await EpochWatch(backend).read() == 3


async def test_a_list_that_is_gone_though_the_graph_names_it_is_an_error(
    backend: Backend, lease: Lease
) -> None:
    await backend.lineage.binding.condemn(f"condemned/{'0' * 32}", lease)
    for _ in range(2):
        with pytest.raises(NotFoundError) as error:
            await EpochWatch(backend).read()
        assert error.value.reason is ErrorReason.OBJECT_NOT_FOUND
    await backend.lineage.binding.condemn(None, lease)
    assert await EpochWatch(backend).read() == 3


async def test_an_older_word_of_the_graph_never_comes_last(
    backend: Backend, objects: FaultyObjectStore, lease: Lease
) -> None:
    """Two drafts read at once while a collection goes on: what both leave behind is its last step."""
    chunk = a_chunk(backend)
    first = backend.chunks.maintenance.condemn([])
    await backend.lineage.binding.condemn(first, lease)
    second = backend.chunks.maintenance.condemn(copies(backend))
    loop = asyncio.get_running_loop()

    def go_on(step: str, found: str) -> None:
        if step == "view" and found == first:
            objects.fault = _nothing
            moved = backend.lineage.binding.condemn(second, lease)
            asyncio.run_coroutine_threadsafe(moved, loop).result(10)

    objects.fault = go_on
    epochs = await asyncio.gather(*(EpochWatch(backend).read() for _ in range(4)))
    assert epochs == [2, 3, 3, 3]
    assert await missing(backend, chunk) == [chunk]


_nothing: Callable[[str, str], None] = lambda _step, _key: None  # noqa: E731 - a fault that is none
