"""Chunk rule ``c1`` against a slow reading of its words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.chunking import (
    CHUNK_BYTES,
    chunk_count,
    chunk_keys,
    chunk_ranges,
    chunk_shape,
    chunk_sizes,
    file_chunk_count,
    file_chunk_sizes,
    grid_shape,
)
from mgit_core.tensor import DTYPES, TensorSpec

# Lengths on both sides of the places where the rule decides.
LENGTHS = st.one_of(
    st.integers(0, 5), st.sampled_from([255, 256, 257, 1023, 1024, 1025, 65_536, 262_144, 262_145, 1_048_577])
)
SPECS = st.builds(
    TensorSpec,
    st.sampled_from(sorted(DTYPES)),
    st.lists(LENGTHS, max_size=4).map(tuple).filter(lambda shape: math.prod(shape) <= 1 << 29),
)


def slow_chunk_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The rule, word by word."""
    for axis, length in enumerate(spec.shape):
        step = spec.itemsize * math.prod(spec.shape[axis + 1 :])
        if step <= CHUNK_BYTES:
            rows = min(length, CHUNK_BYTES // step) if step else length
            cut = (1,) * axis + (rows,) + spec.shape[axis + 1 :]
            return tuple(max(1, one) for one in cut)
    return ()


@given(SPECS)
def test_the_grid_is_what_the_rule_says(spec: TensorSpec) -> None:
    if 0 not in spec.shape:
        assert chunk_shape(spec) == slow_chunk_shape(spec)
    assert grid_shape(spec) == tuple(
        math.ceil(length / cut) for length, cut in zip(spec.shape, chunk_shape(spec), strict=True)
    )
    assert all(cut >= 1 for cut in chunk_shape(spec))


@given(SPECS)
def test_chunks_cover_the_bytes_once_and_none_is_long(spec: TensorSpec) -> None:
    if chunk_count(spec) > 20_000:
        return
    position = 0
    for start, stop in chunk_ranges(spec):
        assert start == position
        assert 0 < stop - start <= CHUNK_BYTES
        position = stop
    assert position == spec.size_bytes
    sizes = list(chunk_sizes(spec))
    assert len(sizes) == chunk_count(spec) == len(list(chunk_keys(spec)))


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("float32", (5, 3)),
        ("float64", (3, 131_073)),
        ("uint8", (2, 3, 600_000)),
        ("bfloat16", (1000, 700)),
        ("complex128", (2, 2, 40_000)),
        ("bool", ()),
    ],
)
def test_a_chunk_holds_the_bytes_of_its_cell_of_the_grid(dtype: str, shape: tuple[int, ...]) -> None:
    spec = TensorSpec(dtype, shape)
    content = np.random.default_rng(1).integers(0, 256, spec.size_bytes, np.uint8)
    array = content.view(f"V{spec.itemsize}").reshape(shape)
    raw = content.tobytes()
    cells = list(np.ndindex(grid_shape(spec)))
    assert len(cells) == chunk_count(spec)
    for cell, key, (start, stop) in zip(cells, chunk_keys(spec), chunk_ranges(spec), strict=True):
        assert key == "/".join(["c", *map(str, cell)])
        part = array[
            tuple(slice(at * cut, (at + 1) * cut) for at, cut in zip(cell, chunk_shape(spec), strict=True))
        ]
        assert part.tobytes() == raw[start:stop]


@pytest.mark.parametrize(
    ("dtype", "shape", "chunk", "grid"),
    [
        ("float32", (), (), ()),
        ("float32", (0,), (1,), (0,)),
        ("float32", (3, 0, 2), (3, 1, 2), (1, 0, 1)),
        ("float32", (262_144,), (262_144,), (1,)),
        ("float32", (262_145,), (262_144,), (2,)),
        ("float32", (512, 512), (512, 512), (1, 1)),
        ("float32", (30_522, 384), (682, 384), (45, 1)),
        ("float32", (2, 262_144), (1, 262_144), (2, 1)),
        ("float32", (2, 262_145), (1, 262_144), (2, 2)),
        ("uint8", (3, 1 << 20, 2), (1, 1 << 19, 2), (3, 2, 1)),
        ("float64", (4, 4, 1 << 18), (1, 1, 1 << 17), (4, 4, 2)),
        ("complex128", (1 << 16,), (1 << 16,), (1,)),
    ],
)
def test_known_grids(
    dtype: str, shape: tuple[int, ...], chunk: tuple[int, ...], grid: tuple[int, ...]
) -> None:
    spec = TensorSpec(dtype, shape)
    assert (chunk_shape(spec), grid_shape(spec)) == (chunk, grid)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_a_tensor_without_axes_is_one_chunk_and_an_empty_one_none(dtype: str) -> None:
    assert list(chunk_ranges(TensorSpec(dtype, ()))) == [(0, DTYPES[dtype].itemsize)]
    assert list(chunk_keys(TensorSpec(dtype, ()))) == ["c"]
    for shape in ((0,), (0, 5), (5, 0), (0, 2**40)):
        assert (list(chunk_ranges(TensorSpec(dtype, shape))), list(chunk_keys(TensorSpec(dtype, shape)))) == (
            [],
            [],
        )


def test_two_tensors_of_one_shape_and_item_size_have_the_same_cuts() -> None:
    shape = (7, 300_000)
    assert list(chunk_ranges(TensorSpec("float32", shape))) == list(chunk_ranges(TensorSpec("int32", shape)))


@given(st.integers(0, 1 << 33))
def test_a_file_is_cut_every_mebibyte(size: int) -> None:
    sizes = list(file_chunk_sizes(size))
    assert (sum(sizes), len(sizes)) == (size, file_chunk_count(size))
    assert all(one == CHUNK_BYTES for one in sizes[:-1])


def test_counting_the_chunks_of_a_file_takes_no_time_however_long_it_claims_to_be() -> None:
    assert file_chunk_count(2**62) == 2**42
