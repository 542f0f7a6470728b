"""Statistics over a store and a graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from mgit_core.chunking import chunk_ranges, file_chunk_sizes
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.lineage import Model, ModelCommit, ParameterSet, ParentLink, TensorRecord
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases import statistics
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.statistics import model_statistics, store_statistics
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.store import Store, memory_store
from mgit_storage.testing.values import fresh_uid

ALGORITHM = DigestAlgorithm.BLAKE3
Tensors = Mapping[str, np.ndarray]


@dataclass
class World:
    """A backend, and a way to put models into it."""

    store: Store
    backend: Backend

    async def add(
        self, name: str, tensors: Tensors, *, file: bytes = b"", parents: tuple[ParentLink, ...] = ()
    ) -> Model:
        with self.store.chunks.open_writer() as writer:
            parameters = []
            for key, tensor in tensors.items():
                spec = TensorSpec("float32", tensor.shape)
                raw = memoryview(tensor.tobytes())
                cuts = [raw[start:stop] for start, stop in chunk_ranges(spec)]
                chunks = [writer.write(cut, width=4) for cut in cuts]
                parameters.append(make_parameter(ALGORITHM, key, spec, chunks))
            manifest = Manifest(ALGORITHM, tuple(parameters))
            files = self._files(writer, file) if file else None
        commit = ModelCommit(
            uid=fresh_uid(),
            name=name,
            created_at=datetime.now(UTC),
            parameters=ParameterSet(
                digest=manifest.digest,
                manifest_key=self.store.parameters.write_manifest(manifest),
                size_bytes=manifest.size_bytes,
                tensor_count=len(parameters),
            ),
            tensors=tuple(
                TensorRecord(
                    name=parameter.name,
                    digest=parameter.digest,
                    dtype=parameter.spec.dtype,
                    shape=parameter.spec.shape,
                    size_bytes=parameter.spec.size_bytes,
                )
                for parameter in parameters
            ),
            epoch=await self.backend.lineage.binding.epoch(),
            parents=parents,
            files=None if files is None else files.digest,
            files_key=None if files is None else self.store.parameters.write_file_list(files),
            files_bytes=len(file),
        )
        return (await self.backend.lineage.models.commit(commit)).model

    def _files(self, writer: object, content: bytes) -> FileList:
        cuts, at = [], 0
        for size in file_chunk_sizes(len(content)):
            cuts.append(writer.write(content[at : at + size], width=1))
            at += size
        entry = FileEntry(
            path="notes.txt",
            kind=FileKind.OPAQUE,
            size_bytes=len(content),
            stored_bytes=len(content),
            chunks=tuple(cuts),
        )
        return FileList(algorithm=ALGORITHM, source_format="folder", files=(entry,))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = memory_store(ALGORITHM)
    graph = open_memory_graph()
    await graph.binding.bind(store.id, store_is_empty=True)
    with ThreadPoolExecutor(2) as threads:
        backend = Backend(
            store_id=store.id,
            chunks=store.chunks,
            parameters=store.parameters,
            lineage=graph,
            threads=threads,
        )
        yield World(store, backend)


def tensor(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


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
    monkeypatch.setattr(statistics, "_DIGESTS_AT_ONCE", 2)
    monkeypatch.setattr(statistics, "_CHUNKS_AT_ONCE", 1)
    common = tensor(0, 100)
    for at in range(5):
        await world.add(f"m{at}", {"x": common, "y": tensor(10 + at, 10)})
    assert (await store_statistics(world.backend)).reclaimable_bytes == 0
    assert (await model_statistics(world.backend, "m3")).tensors[0].shared_with == 4


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
