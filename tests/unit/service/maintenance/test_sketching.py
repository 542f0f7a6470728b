"""Sketches of stored models, and what is found by them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import ml_dtypes
import numpy as np
import pytest
from tests.unit.service.stored_models import add_model, opened, store_tensors, weights

from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest
from mgit_core.similarity import TENSOR_SKETCH_BYTES, TensorSample, sample_range, sketch_of
from mgit_core.tensor import TensorSpec, name_of_dtype
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance.sketching import find_similar, keep_sketch, make_sketch
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.faults import FaultyObjectStore


@pytest.fixture
def objects() -> FaultyObjectStore:
    return FaultyObjectStore(MemoryObjectStore())


@pytest.fixture
async def backend(objects: FaultyObjectStore) -> AsyncIterator[Backend]:
    with opened(objects) as backend:
        await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
        yield backend


async def sketched(backend: Backend, name: str, seed: int, *, change: float = 0.0) -> Model:
    model = await add_model(backend, name, weights(seed, change=change))
    assert model.parameters is not None
    await keep_sketch(backend, model.parameters)
    return model


def manifest_of(backend: Backend, model: Model) -> Manifest:
    assert model.parameters is not None
    return backend.parameters.read_manifest(model.parameters.manifest_key)


async def test_a_sketch_of_stored_chunks_is_that_of_the_tensors(backend: Backend) -> None:
    """Also where the sample lies across two chunks, as in the embedding."""
    tensors = weights(1)
    wanted = []
    for tensor in tensors.values():
        spec = TensorSpec(name_of_dtype(tensor.dtype), tensor.shape)
        start, stop = sample_range(spec)
        wanted.append(TensorSample(spec, tensor.reshape(-1)[start:stop]))
    found = await make_sketch(backend, store_tensors(backend, tensors))
    assert found == sketch_of(wanted)


async def test_only_chunks_with_samples_are_read(backend: Backend, objects: FaultyObjectStore) -> None:
    tensor = np.random.default_rng(1).normal(0, 1, (8, 1 << 18)).astype(np.float32)
    manifest = store_tensors(backend, {"large": tensor, "counters": np.arange(1 << 18)})
    reads: list[str] = []
    objects.fault = lambda step, key: reads.append(key) if step == "get_range" else None
    assert any((await make_sketch(backend, manifest)).vector)
    assert 0 < len(reads) <= 4, "at most header and content of two of eleven chunks"


async def test_relatives_are_found_and_strangers_are_far(backend: Backend) -> None:
    base = await sketched(backend, "base", 1)
    await sketched(backend, "stranger", 2)
    await sketched(backend, "child", 1, change=0.1)
    found = await find_similar(backend, manifest_of(backend, base))
    assert [each.model.ref for each in found] == ["base@1", "child@1", "stranger@1"]
    assert found[0].similarity == pytest.approx(1)
    assert found[1].similarity > 0.97
    assert found[2].similarity < 0.4


async def test_a_cast_is_found_by_what_it_was_cast_from(backend: Backend) -> None:
    base = await sketched(backend, "base", 1)
    half = {
        name: tensor if name == "positions" else tensor.astype(ml_dtypes.bfloat16)
        for name, tensor in weights(1).items()
    }
    found = await find_similar(backend, store_tensors(backend, half), limit=1)
    assert [each.model.uid for each in found] == [base.uid]
    assert found[0].similarity > 0.9999


async def test_a_vector_finds_as_its_manifest_does(backend: Backend) -> None:
    base = await sketched(backend, "base", 1)
    manifest = manifest_of(backend, base)
    vector = (await make_sketch(backend, manifest)).vector
    assert await find_similar(backend, vector) == await find_similar(backend, manifest)


async def test_a_model_without_numbers_is_near_to_none(backend: Backend) -> None:
    await sketched(backend, "base", 1)
    assert await find_similar(backend, store_tensors(backend, {"positions": np.arange(9)})) == []


async def test_sketches_of_tensors_are_kept_in_the_order_of_the_manifest(backend: Backend) -> None:
    model = await sketched(backend, "base", 1)
    assert model.parameters is not None
    kept = backend.parameters.read_sketches(model.parameters.digest)
    assert [len(each) for each in kept] == [0, *([TENSOR_SKETCH_BYTES] * 3), 0]
    assert kept == (await make_sketch(backend, manifest_of(backend, model))).tensors


async def test_a_sketch_of_missing_chunks_is_refused(backend: Backend) -> None:
    with opened() as other:
        manifest = store_tensors(other, weights(1))
    with pytest.raises(NotFoundError) as error:
        await make_sketch(backend, manifest)
    assert error.value.reason is ErrorReason.CHUNK_NOT_FOUND


async def test_a_sketch_of_a_damaged_chunk_is_refused(backend: Backend, objects: FaultyObjectStore) -> None:
    model = await add_model(backend, "base", weights(1))
    assert model.parameters is not None

    def damage(step: str, key: str) -> None:
        if step == "get_range" and key.startswith("packs/"):
            raise CorruptError(ErrorReason.CHUNK_CORRUPT, "Damaged.")

    objects.fault = damage
    with pytest.raises(CorruptError):
        await keep_sketch(backend, model.parameters)
    assert backend.parameters.read_sketches(model.parameters.digest) == ()
