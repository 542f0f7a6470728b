from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.inference.blocks import manifest_of

from mgit_core.inference.samples import (
    MOST_ITEMS,
    MOST_TENSORS,
    block_range,
    choose_compared,
    is_comparable,
    numbers_of,
)
from mgit_core.tensor import TensorSpec

SHAPES = st.lists(st.integers(1, 300), min_size=2, max_size=4).map(tuple)


@given(SHAPES, st.integers(1, 5_000))
def test_a_block_lies_in_its_tensor_and_is_bounded(shape: tuple[int, ...], most: int) -> None:
    start, stop = block_range(shape, most)
    assert 0 <= start < stop <= math.prod(shape)
    assert stop - start <= most


@given(SHAPES)
def test_a_block_is_whole_rows_if_a_row_fits(shape: tuple[int, ...]) -> None:
    columns = math.prod(shape[1:])
    start, stop = block_range(shape)
    if columns <= MOST_ITEMS:
        assert start % columns == 0
        assert (stop - start) % columns == 0


def test_a_block_of_a_small_tensor_is_all_of_it() -> None:
    assert block_range((10, 20)) == (0, 200)


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", (64, 64), True),
        ("bfloat16", (8, 3, 3, 3), True),
        ("float8_e4m3fn", (64, 64), True),
        ("int8", (64, 64), False),
        ("bool", (64, 64), False),
        ("float32", (4_096,), False),
        ("float32", (1, 4_096), False),
        ("float32", (2, 2), False),
        ("float32", (0, 64), False),
        ("float32", (), False),
    ],
)
def test_matrices_of_floats_tell_who_a_model_is(
    dtype: str, shape: tuple[int, ...], *, expected: bool
) -> None:
    assert is_comparable(TensorSpec(dtype, shape)) is expected


def test_of_many_matrices_some_are_looked_at_from_the_first_to_the_last() -> None:
    tensors = {f"{number:03}": np.zeros((8, 8), np.float32) for number in range(200)}
    names = [parameter.name for parameter in choose_compared(manifest_of(tensors).parameters)]
    assert len(names) == MOST_TENSORS == len(set(names))
    assert (names[0], names[-1]) == ("000", "199")
    assert names == sorted(names)


def test_what_is_no_number_counts_as_zero() -> None:
    assert numbers_of(np.array([1.5, np.nan, np.inf, -np.inf], np.float16)).tolist() == [1.5, 0, 0, 0]
