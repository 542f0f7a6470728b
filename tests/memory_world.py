"""A store and a graph in memory, and models in them that differ a little from each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from mgit_core.chunking import chunk_ranges, file_chunk_sizes
from mgit_core.coding.encoded import BaseRange, Predictor
from mgit_core.coding.numbers import format_of_dtype
from mgit_core.coding.plans import ChunkPlan, Prediction
from mgit_core.digest import Digest, DigestAlgorithm
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.layers.document import layer_graph_digest
from mgit_core.layers.graph import LayerGraph
from mgit_core.lineage import Model, ModelCommit, ParameterSet, ParentLink, Relation, TensorRecord
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.names import Reference
from mgit_core.ports.chunks import ChunkWriter
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.backend import Backend
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.objects import ObjectStore
from mgit_storage.store import Store, memory_store, open_objects
from mgit_storage.testing.values import fresh_uid

ALGORITHM = DigestAlgorithm.BLAKE3
Tensors = Mapping[str, np.ndarray]


def tensor(seed: int, *shape: int) -> np.ndarray:
    """Random numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def changed(original: np.ndarray, seed: int, size: float = 1e-4) -> np.ndarray:
    """The same as after a short training."""
    return (original + size * tensor(seed, *original.shape)).astype(np.float32)


@dataclass
class World:
    """A backend, and a way to put models into it."""

    store: Store
    backend: Backend

    async def add(
        self,
        name: str,
        tensors: Tensors,
        *,
        file: bytes = b"",
        parents: tuple[ParentLink, ...] = (),
        based_on: Model | None = None,
        is_declared: bool = True,
        layer_graph: LayerGraph | None = None,
        is_staged: bool = False,
    ) -> Model:
        """Commit a model.

        Args:
            name: Its name.
            tensors: Its parameters.
            file: Content of a file beside them.
            parents: Its provenance edges.
            based_on: A model whose tensors of the same names its chunks are differences to.
            is_declared: Whether that is its parent, too.
            layer_graph: Its layers.
            is_staged: Whether it is staged instead.
        """
        bases = {} if based_on is None else self.manifest(based_on)
        if based_on is not None and is_declared:
            parents = (*parents, ParentLink(parent_uid=based_on.uid, relation=Relation.FINETUNED))
        with self.store.chunks.open_writer() as writer:
            parameters = []
            for key, values in tensors.items():
                spec = TensorSpec(values.dtype.name, values.shape)
                chunks = _write_tensor(writer, values, spec, bases.get(key, ()))
                parameters.append(make_parameter(ALGORITHM, key, spec, chunks))
            manifest = Manifest(ALGORITHM, tuple(parameters))
            files = _files(writer, file) if file else None
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
            layer_graph=None if layer_graph is None else layer_graph_digest(ALGORITHM, layer_graph),
            layer_graph_key=None
            if layer_graph is None
            else self.store.parameters.write_layer_graph(layer_graph),
        )
        if is_staged:
            return await self.backend.lineage.staging.stage(commit)
        return (await self.backend.lineage.models.commit(commit)).model

    def manifest(self, model: Model) -> dict[str, tuple[Digest, ...]]:
        """Chunks of each parameter of a present model."""
        assert model.parameters is not None
        manifest = self.store.parameters.read_manifest(model.parameters.manifest_key)
        return {parameter.name: parameter.chunks for parameter in manifest.parameters}

    async def read(self, name: str) -> dict[str, bytes]:
        """The bytes of each tensor of a model."""
        model = await self.backend.lineage.models.get(Reference(name=name))
        chunks = self.store.chunks
        return {key: b"".join(map(chunks.read, digests)) for key, digests in self.manifest(model).items()}


def _write_tensor(
    writer: ChunkWriter, values: np.ndarray, spec: TensorSpec, bases: tuple[Digest, ...]
) -> list[Digest]:
    raw = memoryview(values.tobytes())
    cuts = [raw[start:stop] for start, stop in chunk_ranges(spec)]
    digests = []
    for at, cut in enumerate(cuts):
        plan = _plan(spec, bases[at], len(cut)) if bases else None
        digests.append(writer.write(cut, width=spec.itemsize, plan=plan))
    return digests


def _plan(spec: TensorSpec, base: Digest, size_bytes: int) -> ChunkPlan:
    prediction = Prediction(predictor=Predictor.BASE, bases=(BaseRange(base, 0, size_bytes),))
    return ChunkPlan(numbers=format_of_dtype(spec.dtype), predictions=(prediction,))


def _files(writer: ChunkWriter, content: bytes) -> FileList:
    cuts = [writer.write(content[start:stop], width=1) for start, stop in _file_ranges(len(content))]
    entry = FileEntry(
        path="notes.txt",
        kind=FileKind.OPAQUE,
        size_bytes=len(content),
        stored_bytes=len(content),
        chunks=tuple(cuts),
    )
    return FileList(algorithm=ALGORITHM, source_format="folder", files=(entry,))


def _file_ranges(size_bytes: int) -> Iterator[tuple[int, int]]:
    start = 0
    for size in file_chunk_sizes(size_bytes):
        yield start, start + size
        start += size


@asynccontextmanager
async def open_world(objects: ObjectStore | None = None) -> AsyncIterator[World]:
    """An empty world, or one over ``objects`` with an empty graph."""
    store = memory_store(ALGORITHM) if objects is None else open_objects(objects, ALGORITHM)
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
