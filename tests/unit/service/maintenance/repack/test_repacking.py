"""Repack over a store and a graph in memory: smaller, equal, and safe to cut anywhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest
from tests.memory_world import ALGORITHM, World, open_world, tensor
from tests.repack_world import (
    assert_one_copy_each,
    chunks_of,
    contents,
    copies,
    dense_packs,
    make_family,
    parent_of,
    run,
)

from mgit_core.coding.plans import DECODED_PER_BYTE
from mgit_core.errors import ConflictError, ErrorReason
from mgit_core.ports.maintenance import ChunkMaintenance, Copy, Dropped, LeaseCheck
from mgit_service.use_cases.maintenance.leasing import held_lease
from mgit_service.use_cases.maintenance.repack import pieces, repacking, rewriting
from mgit_service.use_cases.maintenance.repack.repacking import RepackJob, repack
from mgit_service.use_cases.maintenance.reporting import WorkProgress
from mgit_service.use_cases.maintenance.statistics import store_statistics
from mgit_storage.store import open_objects

pytestmark = pytest.mark.slow


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


async def test_a_repack_makes_the_store_smaller_and_changes_no_byte(world: World) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    done = await run(world)
    usage = world.store.parameters.usage()
    assert done.bytes_after == usage.pack_bytes + usage.index_bytes
    assert done.bytes_after < 0.9 * done.bytes_before
    assert (done.is_complete, done.damaged_chunks) == (True, 0)
    assert await contents(world, models) == before


async def test_every_chunk_has_one_copy_afterwards_and_that_is_dense(world: World) -> None:
    models = await make_family(world)
    done = await run(world)
    assert_one_copy_each(world)
    assert {copy.pack for copy in copies(world)} <= dense_packs(world)
    digests = {copy.digest for copy in copies(world)}
    assert set(chunks_of(world, models)) <= digests
    assert done.chunks <= len(digests)


async def test_a_second_repack_has_nothing_to_do(world: World) -> None:
    await make_family(world)
    first = await run(world)
    second = await run(world)
    assert first.chunks > 0
    assert (second.chunks, second.bytes_before) == (0, first.bytes_after)
    assert second.bytes_after == second.bytes_before


async def test_an_empty_store_is_complete(world: World) -> None:
    done = await run(world)
    assert (done.chunks, done.is_complete, done.bytes_before) == (0, True, done.bytes_after)


async def test_what_one_read_decodes_stays_bounded(world: World) -> None:
    models = await make_family(world)
    await run(world)
    chunks = chunks_of(world, models)
    sizes = world.store.chunks.raw_sizes(chunks)
    costs = world.store.chunks.decode_costs(chunks)
    assert all(0 < cost <= DECODED_PER_BYTE * size for cost, size in zip(costs, sizes, strict=True))
    assert max(cost / size for cost, size in zip(costs, sizes, strict=True)) > 1


async def test_what_no_model_uses_is_left_to_the_collection(world: World) -> None:
    models = await make_family(world)
    removed = await world.add("removed", {"own": tensor(9, 200, 200)})
    own = chunks_of(world, [removed])
    await world.backend.lineage.models.remove(removed.uid)
    await run(world)
    dense = dense_packs(world)
    assert [copy.pack in dense for copy in copies(world) if copy.digest in own] == [False]
    assert (await store_statistics(world.backend)).reclaimable_bytes > 0
    assert models


async def test_new_models_are_encoded_by_the_next_repack(world: World) -> None:
    models = await make_family(world)
    await run(world)
    fresh = await world.add("fresh", {"body": tensor(20, 300, 300)}, parents=(parent_of(models[0]),))
    done = await run(world)
    assert done.chunks == len(chunks_of(world, [fresh]))


async def test_without_time_the_repack_stops_and_the_next_goes_on(world: World) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    cut = await run(world, seconds=0)
    assert (cut.chunks, cut.is_complete) == (0, False)
    assert (await run(world)).is_complete
    assert await contents(world, models) == before


async def test_steps_end_in_time_and_each_drops_what_it_superseded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    monkeypatch.setattr(repacking, "_STEP_BYTES", 1 << 20)
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1 << 20)
    await run(world)
    assert len(dense_packs(world)) > 2
    assert await contents(world, models) == before
    assert_one_copy_each(world)


async def test_only_one_repack_runs_at_a_time(world: World) -> None:
    await make_family(world)
    async with held_lease(world.backend, "gc"):
        with pytest.raises(ConflictError) as caught:
            await run(world)
    assert caught.value.reason is ErrorReason.MAINTENANCE_BUSY
    assert (await run(world)).is_complete


async def test_closing_early_keeps_everything_readable_and_gives_the_lease_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    monkeypatch.setattr(repacking, "_SECONDS_BETWEEN_ANSWERS", 0)
    async with aclosing(repack(world.backend, RepackJob())) as answers:
        async for answer in answers:
            assert isinstance(answer, WorkProgress)
            break
    assert await contents(world, models) == before
    done = await run(world)
    assert (done.is_complete, done.damaged_chunks) == (True, 0)
    assert_one_copy_each(world)
    assert await contents(world, models) == before


@pytest.mark.parametrize("turns", [1, 5, 20, 60])
async def test_a_cancelled_repack_keeps_everything_readable(world: World, turns: int) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    work = asyncio.create_task(run(world))
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await contents(world, models) == before
    assert (await run(world)).is_complete
    assert await contents(world, models) == before
    assert_one_copy_each(world)


async def test_progress_counts_tensors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_family(world)
    monkeypatch.setattr(repacking, "_SECONDS_BETWEEN_ANSWERS", 0)
    answers = [answer async for answer in repack(world.backend, RepackJob())]
    told = [answer for answer in answers if isinstance(answer, WorkProgress)]
    assert {answer.total for answer in told} == {12}
    assert [answer.done for answer in told] == sorted(answer.done for answer in told)
    assert told[-1].done == 12


async def test_readers_meet_packs_that_go_and_never_notice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    monkeypatch.setattr(repacking, "_STEP_BYTES", 1)
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1)
    is_over = threading.Event()
    chunks = {digest: world.store.chunks.read(digest) for digest in chunks_of(world, models)}

    def read_all() -> int:
        rounds = 0
        while not is_over.is_set():
            assert all(world.store.chunks.read(digest) == content for digest, content in chunks.items())
            rounds += 1
        return rounds

    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read_all)
        try:
            await run(world)
        finally:
            is_over.set()
        assert reading.result() > 0
    assert await contents(world, models) == before


@pytest.mark.parametrize("looks_between", [False, True])
async def test_another_process_still_finds_what_was_encoded_again(
    world: World, monkeypatch: pytest.MonkeyPatch, *, looks_between: bool
) -> None:
    """It listed the indexes before the repack, or between the new copies and the drop of the old ones."""
    models = await make_family(world)
    other = open_objects(world.store.objects, ALGORITHM).chunks
    maintenance = type(world.store.chunks.maintenance)
    drop = maintenance.drop

    def look_and_drop(self: ChunkMaintenance, superseded: Sequence[Copy], check: LeaseCheck) -> Dropped:
        if looks_between:
            other.refresh()
        return drop(self, superseded, check)

    monkeypatch.setattr(maintenance, "drop", look_and_drop)
    await run(world)
    chunks = chunks_of(world, models)
    assert all(other.decode_costs(chunks))
    assert other.forms(chunks) == world.store.chunks.forms(chunks)
    assert other.find_missing(chunks) == []
    assert [other.read(chunk) for chunk in chunks] == [world.store.chunks.read(chunk) for chunk in chunks]


async def test_the_window_bounds_what_is_in_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    monkeypatch.setattr(rewriting, "WINDOW_BYTES", 1)
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1)
    assert (await run(world, cores=1)).is_complete
    assert await contents(world, models) == before
