from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mgit.frameworks.arrays import read_arrays
from mgit.frameworks.detection import open_source
from mgit.frameworks.source import Source
from mgit_core.chunking import chunk_ranges
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.tensor import DTYPES


def content_of(source: Source, position: int = 0) -> bytes:
    parameter = source.parameters[position]
    ranges = chunk_ranges(parameter.spec)
    return b"".join(bytes(parameter.content.read(start, stop)) for start, stop in ranges)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)])
def test_every_type_and_shape_gives_its_bytes(dtype: str, shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape)) * DTYPES[dtype].itemsize
    raw = np.random.default_rng(0).integers(0, 2, size, np.uint8)
    array = np.frombuffer(raw.tobytes(), DTYPES[dtype]).reshape(shape)
    source = read_arrays({"a": array})
    assert source.parameters[0].spec.dtype == dtype
    assert source.parameters[0].spec.shape == shape
    assert content_of(source) == array.tobytes()


@pytest.mark.parametrize("order", [">", "<", "="])
def test_bytes_are_little_endian_whatever_the_array_is(order: str) -> None:
    array = np.arange(12, dtype=np.dtype(np.float32).newbyteorder(order)).reshape(3, 4)
    assert content_of(read_arrays({"a": array})) == np.arange(12, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array.T,
        lambda array: array[::-1],
        lambda array: array[:, ::3],
        np.asfortranarray,
        lambda array: np.broadcast_to(array[0], (2000, 600)),
    ],
)
def test_strides_do_not_matter(view: object) -> None:
    array = np.arange(1000 * 600, dtype=np.float32).reshape(1000, 600)
    shown = view(array)  # type: ignore[operator]
    assert content_of(read_arrays({"a": shown})) == shown.tobytes()


def test_a_big_endian_transposed_bfloat16_sized_array_is_read_in_chunks() -> None:
    array = np.arange(700 * 900, dtype=">u2").reshape(700, 900).T
    source = read_arrays({"a": array})
    assert sum(1 for _ in chunk_ranges(source.parameters[0].spec)) > 1
    assert content_of(source) == array.astype("<u2").tobytes()


def test_nan_payloads_and_negative_zero_survive() -> None:
    bits = np.array([0x7FC0_0001, 0xFFC1_2345, 0x8000_0000, 0x0000_0001], np.uint32)
    assert content_of(read_arrays({"a": bits.view(np.float32)})) == bits.tobytes()


def test_names_that_show_one_memory_are_tied() -> None:
    array = np.arange(6, dtype=np.float32)
    other = array.copy()
    assert read_arrays({"a": array, "b": other, "c": array}).ties == (("a", "c"),)


def test_a_view_of_another_shape_or_part_is_no_tie() -> None:
    array = np.arange(6, dtype=np.float32)
    assert read_arrays({"a": array, "b": array.reshape(2, 3), "c": array[:3]}).ties == ()


def test_empty_arrays_are_no_tie() -> None:
    array = np.zeros(0, np.float32)
    assert read_arrays({"a": array, "b": array}).ties == ()


@pytest.mark.parametrize(
    "array",
    [
        np.array(["text"]),
        np.array([object()]),
        np.array([1], "datetime64[s]"),
        np.array([1], np.longdouble),
        np.zeros(1, [("field", np.int8)]),
        np.zeros(1, ml_dtypes.int4),
    ],
)
def test_a_type_that_cannot_be_stored_is_refused_with_its_name(array: np.ndarray) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_arrays({"weights": array})
    assert caught.value.reason is ErrorReason.UNKNOWN_DTYPE
    assert caught.value.details["parameter"] == "weights"


@pytest.mark.parametrize("source", [3, None, [np.zeros(1)], {1: np.zeros(1)}, object()])
def test_what_is_no_model_is_refused(source: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(source)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT
