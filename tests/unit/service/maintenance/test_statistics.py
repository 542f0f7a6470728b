"""Statistics over a store and a graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from tests.memory_world import ALGORITHM, World, changed, open_world, tensor

from mgit_core.digest import Digest, digest_of
from mgit_core.errors import CorruptError, ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.lineage import ParentLink
from mgit_service.use_cases.maintenance import digests, statistics, touching
from mgit_service.use_cases.maintenance.statistics import ModelStatistics, model_statistics, store_statistics


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


async def test_an_empty_store_adds_up(world: World) -> None:
    found = await store_statistics(world.backend)
    assert (found.counts.models, found.usage.chunk_count, found.reclaimable_bytes) == (0, 0, 0)
    usage = found.usage
    parts = (usage.pack_bytes, usage.index_bytes, usage.manifest_bytes, usage.other_bytes)
    assert found.stored_bytes == sum(parts)


async def test_nothing_is_reclaimable_while_every_chunk_is_used(world: World) -> None:
    await world.add("a", {"x": tensor(1, 700, 700), "y": tensor(2, 9)}, file=b"text" * 9)
    found = await store_statistics(world.backend)
    assert found.reclaimable_bytes == 0
    assert found.counts.logical_bytes == 700 * 700 * 4 + 36 + 36
    assert found.usage.chunk_count == 4


async def test_what_only_removed_models_used_is_reclaimable(world: World) -> None:
    shared, own = tensor(1, 50), tensor(2, 500)
    await world.add("kept", {"x": shared})
    removed = await world.add("removed", {"x": shared, "y": own}, file=b"only here")
    before = await model_statistics(world.backend, "removed")
    await world.backend.lineage.models.remove(removed.uid)
    found = await store_statistics(world.backend)
    assert found.reclaimable_bytes == before.unique_bytes > 0
    assert found.counts.models == 1


async def test_a_second_copy_of_a_chunk_is_reclaimable(world: World) -> None:
    """Two uploads at once may both write a chunk; only one copy is ever read."""
    content = tensor(1, 50)
    raw = content.tobytes()
    first, second = world.store.chunks.open_writer(), world.store.chunks.open_writer()
    for writer in (first, second):
        writer.write(raw, width=4)
    first.seal()
    second.seal()
    await world.add("a", {"x": content})
    found = await store_statistics(world.backend)
    [size] = world.store.chunks.stored_sizes([digest_of(ALGORITHM, raw)])
    assert found.reclaimable_bytes == size


async def test_a_model_alone_shares_nothing(world: World) -> None:
    await world.add("a", {"x": tensor(1, 700, 700), "y": tensor(2, 9)}, file=b"text" * 9)
    found = await model_statistics(world.backend, "a")
    assert (found.shared_bytes, found.delta_bytes) == (0, 0)
    assert found.logical_bytes == 700 * 700 * 4 + 36 + 36
    usage = world.store.parameters.usage()
    assert found.unique_bytes == usage.chunk_bytes


async def test_relatives_share_what_is_equal(world: World) -> None:
    common, head = tensor(1, 100), tensor(2, 10)
    await world.add("base", {"x": common, "head": head})
    await world.add("task", {"x": common, "head": tensor(3, 10)})
    base, task = [await model_statistics(world.backend, name) for name in ("base", "task")]
    x, own_head = task.tensors
    assert base.shared_bytes == task.shared_bytes == x.stored_bytes
    assert task.unique_bytes == own_head.stored_bytes
    assert (x.shared_with, own_head.shared_with) == (1, 0)
    assert (x.name, x.logical_bytes, sum(x.encodings.values())) == ("x", 400, 1)


async def test_a_chunk_that_occurs_twice_is_counted_once(world: World) -> None:
    twice = tensor(1, 100)
    await world.add("a", {"x": twice, "y": twice, "zeros": np.zeros((4, 300, 700), np.float32)})
    found = await model_statistics(world.backend, "a")
    x, y, zeros = found.tensors
    assert (x.shared_with, y.shared_with, x.stored_bytes) == (1, 1, y.stored_bytes)
    assert sum(zeros.encodings.values()) == 1
    assert found.unique_bytes == x.stored_bytes + zeros.stored_bytes


async def test_equal_models_share_everything_and_their_tensors_count_each(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.add(name, {"x": tensor(1, 100)})
    found = await model_statistics(world.backend, "b")
    assert (found.unique_bytes, found.tensors[0].shared_with) == (0, 2)


async def test_a_model_without_chunks_takes_nothing(world: World) -> None:
    await world.add("empty", {"x": np.empty((0, 3), np.float32)})
    found = await model_statistics(world.backend, "empty")
    assert (found.logical_bytes, found.unique_bytes, found.tensors[0].encodings) == (0, 0, {})


async def test_many_models_are_read_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_PAGE_SIZE", 2)
    monkeypatch.setattr(statistics, "_DOCUMENTS_AT_ONCE", 2)
    monkeypatch.setattr(statistics, "_CHUNKS_AT_ONCE", 1)
    monkeypatch.setattr(digests, "_DIGESTS_AT_ONCE", 2)
    monkeypatch.setattr(touching, "_CHUNKS_AT_ONCE", 1)
    common = tensor(0, 100)
    for at in range(5):
        await world.add(f"m{at}", {"x": common, "y": tensor(10 + at, 10)})
    assert (await store_statistics(world.backend)).reclaimable_bytes == 0
    assert (await model_statistics(world.backend, "m3")).tensors[0].shared_with == 4


async def make_family(world: World) -> None:
    """A base, a child that is a difference to it, a grandchild to that, and a stranger."""
    base = {"x": tensor(1, 700, 700), "head": tensor(2, 30)}
    child = {"x": changed(base["x"], 3), "head": tensor(4, 30)}
    root = await world.add("base", base)
    middle = await world.add("child", child, based_on=root)
    await world.add("grandchild", {"x": changed(child["x"], 5), "head": child["head"]}, based_on=middle)
    await world.add("stranger", {"y": tensor(6, 300)})


async def test_a_model_uses_also_what_its_differences_rest_on(world: World) -> None:
    await make_family(world)
    base, child, grandchild = [
        await model_statistics(world.backend, name) for name in ("base", "child", "grandchild")
    ]
    x = grandchild.tensors[0]
    assert grandchild.stored_bytes > child.stored_bytes > base.stored_bytes
    assert x.stored_bytes < x.logical_bytes / 2
    assert (x.predictors, set(x.encodings)) == ({"base": 2}, {"planes-zstd"})
    assert grandchild.tensors[1].predictors == {"none": 1}
    assert grandchild.unique_bytes == x.stored_bytes
    assert base.shared_bytes == base.tensors[0].stored_bytes


async def test_differences_are_counted_along_the_chain(world: World) -> None:
    await make_family(world)
    base, child, grandchild = [
        await model_statistics(world.backend, name) for name in ("base", "child", "grandchild")
    ]
    assert base.delta_bytes == 0
    assert child.delta_bytes == child.tensors[0].stored_bytes
    assert grandchild.delta_bytes == child.delta_bytes + grandchild.tensors[0].stored_bytes


async def test_models_and_what_is_reclaimable_make_up_all_bytes_of_chunks(world: World) -> None:
    await make_family(world)
    removed = await world.add("removed", {"x": tensor(7, 500)})
    await world.backend.lineage.models.remove(removed.uid)
    names = ("base", "child", "grandchild", "stranger")
    models = {name: await model_statistics(world.backend, name) for name in names}
    whole = await store_statistics(world.backend)
    unique = sum(model.unique_bytes for model in models.values())
    assert unique + shared_bytes(world, models) + whole.reclaimable_bytes == whole.usage.chunk_bytes
    assert whole.reclaimable_bytes > 0


def shared_bytes(world: World, models: dict[str, ModelStatistics]) -> int:
    """Bytes of chunks that a reading of two models or more touches, by following headers one by one."""
    uses: dict[Digest, int] = {}
    for statistics_of_one in models.values():
        pending = [chunk for chunks in world.manifest(statistics_of_one.model).values() for chunk in chunks]
        touched: set[Digest] = set()
        while pending:
            chunk = pending.pop()
            if chunk not in touched:
                touched.add(chunk)
                pending += [base.digest for base in world.store.chunks.read_encoded(chunk).bases]
        for chunk in touched:
            uses[chunk] = uses.get(chunk, 0) + 1
    return sum(world.store.chunks.stored_sizes([chunk for chunk, count in uses.items() if count > 1]))


async def test_what_a_removed_model_leaves_to_its_children_is_not_reclaimable(world: World) -> None:
    base = {"x": tensor(1, 700, 700)}
    root = await world.add("base", base)
    await world.add("child", {"x": changed(base["x"], 3)}, based_on=root)
    await world.backend.lineage.models.remove(root.uid)
    assert (await store_statistics(world.backend)).reclaimable_bytes == 0


async def test_a_removed_model_has_no_statistics(world: World) -> None:
    base = await world.add("base", {"x": tensor(1, 10)})
    await world.add("child", {"x": tensor(2, 10)}, parents=(ParentLink(parent_uid=base.uid),))
    await world.backend.lineage.models.remove(base.uid)
    with pytest.raises(FailedPreconditionError) as caught:
        await model_statistics(world.backend, "base@1")
    assert caught.value.reason is ErrorReason.MODEL_REMOVED


async def test_a_model_that_is_not_there_has_none(world: World) -> None:
    with pytest.raises(NotFoundError):
        await model_statistics(world.backend, "none")


async def test_a_damaged_manifest_is_told(world: World) -> None:
    model = await world.add("a", {"x": tensor(1, 10)})
    assert model.parameters is not None
    key = model.parameters.manifest_key
    world.store.objects.delete(key)
    world.store.objects.put(key, b"no manifest")
    for question in (store_statistics(world.backend), model_statistics(world.backend, "a")):
        with pytest.raises(CorruptError) as caught:
            await question
        assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT
