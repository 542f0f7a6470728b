"""Data types and shapes: which there are, and which are refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.tensor import DTYPES, MAX_TENSOR_BYTES, TensorSpec, dtype_named, name_of_dtype


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_every_type_has_one_name_whatever_its_byte_order(name: str) -> None:
    dtype = dtype_named(name)
    assert name_of_dtype(dtype) == name
    assert name_of_dtype(dtype.newbyteorder(">")) == name
    assert name_of_dtype(dtype.newbyteorder("=")) == name


@pytest.mark.parametrize(
    ("name", "itemsize", "number_bytes"),
    [("bool", 1, 1), ("bfloat16", 2, 2), ("float8_e4m3fn", 1, 1), ("complex64", 8, 4), ("complex128", 16, 8)],
)
def test_a_complex_item_is_two_numbers(name: str, itemsize: int, number_bytes: int) -> None:
    spec = TensorSpec(name, (3, 2))
    assert (spec.itemsize, spec.number_bytes, spec.size_bytes) == (itemsize, number_bytes, 6 * itemsize)


@pytest.mark.parametrize("name", ["", "float33", "f4", "<f4", "object", "str", "x" * 1000])
def test_an_unknown_name_is_refused_and_known_ones_are_told(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="bfloat16") as caught:
        TensorSpec(name, ())
    assert caught.value.reason is ErrorReason.UNKNOWN_DTYPE
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype(object),
        np.dtype("U3"),
        np.dtype("M8[s]"),
        np.dtype("i4,f4"),
        np.dtype(ml_dtypes.int4),
        np.dtype("g"),
    ],
)
def test_a_type_that_cannot_be_stored_is_refused(dtype: np.dtype[np.generic]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        name_of_dtype(dtype)
    assert caught.value.reason is ErrorReason.UNKNOWN_DTYPE


@pytest.mark.parametrize(
    "shape",
    [(-1,), (1,) * 33, (2**63,), (MAX_TENSOR_BYTES,), (2**32, 2**32), (1.0,), (True,), ("3",), (None,)],
)
def test_a_shape_that_cannot_be_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        TensorSpec("float32", shape)
    assert caught.value.reason is ErrorReason.SHAPE_MISMATCH


def test_an_empty_tensor_may_have_long_axes() -> None:
    assert TensorSpec("float32", (2**62, 0)).size_bytes == 0
