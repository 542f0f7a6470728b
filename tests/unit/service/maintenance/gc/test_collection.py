"""Collection over a store and a graph in memory, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from tests.memory_world import ALGORITHM, World, changed, open_world, tensor
from tests.store_damage import Clock, content_of, keys, reopened

from mgit_core.digest import digest_of
from mgit_core.errors import (
    ConflictError,
    CorruptError,
    ErrorReason,
    FailedPreconditionError,
)
from mgit_core.lineage import Model
from mgit_service.use_cases.maintenance.fsck.checking import Checked, check_store
from mgit_service.use_cases.maintenance.gc.collection import Collected, CollectionJob, collect
from mgit_service.use_cases.maintenance.leasing import held_lease
from mgit_service.use_cases.maintenance.statistics import store_statistics
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.faults import FaultyObjectStore

DAY_S = 86_400.0
NOW = CollectionJob(grace_s=0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def world(clock: Clock) -> AsyncIterator[World]:
    async with open_world(FaultyObjectStore(MemoryObjectStore(clock))) as opened:
        yield opened


async def run(world: World, job: CollectionJob = NOW) -> Collected:
    """The result of a collection."""
    async with aclosing(collect(world.backend, job)) as steps:
        *_, done = [step async for step in steps]
    assert isinstance(done, Collected)
    return done


async def is_whole(world: World) -> bool:
    async with aclosing(check_store(world.backend, repair=False)) as steps:
        *_, done = [step async for step in steps]
    assert isinstance(done, Checked)
    return done.ok


async def remove(world: World, model: Model) -> None:
    await world.backend.lineage.models.remove(model.uid)


async def test_what_a_removed_model_alone_used_goes(world: World) -> None:
    shared, own = tensor(1, 50), tensor(2, 500)
    await world.add("kept", {"x": shared})
    gone = await world.add("gone", {"x": shared, "y": own}, file=b"only here")
    before = await world.read("kept")
    await remove(world, gone)
    reclaimable = (await store_statistics(world.backend)).reclaimable_bytes
    done = await run(world)
    assert (done.chunks, done.documents, done.spared_chunks) == (2, 2, 0)
    assert done.bytes_freed > reclaimable > 0
    assert (await store_statistics(world.backend)).reclaimable_bytes == 0
    assert keys(world.store, "condemned") == []
    assert await world.read("kept") == before
    assert await is_whole(world)


async def test_nothing_goes_while_every_chunk_is_used(world: World) -> None:
    await world.add("a", {"x": tensor(1, 50)}, file=b"text")
    before = world.store.parameters.usage()
    assert await run(world) == Collected()
    assert world.store.parameters.usage() == before


async def test_the_epoch_stays_where_nothing_goes(world: World) -> None:
    """A collection without work must not send running uploads back."""
    await world.add("a", {"x": tensor(1, 50)})
    epoch = await world.backend.lineage.binding.epoch()
    await run(world)
    assert await world.backend.lineage.binding.epoch() == epoch


async def test_what_is_younger_than_the_grace_period_stays(world: World, clock: Clock) -> None:
    await world.add("kept", {"x": tensor(1, 50)})
    gone = await world.add("gone", {"x": tensor(2, 50)})
    await remove(world, gone)
    clock.now += DAY_S - 1
    young = await run(world, CollectionJob())
    assert (young.chunks, young.documents, young.spared_chunks) == (0, 0, 1)
    clock.now += 1
    old = await run(world, CollectionJob())
    assert (old.chunks, old.documents, old.spared_chunks) == (1, 1, 0)


async def test_a_dry_run_says_what_would_go_and_changes_nothing(world: World) -> None:
    await world.add("kept", {"x": tensor(1, 50)})
    gone = await world.add("gone", {"x": tensor(2, 50)})
    await remove(world, gone)
    epoch = await world.backend.lineage.binding.epoch()
    before = world.store.parameters.usage()
    told = await run(world, CollectionJob(grace_s=0, dry_run=True))
    assert world.store.parameters.usage() == before
    assert await world.backend.lineage.binding.epoch() == epoch
    done = await run(world)
    assert (told.chunks, told.documents) == (done.chunks, done.documents) == (1, 1)
    assert 0 < told.bytes_freed <= done.bytes_freed


async def test_a_base_stays_while_a_difference_to_it_is_used(world: World) -> None:
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original})
    await world.add("child", {"x": changed(original, 2)}, based_on=base)
    before = await world.read("child")
    await remove(world, base)
    done = await run(world)
    assert (done.chunks, done.documents) == (0, 1)
    assert await world.read("child") == before
    assert await is_whole(world)


async def test_a_chain_goes_as_a_whole(world: World) -> None:
    first = tensor(1, 300, 300)
    second = changed(first, 2)
    base = await world.add("base", {"x": first})
    child = await world.add("child", {"x": second}, based_on=base)
    grandchild = await world.add("grandchild", {"x": changed(second, 3)}, based_on=child)
    await world.add("other", {"x": tensor(9, 50)})
    for model in (base, child, grandchild):
        await remove(world, model)
    assert (await run(world)).chunks == 3
    assert await is_whole(world)


async def test_a_young_difference_goes_with_an_old_base(world: World, clock: Clock) -> None:
    """Without its base it is of no use, and its upload will be asked for it again."""
    original = tensor(1, 300, 300)
    await world.add("other", {"x": tensor(9, 50)})
    base = await world.add("base", {"x": original})
    clock.now += 2 * DAY_S
    child = await world.add("child", {"x": changed(original, 2)}, based_on=base)
    for model in (child, base):
        await remove(world, model)
    done = await run(world, CollectionJob())
    assert (done.chunks, done.spared_chunks) == (2, 0)


async def test_a_second_copy_of_a_used_chunk_goes(world: World) -> None:
    content = tensor(1, 5000)
    raw = content.tobytes()
    first, second = world.store.chunks.open_writer(), world.store.chunks.open_writer()
    for writer in (first, second):
        writer.write(raw, width=4)
    first.seal()
    second.seal()
    await world.add("a", {"x": content})
    assert (await run(world)).chunks == 1
    assert world.store.chunks.read(digest_of(ALGORITHM, raw)) == raw
    assert (await store_statistics(world.backend)).reclaimable_bytes == 0


async def test_of_two_copies_the_dense_one_stays(world: World) -> None:
    content = tensor(1, 5000)
    await world.add("a", {"x": content})
    [fast] = keys(world.store, "packs")
    with world.store.chunks.open_writer(rewrite=True) as writer:
        writer.write(content.tobytes(), width=4)
    [_, dense] = keys(world.store, "packs")
    assert (await run(world)).chunks == 1
    assert keys(world.store, "packs") == [dense] != [fast]


async def test_of_two_copies_the_one_that_can_be_read_stays(world: World) -> None:
    content = tensor(1, 5000)
    raw = content.tobytes()
    first, second = world.store.chunks.open_writer(), world.store.chunks.open_writer()
    first.write(raw, width=4)
    second.write(raw, width=4)
    first.seal()
    [damaged] = keys(world.store, "packs")
    second.seal()
    await world.add("a", {"x": content})
    content_of(world.store)[damaged] = bytes(len(content_of(world.store)[damaged]))
    await run(world)
    assert world.store.chunks.read(digest_of(ALGORITHM, raw)) == raw


async def test_documents_that_lost_a_race_go(world: World) -> None:
    """Of two commits of equal content the graph names the documents of the first."""
    for name in ("a", "b"):
        await world.add(name, {"x": tensor(1, 50)}, file=b"text")
    done = await run(world)
    assert (done.chunks, done.documents) == (0, 1)
    assert await is_whole(world)


async def test_a_graph_without_models_empties_no_store(world: World) -> None:
    model = await world.add("a", {"x": tensor(1, 50)})
    await remove(world, model)
    for job in (NOW, CollectionJob(dry_run=True)):
        with pytest.raises(FailedPreconditionError) as caught:
            await run(world, job)
        assert caught.value.reason is ErrorReason.GRAPH_WITHOUT_MODELS
    assert (await run(world, CollectionJob(grace_s=0, delete_everything=True))).chunks == 1
    assert world.store.parameters.usage().chunk_count == 0


async def test_an_empty_store_needs_no_models(world: World) -> None:
    assert await run(world) == Collected()


async def test_a_damaged_manifest_stops_a_collection(world: World) -> None:
    damaged = await world.add("a", {"x": tensor(1, 50)})
    gone = await world.add("gone", {"x": tensor(2, 50)})
    await remove(world, gone)
    assert damaged.parameters is not None
    content_of(world.store)[damaged.parameters.manifest_key] = b"no manifest"
    before = world.store.parameters.usage()
    with pytest.raises(CorruptError) as caught:
        await run(reopened(world))
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT
    assert caught.value.details["models"] == "a@1"
    assert world.store.parameters.usage() == before


async def test_a_damaged_index_stops_a_collection(world: World) -> None:
    """The packs that it names would look like waste."""
    await world.add("a", {"x": tensor(1, 50)})
    gone = await world.add("gone", {"x": tensor(2, 50)})
    await remove(world, gone)
    content_of(world.store)[keys(world.store, "indexes")[0]] = b"no index"
    with pytest.raises(CorruptError) as caught:
        await run(reopened(world))
    assert caught.value.reason is ErrorReason.INDEX_CORRUPT


async def test_two_collections_at_once_are_refused(world: World) -> None:
    await world.add("a", {"x": tensor(1, 50)})
    async with held_lease(world.backend, "repack"):
        with pytest.raises(ConflictError) as caught:
            await run(world)
        assert caught.value.reason is ErrorReason.MAINTENANCE_BUSY
        assert caught.value.details["work"] == "repack"
        assert isinstance(await run(world, CollectionJob(dry_run=True)), Collected)
