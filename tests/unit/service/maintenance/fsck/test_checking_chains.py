"""Chains of differences that no writer of ours makes: loops, missing bases, too long ones, later versions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.memory_world import ALGORITHM, World, changed, open_world, tensor
from tests.store_damage import keys, reopened
from tests.unit.service.maintenance.fsck.test_checking import check, only_chunk

from mgit_core.coding.encoded import BaseRange, EncodedChunk
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import CorruptError, ErrorReason
from mgit_service.use_cases.maintenance.gc.collection import CollectionJob, collect
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.planted import exact_copy, plant
from mgit_storage.testing.raw import RawMemory

SIZE = 200


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world(MemoryObjectStore()) as opened:
        yield opened


async def planted(world: World, *bases: tuple[str, ...]) -> list[Digest]:
    """Models ``0``, ``1``… of one chunk each, which are stored as differences to the chunks that are named.

    A name that is no number stands for a chunk that is nowhere.
    """
    models = [await world.add(str(at), {"x": tensor(at, SIZE // 4)}) for at in range(len(bases))]
    chunks = [only_chunk(world, model) for model in models]
    maintenance = world.store.chunks.maintenance
    copies = [copy for part in maintenance.copies(chunks) for copy in part]
    maintenance.drop(copies, lambda: None)
    objects = world.store.objects
    assert isinstance(objects, MemoryObjectStore)
    plant(
        RawMemory(objects),
        [(chunk, frame(chunks, each)) for chunk, each in zip(chunks, bases, strict=True) if each],
    )
    return chunks


def frame(chunks: list[Digest], bases: tuple[str, ...]) -> EncodedChunk:
    named = [chunks[int(base)] if base.isdigit() else digest_of(ALGORITHM, base.encode()) for base in bases]
    return exact_copy(SIZE, *(BaseRange(digest, 0, SIZE // len(named)) for digest in named))


async def assert_mended(world: World) -> None:
    """What is missing can be sent, and all is right in the end.

    Twice: what was planted on a chunk that was missing turns out to be wrong when that chunk is there.
    """
    for _ in range(2):
        await check(world, repair=True)
        for at in range(2):
            await reopened(world).add(f"again{at}", {"x": tensor(at, SIZE // 4)})
    result, problems = await check(world)
    assert (result.ok, problems) == (True, [])


async def test_a_loop_is_told_and_mended(world: World) -> None:
    chunks = await planted(world, ("1",), ("0",))
    result, problems = await check(world)
    assert (result.ok, set(result.missing)) == (False, set(chunks))
    assert {problem.reason for problem in problems} == {ErrorReason.CHUNK_CORRUPT}
    assert {model for problem in problems for model in problem.models} == {"0@1", "1@1"}
    assert "loop" in problems[0].message
    await assert_mended(world)


async def test_a_chunk_that_rests_on_itself_is_told_and_mended(world: World) -> None:
    [chunk, _] = await planted(world, ("0",), ("0",))
    result, problems = await check(world)
    assert not result.ok
    assert chunk.hex() in {problem.subject for problem in problems}
    await assert_mended(world)


async def test_a_base_that_does_not_exist_is_told_and_mended(world: World) -> None:
    chunks = await planted(world, ("nowhere",), ("0",))
    result, problems = await check(world)
    nowhere = digest_of(ALGORITHM, b"nowhere")
    assert set(result.missing) == {*chunks, nowhere}
    assert nowhere.hex() in problems[0].message
    await assert_mended(world)


async def test_a_collection_of_a_store_with_loops_ends(world: World) -> None:
    """What is needed and cannot be read stays: a repair may want to know of it."""
    await planted(world, ("1",), ("0",))
    before = keys(world.store, "packs")
    async for _ in collect(reopened(world).backend, CollectionJob(grace_s=0)):
        pass
    assert keys(world.store, "packs") == before


async def test_a_header_that_cannot_be_read_stops_a_collection(world: World) -> None:
    """What it rests on is not known."""
    original = tensor(1, 90, 90)
    base = await world.add("base", {"x": original})
    child = await world.add("child", {"x": changed(original, 2)}, based_on=base)
    [[copy]] = world.store.chunks.maintenance.copies([only_chunk(world, child)])
    assert copy.needs_bases
    objects = world.store.objects
    assert isinstance(objects, MemoryObjectStore)
    key = next(key for key in keys(world.store, "packs") if copy.pack in key)
    content = bytearray(objects.content[key])
    content[copy.offset : copy.offset + 4] = b"none"
    objects.content[key] = bytes(content)
    with pytest.raises(CorruptError) as caught:
        async for _ in collect(reopened(world).backend, CollectionJob(grace_s=0)):
            pass
    assert "nothing was deleted" in caught.value.message
    assert (await check(world, repair=True))[0].missing == (copy.digest,)
