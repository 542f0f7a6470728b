from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mgit.chunks import ChunkPlan
from mgit.cutting import cut_source
from mgit.frameworks.arrays import read_arrays
from mgit.tensors import LazyTensor, Tensors
from mgit_core.digest import Digest, DigestAlgorithm


class CountingReader:
    """Chunks in memory, and which of them were asked for."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        cut = cut_source(read_arrays(arrays), DigestAlgorithm.BLAKE3)
        self.manifest = cut.manifest
        self.asked: list[Digest] = []
        self._chunks = {
            digest: bytes(place.content.read(place.start, place.stop))
            for digest, place in cut.locations.items()
        }

    def fetch(self, plan: ChunkPlan) -> None:
        for digest, size_bytes in plan.sizes.items():
            assert size_bytes == len(self._chunks[digest])
            self.asked.append(digest)
            plan.deliver(digest, self._chunks[digest])


def lazy(array: np.ndarray) -> tuple[LazyTensor, CountingReader]:
    reader = CountingReader({"w": array})
    return Tensors(reader.manifest, reader)["w"], reader


# Three chunks along the first axis: 400 rows of 2,500 bytes are just below 1 MiB.
ROWS = np.arange(1200 * 625, dtype=np.float32).reshape(1200, 625)


@st.composite
def indexed_arrays(draw: st.DrawFn) -> tuple[np.ndarray, Any]:
    shape = draw(npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    return array, draw(npst.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))


@pytest.mark.slow
@given(indexed_arrays())
@settings(max_examples=200, deadline=None)
def test_an_index_gives_what_numpy_gives(case: tuple[np.ndarray, Any]) -> None:
    array, index = case
    tensor, _ = lazy(array)
    found, wanted = tensor[index], array[index]
    assert type(found) is type(wanted)
    assert np.shape(found) == np.shape(wanted)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("index", "chunks"),
    [
        (0, [0]),
        (-1, [2]),
        (np.int64(500), [1]),
        (slice(None, 16), [0]),
        (slice(400, 430), [0, 1]),
        ((slice(None), 3), [0, 1, 2]),
        (slice(1199, 1100, -7), [2]),
        (slice(5, 5), []),
        ((Ellipsis, None), [0, 1, 2]),
        ([1, 700], [0, 1, 2]),
        (ROWS[:, 0] < 0, [0, 1, 2]),
    ],
)
def test_only_chunks_that_an_index_touches_are_fetched(index: Any, chunks: list[int]) -> None:
    tensor, reader = lazy(ROWS)
    assert np.array_equal(tensor[index], ROWS[index])
    assert reader.asked == [reader.manifest.parameters[0].chunks[position] for position in chunks]


def test_chunks_that_are_cut_on_two_axes_come_together() -> None:
    array = np.arange(3 * 2000 * 400, dtype=np.int16).reshape(3, 2000, 400)
    tensor, reader = lazy(array)
    assert len(reader.manifest.parameters[0].chunks) == 6
    assert np.array_equal(tensor[1:, 1300:1320, ::50], array[1:, 1300:1320, ::50])
    assert len(reader.asked) == 4


@pytest.mark.parametrize("index", [1200, -1201, (0, 625), (0, 0, 0), (Ellipsis, Ellipsis), 1.5, "a"])
def test_an_index_that_numpy_refuses_is_refused(index: Any) -> None:
    tensor, _ = lazy(ROWS)
    with pytest.raises(IndexError):
        tensor[index]


def test_a_scalar_is_indexed_like_one() -> None:
    tensor, _ = lazy(np.array(2.5, ml_dtypes.bfloat16))
    assert tensor[()] == 2.5
    assert np.asarray(tensor).shape == ()
    with pytest.raises(TypeError):
        len(tensor)


def test_an_empty_tensor_needs_no_chunk() -> None:
    tensor, reader = lazy(np.zeros((3, 0, 2), np.uint8))
    assert tensor[1:].shape == (2, 0, 2)
    assert reader.asked == []


def test_a_tensor_says_what_it_is_without_fetching() -> None:
    tensor, reader = lazy(ROWS)
    assert (tensor.name, tensor.dtype, tensor.shape, tensor.ndim) == ("w", np.float32, (1200, 625), 2)
    assert (len(tensor), tensor.size, tensor.size_bytes) == (1200, 750_000, 3_000_000)
    assert tensor.digest == reader.manifest.parameters[0].digest.hex()
    assert repr(tensor) == "<tensor 'w' float32 (1200, 625), 3000000 bytes>"
    assert reader.asked == []


def test_numpy_takes_a_tensor_as_an_array_in_another_type_too() -> None:
    tensor, _ = lazy(ROWS)
    assert np.array_equal(np.asarray(tensor), ROWS)
    assert np.asarray(tensor, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.array(tensor, copy=False)


def test_tensors_come_by_name_in_the_models_order() -> None:
    reader = CountingReader({name: np.zeros(1) for name in "zyxw"})
    tensors = Tensors(reader.manifest, reader)
    assert list(tensors) == ["z", "y", "x", "w"]
    assert "y" in tensors
    assert "v" not in tensors
    with pytest.raises(KeyError):
        tensors["v"]
    assert repr(tensors) == "<4 tensors: z, y, x, …>"
