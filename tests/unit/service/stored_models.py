"""Models in a store and a graph in memory, without a server in between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import DigestAlgorithm
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import AnyArray, TensorSpec, name_of_dtype
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.transfer.commit import CommitRequest, commit_draft
from mgit_service.use_cases.transfer.drafting import Draft
from mgit_storage.lineage import open_memory
from mgit_storage.objects import MemoryObjectStore, ObjectStore
from mgit_storage.store import open_objects

ALGORITHM = DigestAlgorithm.BLAKE3


@contextlib.contextmanager
def opened(objects: ObjectStore | None = None) -> Iterator[Backend]:
    """A backend over ``objects``; its graph is not bound yet."""
    store = open_objects(objects or MemoryObjectStore(), ALGORITHM)
    with ThreadPoolExecutor(2) as threads:
        yield Backend(
            store_id=store.id,
            chunks=store.chunks,
            parameters=store.parameters,
            lineage=open_memory(),
            threads=threads,
        )


def store_tensors(backend: Backend, tensors: Mapping[str, AnyArray]) -> Manifest:
    """Chunks of the tensors, sealed; and what they are."""
    parameters = []
    with backend.chunks.open_writer() as writer:
        for name, tensor in tensors.items():
            spec = TensorSpec(name_of_dtype(tensor.dtype), tensor.shape)
            content = tensor.tobytes()
            digests = [
                writer.write(content[start:stop], width=spec.itemsize) for start, stop in chunk_ranges(spec)
            ]
            parameters.append(make_parameter(ALGORITHM, name, spec, digests))
    return Manifest(ALGORITHM, tuple(parameters))


async def add_model(backend: Backend, name: str, tensors: Mapping[str, AnyArray]) -> Model:
    """A committed model."""
    epoch = await EpochWatch(backend).read()
    draft = Draft(header=DraftHeader(name=name), manifest=store_tensors(backend, tensors), files=None)
    request = CommitRequest(epoch=epoch, request_id=None, arguments=b"")
    return (await commit_draft(backend, draft, request)).model


def weights(seed: int, *, change: float = 0.0) -> dict[str, AnyArray]:
    """Tensors of a model; with ``change`` a little away from the ones of the same seed."""
    random, other = np.random.default_rng(seed), np.random.default_rng(1_000)
    shapes = {"embedding": (2_000, 200), "dense": (64, 64), "bias": (64,), "scalar": ()}
    tensors: dict[str, AnyArray] = {"positions": np.arange(512)}
    for name, shape in shapes.items():
        tensor = random.normal(0, 0.02, shape) + change * other.normal(0, 0.02, shape)
        tensors[name] = np.asarray(tensor, np.float32)
    return tensors
