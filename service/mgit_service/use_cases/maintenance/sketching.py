"""Sketches of parameter sets, made from the few chunks that they look at, and models found by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mgit_core.chunking import chunk_ranges
from mgit_core.lineage import ParameterSet
from mgit_core.manifest import Manifest, Parameter
from mgit_core.ports.chunks import ChunkStore
from mgit_core.ports.graph import SimilarModel
from mgit_core.similarity import ParameterSketch, TensorSample, choose_sampled, sample_range, sketch_of
from mgit_core.tensor import dtype_named
from mgit_service.use_cases.backend import Backend, in_thread

__all__ = ["find_similar", "keep_sketch", "make_sketch"]


async def find_similar(
    backend: Backend, parameters: Manifest | Sequence[float], limit: int = 10
) -> list[SimilarModel]:
    """Present models whose parameters are near, best first; one model for each parameter set.

    Models whose sketches are not made yet are not found. The model itself is, if it has one.

    Args:
        backend: Where to look.
        parameters: A manifest whose chunks are all in the store, or the vector of a sketch.
        limit: Largest number of models, from 1 to 100.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT.
    """
    vector = (
        (await make_sketch(backend, parameters)).vector if isinstance(parameters, Manifest) else parameters
    )
    return await backend.lineage.sketches.nearest(vector, limit) if any(vector) else []


async def keep_sketch(backend: Backend, parameter_set: ParameterSet) -> None:
    """Make the sketch of a parameter set, and keep it in the store and in the graph.

    The graph comes last: what it has a sketch of is done.

    Raises:
        NotFoundError: OBJECT_NOT_FOUND or CHUNK_NOT_FOUND.
        CorruptError: MANIFEST_CORRUPT or CHUNK_CORRUPT.
        ResourceExhaustedError: DISK_FULL.
    """
    store = backend.parameters
    manifest = await in_thread(backend, store.read_manifest, parameter_set.manifest_key)
    sketch = await make_sketch(backend, manifest)
    await in_thread(backend, store.write_sketches, parameter_set.digest, sketch.tensors)
    await backend.lineage.sketches.put(parameter_set.digest, sketch.vector)


async def make_sketch(backend: Backend, manifest: Manifest) -> ParameterSketch:
    """The sketch of what a manifest names, from one or two chunks of each of at most 2,000 tensors.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT.
    """
    chosen = set(choose_sampled([parameter.spec for parameter in manifest.parameters]))
    # One tensor after the other: sketches are made beside calls that people wait for.
    samples = [
        await in_thread(backend, _sample, backend.chunks, parameter)
        if place in chosen
        else TensorSample(parameter.spec, None)
        for place, parameter in enumerate(manifest.parameters)
    ]
    return await in_thread(backend, sketch_of, samples)


def _sample(chunks: ChunkStore, parameter: Parameter) -> TensorSample:
    """What a sketch looks at of a tensor; one chunk is held at a time."""
    spec = parameter.spec
    start, stop = (place * spec.itemsize for place in sample_range(spec))
    taken = bytearray()
    for chunk, (begin, end) in zip(parameter.chunks, chunk_ranges(spec), strict=True):
        if begin < stop and end > start:
            taken += chunks.read(chunk)[max(start, begin) - begin : min(stop, end) - begin]
    return TensorSample(spec, np.frombuffer(bytes(taken), dtype_named(spec.dtype)))
