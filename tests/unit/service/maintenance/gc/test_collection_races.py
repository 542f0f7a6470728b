"""Collections that are cut, and others at work meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from tests.memory_world import World, changed, open_world, tensor
from tests.store_damage import content_of, keys, reopened
from tests.unit.service.maintenance.gc.test_collection import is_whole, remove, run

from mgit_core.errors import ConflictError, ErrorReason, UnavailableError
from mgit_core.lineage import Model, ModelCommit, ParentLink
from mgit_core.ports.graph import Page
from mgit_service.use_cases.epochs import EpochWatch
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.faults import FaultyObjectStore


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world(FaultyObjectStore(MemoryObjectStore())) as opened:
        yield opened


def faulty(world: World) -> FaultyObjectStore:
    assert isinstance(world.store.objects, FaultyObjectStore)
    return world.store.objects


def when_condemning(world: World, act: Callable[[], Awaitable[object]]) -> None:
    """Let ``act`` happen between the first mark and the transaction that condemns."""
    loop = asyncio.get_running_loop()

    def fault(step: str, key: str) -> None:
        if step == "put" and key.startswith("condemned/"):
            faulty(world).fault = lambda _step, _key: None
            asyncio.run_coroutine_threadsafe(as_coroutine(act()), loop).result(20)

    faulty(world).fault = fault


async def as_coroutine(work: Awaitable[object]) -> object:
    return await work


async def test_what_a_commit_needs_between_the_marks_is_spared(world: World) -> None:
    again, other = tensor(1, 500), tensor(2, 500)
    await world.add("kept", {"x": tensor(3, 50)})
    for model in (await world.add("gone", {"x": again}), await world.add("dead", {"x": other})):
        await remove(world, model)
    when_condemning(world, lambda: world.add("late", {"x": again}))
    done = await run(world)
    assert done.chunks == 1
    assert (await world.read("late"))["x"] == again.tobytes()
    assert await is_whole(reopened(world))


async def test_the_base_of_a_late_commit_is_spared(world: World) -> None:
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original})
    await world.add("kept", {"x": tensor(3, 50)}, parents=(ParentLink(parent_uid=base.uid),))
    child = changed(original, 2)
    await remove(world, base)

    async def add_on_top() -> None:
        """Another service chose its base before it heard of the collection."""
        late = reopened(world)
        await late.add("late", {"x": child}, based_on=base)

    when_condemning(world, add_on_top)
    await run(world)
    assert (await world.read("late"))["x"] == child.tobytes()
    assert await is_whole(reopened(world))


async def test_a_commit_that_was_told_present_before_is_sent_back(world: World) -> None:
    again = tensor(1, 500)
    await world.add("kept", {"x": tensor(3, 50)})
    gone = await world.add("gone", {"x": again})
    chunk = world.manifest(gone)["x"][0]
    await remove(world, gone)
    epoch = await EpochWatch(world.backend).read()
    assert world.store.chunks.find_missing([chunk]) == []
    await run(world)
    with pytest.raises(UnavailableError) as caught:
        await world.backend.lineage.models.commit(late_commit(gone, epoch))
    assert caught.value.reason is ErrorReason.UPLOAD_STALE
    await EpochWatch(world.backend).read()
    assert world.store.chunks.find_missing([chunk]) == [chunk]
    await world.add("late", {"x": again})
    assert (await world.read("late"))["x"] == again.tobytes()


def late_commit(model: Model, epoch: int) -> ModelCommit:
    assert model.parameters is not None
    return ModelCommit(
        uid="0198c0de-0000-7000-8000-000000000001",
        name="late",
        created_at=model.created_at,
        parameters=replace(model.parameters),
        tensors=(),
        epoch=epoch,
    )


async def test_another_service_counts_no_condemned_copy(world: World) -> None:
    """It learns by the epoch that it reads before it answers a draft."""
    again = tensor(1, 500)
    await world.add("kept", {"x": tensor(3, 50)})
    gone = await world.add("gone", {"x": again})
    chunk = world.manifest(gone)["x"][0]
    await remove(world, gone)
    other = reopened(world)
    await EpochWatch(other.backend).read()
    assert other.store.chunks.find_missing([chunk]) == []
    die_at(world, 1, "delete")
    with pytest.raises(KilledError):
        await run(world)
    live(world)
    await EpochWatch(other.backend).read()
    assert other.store.chunks.find_missing([chunk]) == [chunk]
    await other.add("late", {"x": again})
    await run(other)
    assert await is_whole(other)
    assert (await other.read("late"))["x"] == again.tobytes()


class KilledError(Exception):
    """The process is no more."""


def die_at(world: World, number: int, *steps: str) -> Callable[[], int]:
    """Fail at the ``number``-th of these steps and at all steps behind it; gives how many were counted."""
    counted = 0

    def fault(step: str, _key: str) -> None:
        nonlocal counted
        counted += step in steps or counted >= number
        if counted >= number:
            raise KilledError

    faulty(world).fault = fault
    return lambda: counted


def live(world: World) -> None:
    faulty(world).fault = lambda _step, _key: None


async def family(world: World) -> dict[str, bytes]:
    """Models that stay and share chunks with those that went; gives what must stay readable."""
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original, "y": tensor(2, 50)}, file=b"text")
    await world.add("child", {"x": changed(original, 3), "y": tensor(2, 50)}, based_on=base)
    gone = [
        await world.add("gone", {"x": changed(original, 4), "z": tensor(5, 900)}, based_on=base, file=b"own"),
        await world.add("dead", {"x": tensor(6, 900)}),
    ]
    kept = {**await world.read("child"), "base": (await world.read("base"))["x"]}
    for model in (base, *gone):
        await remove(world, model)
    await world.add("base", {"x": original})
    return kept


async def readable(world: World) -> dict[str, bytes]:
    return {**await world.read("child"), "base": (await world.read("base"))["x"]}


@pytest.mark.slow
async def test_a_collection_that_is_killed_at_any_step_is_finished_by_the_next() -> None:
    """Nothing readable becomes unreadable, whatever was done by then; and in the end nothing is left over."""
    finished_earlier = 0
    number = 0
    while True:
        number += 1
        async with open_world(FaultyObjectStore(MemoryObjectStore())) as each:
            kept = await family(each)
            die_at(each, number, "put", "commit", "delete")
            try:
                await run(each)
            except KilledError:
                live(each)
            else:
                break
            after = reopened(each)
            assert await readable(after) == kept
            assert await is_whole(after)
            finished_earlier += (await run(after)).finished_earlier
            assert await readable(after) == kept
            assert await is_whole(after)
            again = await run(after)
            assert (again.chunks, again.documents, again.finished_earlier) == (0, 0, False)
            assert (await after.backend.lineage.binding.state()).condemned is None
    assert number > 5
    assert finished_earlier > 2


async def test_a_call_that_is_cut_stops_the_work_and_gives_the_lease_back(world: World) -> None:
    kept = await family(world)
    loop = asyncio.get_running_loop()

    async def cut() -> None:
        running.cancel()
        for _ in range(10):  # Until the thread's work was told.
            await asyncio.sleep(0)

    def fault(step: str, _key: str) -> None:
        if step == "delete":
            live(world)
            asyncio.run_coroutine_threadsafe(cut(), loop).result(20)

    faulty(world).fault = fault
    running = asyncio.ensure_future(run(world))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await world.backend.lineage.binding.state()).condemned is not None
    assert await readable(world) == kept
    assert (await run(world)).finished_earlier
    assert await is_whole(world)


async def test_a_list_that_was_lost_is_given_up(world: World) -> None:
    kept = await family(world)
    die_at(world, 1, "delete")
    with pytest.raises(KilledError):
        await run(world)
    live(world)
    [key] = keys(world.store, "condemned")
    del content_of(world.store)[key]
    again = reopened(world)
    assert (await run(again)).finished_earlier
    assert await readable(again) == kept
    assert await is_whole(again)


async def test_a_lease_that_was_lost_stops_the_deleting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await family(world)

    def lose(_held: object) -> None:
        raise ConflictError(ErrorReason.LEASE_LOST, "Another has it.")

    monkeypatch.setattr("mgit_service.use_cases.maintenance.leasing.HeldLease.check", lose)
    before = dict(content_of(world.store))
    with pytest.raises(ConflictError) as caught:
        await run(world)
    assert caught.value.reason is ErrorReason.LEASE_LOST
    assert before.items() <= content_of(world.store).items()
    monkeypatch.undo()
    await run(world)
    assert await readable(world) == kept
    assert len(await world.backend.lineage.content.parameter_sets(Page())) == 2
