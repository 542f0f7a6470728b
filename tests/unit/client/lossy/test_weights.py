"""The model that a guard gets."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from mgit.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit.frameworks.arrays import read_arrays
from mgit.lossy.weights import GuardedModel

ARRAYS = {
    "large": np.arange(700_000, dtype=np.float32).reshape(700, 1000),
    "brain": np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3)[:, ::-1],
    "one": np.array(7),
    "none": np.empty((0, 3), np.float16),
}


@pytest.fixture
def model() -> GuardedModel:
    return GuardedModel(read_arrays(ARRAYS))


def test_a_guard_gets_every_array_as_it_is(model: GuardedModel) -> None:
    assert list(model) == list(ARRAYS)
    for name, array in model.items():
        assert (array.dtype, array.shape) == (ARRAYS[name].dtype, ARRAYS[name].shape)
        assert array.tobytes() == ARRAYS[name].tobytes()


def test_each_array_belongs_to_the_guard(model: GuardedModel) -> None:
    model["large"][:] = 0
    assert model["large"][0, 1] == 1.0


def test_it_loads_as_a_model_of_a_repository_does(model: GuardedModel) -> None:
    assert list(model.load()) == list(ARRAYS)
    assert list(model.load(tensors=["*n*"])) == ["brain", "one", "none"]
    assert model.tensors["one"][...] == 7
    state = model.load("torch", tensors=["brain"])
    assert (state["brain"].dtype, state["brain"][0].tolist()) == (torch.bfloat16, [2.0, 1.0, 0.0])


def test_what_does_not_load_is_told(model: GuardedModel) -> None:
    with pytest.raises(NotFoundError) as missing:
        model.load(tensors=["absent"])
    assert missing.value.reason == ErrorReason.TENSOR_NOT_FOUND
    with pytest.raises(InvalidArgumentError):
        model.load("jax")  # type: ignore[call-overload] # what is tested
