"""The check of a store in memory, damaged in each way, and its repair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from tests.memory_world import ALGORITHM, World, changed, open_world, tensor
from tests.store_damage import content_of, damage, keys, reopened
from tests.unit.service.maintenance.gc.test_collection import run

from mgit_core.coding.codec import encode_chunk
from mgit_core.coding.encoded import EncodedChunk
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import ConflictError, CorruptError, ErrorReason
from mgit_core.lineage import Model, ModelCommit, ParameterSet
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.names import Reference
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.maintenance.fsck import checking, inspecting
from mgit_service.use_cases.maintenance.fsck.checking import Checked, check_store
from mgit_service.use_cases.maintenance.fsck.findings import StoreProblem
from mgit_service.use_cases.maintenance.leasing import held_lease
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.faults import FaultyObjectStore
from mgit_storage.testing.values import fresh_uid


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world(FaultyObjectStore(MemoryObjectStore())) as opened:
        yield opened


async def check(world: World, *, repair: bool = False) -> tuple[Checked, list[StoreProblem]]:
    """The result and the problems, as a process finds them that has read nothing yet."""
    async with aclosing(check_store(reopened(world).backend, repair=repair)) as steps:
        found = [step async for step in steps]
    result = found[-1]
    assert isinstance(result, Checked)
    return result, [step for step in found if isinstance(step, StoreProblem)]


def only_chunk(world: World, model: Model, name: str = "x") -> Digest:
    [chunk] = world.manifest(model)[name]
    return chunk


def damage_chunk(world: World, digest: Digest) -> None:
    """Turn over the last byte of the only copy of a chunk."""
    [[copy]] = world.store.chunks.maintenance.copies([digest])
    key = next(key for key in keys(world.store, "packs") if copy.pack in key)
    damage(world.store, key, copy.offset + copy.length - 1)


async def test_an_empty_store_is_right(world: World) -> None:
    result, problems = await check(world)
    assert (result, problems) == (Checked(ok=True, chunks=0, raw_bytes=0, documents=0, missing=()), [])


async def test_everything_is_read(world: World) -> None:
    original = tensor(1, 700, 700)
    base = await world.add("base", {"x": original}, file=b"text")
    await world.add("child", {"x": changed(original, 2)}, based_on=base)
    result, problems = await check(world)
    assert (result.ok, problems, result.missing) == (True, [], ())
    assert (result.chunks, result.raw_bytes) == (5, 2 * original.nbytes + 4)
    assert result.documents == 3


async def test_waste_is_no_damage(world: World) -> None:
    """Chunks that nothing uses, differences without their base among them, and documents of nobody."""
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original})
    await world.add("kept", {"x": tensor(3, 50)})
    child = await world.add("child", {"x": changed(original, 2)}, based_on=base)
    chunk = only_chunk(world, base)
    for model in (child, base):
        await world.backend.lineage.models.remove(model.uid)
    [[copy]] = world.store.chunks.maintenance.copies([chunk])
    world.store.chunks.maintenance.drop([copy], lambda: None)
    result, problems = await check(world)
    assert (result.ok, problems) == (True, [])


async def test_a_damaged_chunk_is_told_with_the_models_that_suffer(world: World) -> None:
    shared = tensor(1, 5000)
    model = await world.add("a", {"x": shared})
    await world.add("b", {"x": shared})
    await world.add("c", {"x": tensor(2, 5000)})
    chunk = only_chunk(world, model)
    damage_chunk(world, chunk)
    result, [problem] = await check(world)
    assert (result.ok, result.missing) == (False, (chunk,))
    assert (problem.reason, problem.subject) == (ErrorReason.CHUNK_CORRUPT, chunk.hex())
    assert (problem.models, problem.repaired) == (("a@1", "b@1"), False)


async def test_a_damaged_base_is_one_problem_with_the_models_of_all_differences(world: World) -> None:
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original})
    child = await world.add("child", {"x": changed(original, 2)}, based_on=base)
    chunk = only_chunk(world, base)
    damage_chunk(world, chunk)
    result, [problem] = await check(world)
    assert set(result.missing) == {chunk, only_chunk(world, child)}
    assert (problem.subject, sorted(problem.models)) == (chunk.hex(), ["base@1", "child@1"])


async def test_a_base_that_is_gone_is_told_with_its_digest(world: World) -> None:
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original})
    child = await world.add("child", {"x": changed(original, 2)}, based_on=base)
    chunk = only_chunk(world, base)
    await world.backend.lineage.models.remove(base.uid)
    [[copy]] = world.store.chunks.maintenance.copies([chunk])
    world.store.chunks.maintenance.drop([copy], lambda: None)
    result, [problem] = await check(world)
    assert set(result.missing) == {chunk, only_chunk(world, child)}
    assert problem.subject == only_chunk(world, child).hex()
    assert chunk.hex() in problem.message
    assert problem.models == ("child@1",)


async def test_a_chunk_without_any_copy_is_told(world: World) -> None:
    model = await world.add("a", {"x": tensor(1, 50)})
    chunk = only_chunk(world, model)
    [[copy]] = world.store.chunks.maintenance.copies([chunk])
    world.store.chunks.maintenance.drop([copy], lambda: None)
    result, [problem] = await check(world)
    assert result.missing == (chunk,)
    assert (problem.reason, problem.models) == (ErrorReason.CHUNK_NOT_FOUND, ("a@1",))


async def test_of_very_many_missing_chunks_the_first_are_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspecting, "MOST_NAMED", 2)
    await world.add("a", {str(at): tensor(at, 50) for at in range(5)})
    [pack] = keys(world.store, "packs")
    [index] = keys(world.store, "indexes")
    del content_of(world.store)[pack], content_of(world.store)[index]
    result, problems = await check(world)
    assert len(result.missing) == 2
    assert [problem.subject for problem in problems][2:] == ["more"]
    assert "3 more" in problems[-1].message


async def test_of_very_many_problems_the_first_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_NAMED", 2)
    model = await world.add("a", {str(at): tensor(at, 5000) for at in range(5)})
    for [chunk] in world.manifest(model).values():
        damage_chunk(world, chunk)
    result, problems = await check(world)
    assert (result.ok, len(result.missing), len(problems)) == (False, 5, 3)
    assert (problems[-1].subject, problems[-1].message) == ("more", "3 more problems were found.")


async def test_a_pack_that_is_gone_is_one_problem(world: World) -> None:
    await world.add("a", {"x": tensor(1, 50), "y": tensor(2, 50)})
    await world.add("b", {"x": tensor(3, 50)})
    del content_of(world.store)[keys(world.store, "packs")[0]]
    result, [problem] = await check(world)
    assert len(result.missing) == 2
    assert (problem.reason, problem.models) == (ErrorReason.PACK_CORRUPT, ("a@1",))
    after, [again] = await check(world, repair=True)
    assert (after.ok, after.missing, again.repaired) == (False, result.missing, False)
    _, problems = await check(world)
    assert {problem.reason for problem in problems} == {ErrorReason.CHUNK_NOT_FOUND}
    await reopened(world).add("again", {"x": tensor(1, 50), "y": tensor(2, 50)})
    assert (await check(world))[0].ok


async def test_a_damaged_table_of_a_pack_is_repaired_and_every_chunk_stays_readable(world: World) -> None:
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original})
    await world.add("child", {"x": changed(original, 2)}, based_on=base)
    damaged = keys(world.store, "packs")[0]
    damage(world.store, damaged)
    before = {name: await world.read(name) for name in ("base", "child")}
    result, [problem] = await check(world)
    assert (result.ok, problem.reason, result.missing) == (False, ErrorReason.PACK_CORRUPT, ())
    result, [problem] = await check(world, repair=True)
    assert (result.ok, problem.repaired) == (True, True)
    assert damaged not in keys(world.store, "packs")
    result, problems = await check(world)
    assert (result.ok, problems) == (True, [])
    after = reopened(world)
    assert {name: await after.read(name) for name in ("base", "child")} == before


async def test_an_index_that_names_what_the_pack_does_not_have_is_taken_out(world: World) -> None:
    await world.add("a", {"x": tensor(1, 50)})
    await world.add("b", {"x": tensor(2, 50)})
    first, second = keys(world.store, "packs")
    content_of(world.store)[second] = content_of(world.store)[first]
    result, problems = await check(world)
    assert not result.ok
    assert ErrorReason.INDEX_CORRUPT in {problem.reason for problem in problems}
    assert not (await check(world, repair=True))[0].ok
    _, [problem] = await check(world)
    assert (problem.reason, problem.models) == (ErrorReason.CHUNK_NOT_FOUND, ("b@1",))
    await reopened(world).add("again", {"x": tensor(2, 50)})
    assert (await check(world))[0].ok


async def test_a_lost_index_is_rebuilt_from_the_table_of_the_pack(world: World) -> None:
    original = tensor(1, 300, 300)
    base = await world.add("base", {"x": original})
    await world.add("child", {"x": changed(original, 2)}, based_on=base)
    del content_of(world.store)[keys(world.store, "indexes")[0]]
    result, [problem] = await check(world)
    assert (result.ok, problem.reason) == (False, ErrorReason.INDEX_CORRUPT)
    assert "base@1" in problem.models
    result, [problem] = await check(world, repair=True)
    assert (result.ok, problem.repaired, result.missing) == (True, True, ())
    assert (await check(world))[0].ok
    assert (await reopened(world).read("base"))["x"] == original.tobytes()


async def test_a_damaged_index_is_rebuilt(world: World) -> None:
    first, second = tensor(1, 50), tensor(2, 50)
    await world.add("a", {"x": first})
    await world.add("b", {"x": second})
    damaged = keys(world.store, "indexes")[0]
    damage(world.store, damaged)
    result, problems = await check(world)
    assert not result.ok
    assert {problem.reason for problem in problems} == {ErrorReason.INDEX_CORRUPT}
    result, problems = await check(world, repair=True)
    assert result.ok
    assert all(problem.repaired for problem in problems)
    assert damaged not in keys(world.store, "indexes")
    assert (await check(world))[0].ok
    after = reopened(world)
    assert [(await after.read(name))["x"] for name in ("a", "b")] == [first.tobytes(), second.tobytes()]


async def test_packs_of_running_uploads_are_no_damage(world: World) -> None:
    await world.add("a", {"x": tensor(1, 50)})
    writer = world.store.chunks.open_writer()
    writer.write(tensor(2, 50).tobytes(), width=4)
    writer.seal()
    del content_of(world.store)[keys(world.store, "indexes")[-1]]
    assert (await check(world))[1] == []


async def test_a_damaged_copy_goes_where_another_one_is_good(world: World) -> None:
    content = tensor(1, 5000)
    raw = content.tobytes()
    first, second = world.store.chunks.open_writer(), world.store.chunks.open_writer()
    for writer in (first, second):
        writer.write(raw, width=4)
    first.seal()
    [damaged] = keys(world.store, "packs")
    second.seal()
    await world.add("a", {"x": content})
    damage(world.store, damaged, 200)
    result, [problem] = await check(world)
    assert (result.ok, result.missing, problem.models) == (False, (), ("a@1",))
    result, [problem] = await check(world, repair=True)
    assert (result.ok, problem.repaired) == (True, True)
    result, problems = await check(world)
    assert (result.ok, problems, result.chunks) == (True, [], 1)
    assert reopened(world).store.chunks.read(digest_of(ALGORITHM, raw)) == raw


async def test_a_damaged_chunk_can_be_sent_anew_after_a_repair(world: World) -> None:
    content = tensor(1, 5000)
    model = await world.add("a", {"x": content})
    chunk = only_chunk(world, model)
    damage_chunk(world, chunk)
    result, [problem] = await check(world, repair=True)
    assert (result.ok, result.missing, problem.repaired) == (False, (chunk,), False)
    after = reopened(world)
    assert after.store.chunks.find_missing([chunk]) == [chunk]
    with after.store.chunks.open_writer() as writer:
        writer.write(content.tobytes(), width=4)
    assert (await check(world))[0].ok
    assert (await reopened(world).read("a"))["x"] == content.tobytes()


async def test_a_difference_can_be_sent_anew_where_its_base_is_lost(world: World) -> None:
    original = tensor(1, 300, 300)
    child = changed(original, 2)
    base = await world.add("base", {"x": original})
    await world.add("child", {"x": child}, based_on=base)
    damage_chunk(world, only_chunk(world, base))
    await world.backend.lineage.models.remove(base.uid)
    assert not (await check(world, repair=True))[0].ok
    with reopened(world).store.chunks.open_writer() as writer:
        writer.write(child.tobytes(), width=4)
    result, problems = await check(world)
    assert (result.ok, problems) == (True, [])


async def test_a_repair_raises_the_epoch(world: World) -> None:
    """Who was told that the damaged chunk is there must ask again."""
    model = await world.add("a", {"x": tensor(1, 5000)})
    epoch = await world.backend.lineage.binding.epoch()
    damage_chunk(world, only_chunk(world, model))
    await check(world, repair=True)
    assert await world.backend.lineage.binding.epoch() > epoch


async def test_what_a_later_version_wrote_is_left_alone(world: World) -> None:
    content = tensor(1, 5000)
    model = await world.add("a", {"x": content})
    chunk = only_chunk(world, model)
    [[copy]] = world.store.chunks.maintenance.copies([chunk])
    [key] = keys(world.store, "packs")
    frame = encode_chunk(content.tobytes(), 4).to_bytes()
    at = next(at for at in range(16) if _is_unknown(frame, at))
    pack = bytearray(content_of(world.store)[key])
    pack[copy.offset + at] = 0xEE
    content_of(world.store)[key] = bytes(pack)
    before = keys(world.store, "packs")
    result, [problem] = await check(world, repair=True)
    assert (result.ok, problem.reason, problem.repaired) == (False, ErrorReason.UNKNOWN_FORMAT_VERSION, False)
    assert keys(world.store, "packs") == before


def _is_unknown(frame: bytes, at: int) -> bool:
    """Whether another value at this place of a header says that a later version wrote the frame."""
    changed_frame = bytearray(frame)
    changed_frame[at] = 0xEE
    try:
        EncodedChunk.from_bytes(bytes(changed_frame))
    except CorruptError as error:
        return error.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
    return False


@pytest.mark.parametrize("kind", ["manifests", "files"])
@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_damaged_document_is_told_with_its_models(world: World, kind: str, *, is_lost: bool) -> None:
    await world.add("a", {"x": tensor(1, 50)}, file=b"text")
    await world.add("b", {"x": tensor(2, 50)})
    key = keys(world.store, kind)[0]
    if is_lost:
        del content_of(world.store)[key]
    else:
        damage(world.store, key)
    for repair in (False, True):
        result, [problem] = await check(world, repair=repair)
        assert (result.ok, problem.reason, problem.subject) == (False, ErrorReason.MANIFEST_CORRUPT, key)
        assert (problem.models, problem.repaired) == (("a@1",), False)


@pytest.mark.parametrize("kind", ["manifests", "files"])
async def test_a_damaged_document_is_replaced_by_an_intact_one(world: World, kind: str) -> None:
    """A second commit of the same content left one."""
    for name in ("a", "b"):
        await world.add(name, {"x": tensor(1, 50)}, file=b"text")
    model = await world.backend.lineage.models.get(Reference(name="a"))
    assert model.parameters is not None
    key = model.parameters.manifest_key if kind == "manifests" else model.files_key
    assert key is not None
    damage(world.store, key)
    result, [problem] = await check(world, repair=True)
    assert (result.ok, problem.repaired, problem.subject) == (True, True, key)
    assert (await check(world))[1] == []
    assert (await reopened(world).read("a"))["x"] == tensor(1, 50).tobytes()


async def test_a_manifest_whose_sizes_do_not_fit_its_chunks_is_told(world: World) -> None:
    """As somebody may have put it together by hand: its digest is right, what it says is not."""
    short = await world.add("short", {"x": tensor(1, 10)})
    chunk = only_chunk(world, short)
    await _commit_wrong(world, chunk)
    result, [problem] = await check(world)
    assert (result.ok, problem.reason) == (False, ErrorReason.MANIFEST_CORRUPT)
    assert (problem.models, "40" in problem.message, "80" in problem.message) == (("wrong@1",), True, True)


async def _commit_wrong(world: World, chunk: Digest) -> None:
    """A model of 20 numbers made of a chunk of 10."""
    manifest = Manifest(ALGORITHM, (make_parameter(ALGORITHM, "x", TensorSpec("float32", (20,)), [chunk]),))
    commit = ModelCommit(
        uid=fresh_uid(),
        name="wrong",
        created_at=datetime.now(UTC),
        parameters=ParameterSet(
            digest=manifest.digest,
            manifest_key=world.store.parameters.write_manifest(manifest),
            size_bytes=manifest.size_bytes,
            tensor_count=1,
        ),
        tensors=(),
        epoch=await world.backend.lineage.binding.epoch(),
    )
    await world.backend.lineage.models.commit(commit)


async def test_a_check_needs_no_lease_and_a_repair_does(world: World) -> None:
    await world.add("a", {"x": tensor(1, 50)})
    async with held_lease(world.backend, "gc"):
        assert (await check(world))[0].ok
        with pytest.raises(ConflictError) as caught:
            await check(world, repair=True)
    assert caught.value.reason is ErrorReason.MAINTENANCE_BUSY


async def test_what_goes_and_comes_while_it_is_checked_is_no_damage(world: World) -> None:
    """A collection and a commit between the listing and the reading."""
    gone = await world.add("gone", {"x": tensor(1, 50)})
    await world.add("kept", {"x": tensor(2, 50)})
    objects = world.store.objects
    assert isinstance(objects, FaultyObjectStore)
    loop = asyncio.get_running_loop()

    async def change() -> None:
        await world.backend.lineage.models.remove(gone.uid)
        await run(world)
        await world.add("fresh", {"x": tensor(3, 50)})

    def fault(step: str, _key: str) -> None:
        if step == "get_range":
            objects.fault = lambda _step, _key: None
            asyncio.run_coroutine_threadsafe(change(), loop).result(20)

    objects.fault = fault
    result, problems = await check(world)
    assert (result.ok, problems) == (True, [])
    assert result.documents == 2
