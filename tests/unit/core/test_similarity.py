"""Sketches tell relatives from strangers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from mgit_core.similarity import (
    DIMENSIONS,
    TENSOR_SKETCH_BYTES,
    ParameterSketch,
    TensorSample,
    choose_sampled,
    is_sampled,
    sample_range,
    sketch_of,
    tensor_similarity,
)
from mgit_core.tensor import DTYPES, TensorSpec, name_of_dtype

Array = npt.NDArray[np.generic]
SHAPES = [(300, 64)] + 6 * [(64, 64), (64,), (64,), (64, 128)]


def sample(tensor: Array) -> TensorSample:
    spec = TensorSpec(name_of_dtype(tensor.dtype), tensor.shape)
    start, stop = sample_range(spec)
    return TensorSample(spec, tensor.reshape(-1)[start:stop])


def sketch(tensors: Sequence[Array]) -> ParameterSketch:
    return sketch_of(map(sample, tensors))


def cosine(one: Sequence[Array], other: Sequence[Array]) -> float:
    return math.fsum(a * b for a, b in zip(sketch(one).vector, sketch(other).vector, strict=True))


@functools.cache
def model(seed: int) -> tuple[npt.NDArray[np.float32], ...]:
    """Random weights beside biases of zero and scales of one."""
    random = np.random.default_rng(seed)
    tensors = []
    for number, shape in enumerate(SHAPES):
        plain = np.zeros(shape) if number % 4 == 2 else np.ones(shape)
        tensors.append(plain if len(shape) == 1 else random.normal(0, 0.02, shape))
    return tuple(tensor.astype(np.float32) for tensor in tensors)


def changed(change: Callable[[npt.NDArray[np.float32]], Array]) -> list[Array]:
    return [change(tensor) for tensor in model(1)]


def pruned(tensor: npt.NDArray[np.float32]) -> Array:
    return np.where(np.abs(tensor) < np.median(np.abs(tensor)), np.float32(0), tensor)


def fine_tuned(tensor: npt.NDArray[np.float32]) -> Array:
    moved = np.random.default_rng(tensor.size).normal(0, 0.001, tensor.shape)
    return tensor + moved.astype(np.float32)


def with_low_rank(tensor: npt.NDArray[np.float32]) -> Array:
    if tensor.ndim == 1:
        return tensor
    random = np.random.default_rng(tensor.size)
    left, right = (random.normal(0, 0.03, (length, 4)) for length in tensor.shape)
    return (tensor + left @ right.T).astype(np.float32)


def quantized(tensor: npt.NDArray[np.float32]) -> Array:
    return np.clip(np.rint(tensor / 0.0006), -127, 127).astype(np.int8)


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (fine_tuned, 0.97),
        (pruned, 0.9),
        (with_low_rank, 0.9),
        (lambda tensor: tensor.astype(ml_dtypes.bfloat16), 0.9999),
        (lambda tensor: tensor.astype(np.float16), 0.999),
        (lambda tensor: tensor.astype(np.float64), 0.9999),
        (lambda tensor: (tensor * 0.5).astype(np.float32), 0.999),
        (quantized, 0.97),
        (lambda tensor: tensor.astype(ml_dtypes.float8_e4m3fn), 0.97),
    ],
)
def test_what_was_made_from_a_model_is_near_to_it(
    change: Callable[[npt.NDArray[np.float32]], Array], least: float
) -> None:
    assert cosine(changed(change), model(1)) > least


@pytest.mark.slow
def test_strangers_of_the_same_shapes_are_not_near() -> None:
    """Biases of zero and scales of one, which they share, count for nothing."""
    found = [cosine(model(1), model(seed)) for seed in range(2, 12)]
    assert max(map(abs, found)) < 0.3
    assert abs(sum(found)) / len(found) < 0.1


def test_a_vector_has_length_one_and_a_tensor_64_bytes() -> None:
    found = sketch(model(1))
    assert len(found.vector) == DIMENSIONS
    assert math.hypot(*found.vector) == pytest.approx(1)
    assert len(found.tensors) == len(SHAPES)
    assert {len(each) for each in found.tensors} == {0, TENSOR_SKETCH_BYTES}


def test_a_large_tensor_does_not_drown_the_rest() -> None:
    """Two models that share nothing but an embedding, which is most of their bytes, are not near."""
    embedding = np.random.default_rng(0).normal(0, 0.02, (4_000, 64)).astype(np.float32)
    one, other = ([embedding, *model(seed)[1:]] for seed in (1, 2))
    assert cosine(one, other) < 0.4


def test_one_more_tensor_leaves_models_near() -> None:
    head = np.random.default_rng(0).normal(0, 0.02, (64, 10)).astype(np.float32)
    assert cosine([*model(1), head], model(1)) > 0.9


def test_names_and_the_order_of_shapes_do_not_matter() -> None:
    by_shape = sorted(model(1), key=lambda tensor: tensor.shape)
    assert cosine(by_shape, model(1)) == pytest.approx(1, abs=1e-6)


def test_the_sample_of_a_tensor_does_not_depend_on_its_type() -> None:
    for shape in ((), (1,), (1_024,), (1_025,), (3, 1_000_003), (0, 5)):
        ranges = {sample_range(TensorSpec(dtype, shape)) for dtype in DTYPES}
        assert len(ranges) == 1
        start, stop = ranges.pop()
        assert 0 <= start <= stop <= math.prod(shape)
        assert stop - start == min(1_024, math.prod(shape))


def test_positions_and_flags_do_not_count() -> None:
    counted = {dtype for dtype in DTYPES if is_sampled(TensorSpec(dtype, (10,)))}
    floats = {dtype for dtype in DTYPES if dtype.startswith(("float", "bfloat", "complex"))}
    assert counted == floats | {"int8", "uint8"}
    assert not is_sampled(TensorSpec("float32", ()))
    assert not is_sampled(TensorSpec("float32", (0,)))


def test_of_many_tensors_the_largest_are_chosen() -> None:
    specs = [TensorSpec("float32", (2 + number % 7,)) for number in range(3_000)]
    specs.append(TensorSpec("int64", (1_000,)))
    chosen = choose_sampled(specs)
    assert len(chosen) == 2_000
    assert chosen == sorted(chosen)
    left = set(range(3_000)).difference(chosen)
    assert max(specs[place].shape for place in left) <= min(specs[place].shape for place in chosen)


def test_a_model_without_numbers_to_compare_has_no_direction() -> None:
    positions = np.arange(512).reshape(1, 512)
    found = sketch([positions, np.zeros((64, 64), np.float32), np.ones(8, bool)])
    assert found.vector == (0.0,) * DIMENSIONS
    assert found.tensors == (b"", b"", b"")
    assert sketch([]).vector == (0.0,) * DIMENSIONS


def test_a_tensor_that_was_not_chosen_counts_for_nothing() -> None:
    with_gap = [sample(tensor) for tensor in model(1)]
    with_gap.append(TensorSample(TensorSpec("float32", (9, 9)), None))
    found = sketch_of(with_gap)
    assert found.vector == sketch(model(1)).vector
    assert found.tensors[-1] == b""


@pytest.mark.parametrize("dtype", [name for name in DTYPES if is_sampled(TensorSpec(name, (8,)))])
def test_every_bit_pattern_gives_finite_numbers(dtype: str) -> None:
    content = np.random.default_rng(0).integers(0, 256, 64 * 64 * DTYPES[dtype].itemsize, np.uint8)
    found = sketch([content.view(DTYPES[dtype]).reshape(64, 64)])
    assert math.hypot(*found.vector) == pytest.approx(1)


def test_tensors_are_compared_by_their_own_sketches() -> None:
    one, other = sketch(model(1)).tensors, sketch(model(2)).tensors
    near = sketch(changed(pruned)).tensors
    assert tensor_similarity(one[0], one[0]) == 1
    assert tensor_similarity(one[0], near[0]) > 0.8
    assert abs(tensor_similarity(one[0], other[0])) < 0.3
    assert tensor_similarity(one[0], b"") == 0
    opposite = sketch([-model(1)[0]]).tensors[0]
    assert tensor_similarity(one[0], opposite) == pytest.approx(-1)
