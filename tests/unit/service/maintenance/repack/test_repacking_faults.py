"""A repack over damage, without its lease, and on a disk that is full."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.memory_world import ALGORITHM, World, changed, open_world, tensor
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

from mgit_core.digest import Digest
from mgit_core.errors import ConflictError, CorruptError, ErrorReason, ResourceExhaustedError
from mgit_core.ports.maintenance import ChunkMaintenance, Copy
from mgit_service.use_cases.maintenance.leasing import HeldLease
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.store import open_objects
from mgit_storage.testing.faults import FaultyObjectStore

pytestmark = pytest.mark.slow


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


def damage(world: World, digest: Digest) -> None:
    """Flip the last byte of the only copy of a chunk."""
    [copy] = [copy for copy in copies(world) if copy.digest == digest]
    key = f"packs/{copy.pack[:2]}/{copy.pack}.pack"
    content = bytearray(world.store.objects.get(key))
    content[copy.offset + copy.length - 1] ^= 0xFF
    world.store.objects.delete(key)
    world.store.objects.put(key, bytes(content))


async def test_damaged_chunks_are_counted_left_and_stop_nothing(world: World) -> None:
    models = await make_family(world)
    [head] = world.manifest(models[0])["head"]
    damage(world, head)
    done = await run(world)
    assert (done.is_complete, done.damaged_chunks) == (True, 1)
    dense = dense_packs(world)
    assert {copy.digest for copy in copies(world) if copy.pack not in dense} == {head}
    assert done.chunks > 0


async def test_a_chunk_is_encoded_alone_where_its_parent_is_damaged(world: World) -> None:
    base = tensor(1, 300, 300)
    parent = await world.add("base", {"x": base})
    child = await world.add("child", {"x": changed(base, 2)}, parents=(parent_of(parent),))
    before = await contents(world, [child])
    damage(world, world.manifest(parent)["x"][0])
    done = await run(world)
    assert (done.chunks, done.damaged_chunks) == (1, 1)
    assert await contents(world, [child]) == before
    assert world.store.chunks.forms(chunks_of(world, [child]))[0].bases == ()


async def test_a_model_whose_manifest_is_damaged_is_passed_over(world: World) -> None:
    models = await make_family(world)
    lost = await world.add("lost", {"own": tensor(9, 100, 100)})
    assert lost.parameters is not None
    world.store.objects.delete(lost.parameters.manifest_key)
    done = await run(world)
    assert not done.is_complete
    assert done.chunks == len(chunks_of(world, models)) + 2  # And two files.


async def test_old_copies_stay_where_a_new_one_cannot_be_read_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = await make_family(world)
    before = await contents(world, models)
    maintenance = type(world.store.chunks.maintenance)
    read_copy = maintenance.read_copy
    fast = {copy.pack for copy in copies(world)}

    def read_old_only(self: ChunkMaintenance, copy: Copy) -> bytes:
        if copy.pack not in fast:
            raise CorruptError(ErrorReason.CHUNK_CORRUPT, "A new copy is damaged.")
        return read_copy(self, copy)

    monkeypatch.setattr(maintenance, "read_copy", read_old_only)
    done = await run(world)
    assert (done.chunks, done.damaged_chunks) == (0, len(chunks_of(world, models)) + 2)
    assert {copy.pack for copy in copies(world)} == fast
    monkeypatch.undo()
    assert await contents(world, models) == before
    assert (await run(world)).damaged_chunks == 0


async def test_without_the_lease_nothing_is_dropped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    models = await make_family(world)
    wanted = await contents(world, models)
    before = copies(world)
    asked: list[HeldLease] = []

    def check(held: HeldLease) -> None:
        asked.append(held)
        if len(asked) > 1:  # The first is at the beginning of the step.
            raise ConflictError(ErrorReason.LEASE_LOST, "Another has the lease.")

    monkeypatch.setattr(HeldLease, "check", check)
    with pytest.raises(ConflictError) as caught:
        await run(world)
    assert caught.value.reason is ErrorReason.LEASE_LOST
    assert set(before) < set(copies(world))
    monkeypatch.undo()
    assert await contents(world, models) == wanted
    assert (await run(world)).is_complete
    assert_one_copy_each(world)
    assert await contents(world, models) == wanted


async def test_no_chunk_comes_to_rest_on_itself(world: World) -> None:
    """The older model is declared to come from the younger one, which is stored as a difference to it."""
    base = tensor(1, 300, 300)
    old = await world.add("old", {"x": base})
    young = await world.add("young", {"x": changed(base, 2)}, based_on=old, is_declared=False)
    await world.backend.lineage.edges.link(old.uid, parent_of(young))
    before = await contents(world, [old, young])
    done = await run(world)
    assert (done.chunks, done.damaged_chunks) == (2, 0)
    assert await contents(world, [old, young]) == before


CHANGES = {"put", "stage", "write", "commit", "delete"}
"""Steps that want room, or make it."""
BEHIND_THE_LAST = 16
"""More such steps than the repack below takes."""


@pytest.mark.parametrize("step", range(BEHIND_THE_LAST + 1))
async def test_a_step_that_fails_takes_nothing_away(step: int) -> None:
    objects = FaultyObjectStore(MemoryObjectStore())
    async with open_world(objects) as world:
        base = tensor(1, 100, 100)
        models = [await world.add("base", {"x": base})]
        models.append(await world.add("child", {"x": changed(base, 3)}, parents=(parent_of(models[0]),)))
        wanted = await contents(world, models)
        left = [None] * step

        def fail(kind: str, _: str) -> None:
            if kind in CHANGES:
                if not left:
                    raise ResourceExhaustedError(ErrorReason.DISK_FULL, "The disk is full.")
                left.pop()

        objects.fault = fail
        try:
            await run(world)
        except ResourceExhaustedError:
            assert step < BEHIND_THE_LAST
        objects.fault = lambda _kind, _key: None
        again = replace(world, store=open_objects(objects, ALGORITHM))
        assert await contents(again, models) == wanted
        world.store.chunks.refresh()
        assert (await run(world)).damaged_chunks == 0
        assert_one_copy_each(world)
        assert await contents(world, models) == wanted
