"""Weights that are read a part at a time, and models whose arrays cannot be changed."""

from __future__ import annotations

from collections.abc import Mapping

import ml_dtypes
import numpy as np
import pytest
from tests.unit.client.test_tensors import CountingReader

from mgit.frameworks.arrays import read_arrays
from mgit.running.given import _ReadOnlyTensors
from mgit.running.weights import SourceWeights

LARGE = np.arange(6_000_000, dtype=np.float32).reshape(3000, 2000)  # 24 MB: two windows of 16 MiB.
SMALL = {
    "scalar": np.array(3.0),
    "empty": np.empty((0, 4), np.float16),
    "brain": np.ones((7, 3), ml_dtypes.bfloat16),
    "flags": np.array([True, False]),
}


def weights_of(arrays: Mapping[str, np.ndarray]) -> SourceWeights:
    return SourceWeights(read_arrays(dict(arrays)), {"epochs": 3})


@pytest.mark.parametrize("name", SMALL)
def test_the_parts_of_a_parameter_are_its_items_in_order(name: str) -> None:
    parts = list(weights_of(SMALL).blocks(name))
    joined = b"".join(part.tobytes() for part in parts)
    assert joined == SMALL[name].tobytes()
    assert all(part.dtype == SMALL[name].dtype and part.ndim == 1 for part in parts)


def test_a_large_parameter_comes_in_bounded_parts() -> None:
    parts = list(weights_of({"w": LARGE}).blocks("w"))
    assert len(parts) == 2
    assert max(part.nbytes for part in parts) <= 16 << 20
    assert np.array_equal(np.concatenate(parts), LARGE.reshape(-1))


def test_a_transposed_parameter_comes_in_the_order_of_its_items() -> None:
    array = np.arange(12.0).reshape(3, 4).T
    [part] = weights_of({"w": array}).blocks("w")
    assert np.array_equal(part, array.reshape(-1))


def test_what_is_said_of_weights() -> None:
    weights = weights_of(SMALL)
    assert list(weights.specs) == list(SMALL)
    assert weights.specs["brain"].shape == (7, 3)
    assert weights.metadata == {"epochs": 3}
    assert weights.digest("brain") is None


@pytest.fixture
def tensors() -> _ReadOnlyTensors:
    reader = CountingReader({"w": np.arange(12.0).reshape(3, 4)})
    return _ReadOnlyTensors(reader.manifest, reader)


def test_arrays_of_a_given_model_are_read_only(tensors: _ReadOnlyTensors) -> None:
    for array in (tensors["w"][...], tensors["w"][1:], np.asarray(tensors["w"])):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7
    assert tensors["w"][1, 2] == 6.0


def test_a_copy_of_them_belongs_to_who_made_it(tensors: _ReadOnlyTensors) -> None:
    for array in (np.array(tensors["w"]), tensors["w"][...].copy(), tensors["w"][...] * 1):
        array[0] = 7
    assert tensors["w"][0, 0] == 0.0
