"""What the built-in tests measure, against numpy over the whole arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit.frameworks.arrays import read_arrays
from mgit.lossy.weights import GuardedModel
from mgit.running.built_ins import BUILT_INS
from mgit.running.measures import Measured, measure_built_in
from mgit.running.weights import SourceWeights, Weights
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError

Arrays = Mapping[str, np.ndarray]
NAN, INF = float("nan"), float("inf")
LARGE = np.random.default_rng(0).standard_normal((3000, 2000)).astype(np.float32)  # 24 MB, in two windows.


def measure(
    name: str,
    arrays: Arrays,
    reference: Arrays | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    inputs: Path | None = None,
    **arguments: str,
) -> float | bool:
    def open_reference(found: str) -> tuple[object, Weights]:
        assert found == "other"
        assert reference is not None
        source = read_arrays(dict(reference))
        return GuardedModel(source), SourceWeights(source, {})

    source = read_arrays(dict(arrays))
    measured = Measured(
        model=GuardedModel(source),
        weights=SourceWeights(source, metadata or {}),
        arguments=arguments | ({} if reference is None else {"reference": "other"}),
        inputs=inputs,
        open_reference=open_reference,
    )
    return measure_built_in(name, measured)


def test_every_built_in_test_measures_something() -> None:
    arrays = {"w": np.ones(4, np.float32)}
    for name in BUILT_INS:
        assert isinstance(measure(name, arrays, arrays), float | bool)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.complex64, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2]
)
def test_weights_that_are_not_finite_are_counted(dtype: Any) -> None:
    array = np.array([1, NAN, INF, -INF, 0]).astype(dtype)
    assert measure("finite", {"a": array, "whole": np.arange(5), "b": array[:2]}) == 4.0


def test_a_model_without_weights_is_finite() -> None:
    assert (
        measure("finite", {"none": np.empty((0, 3), np.float32), "one": np.float32(1.0).reshape(())}) == 0.0
    )


def test_the_last_weight_of_a_large_model_is_seen() -> None:
    array = LARGE.copy()
    array[-1, -1] = NAN
    assert measure("finite", {"w": array}) == 1.0
    assert measure("finite", {"w": LARGE}) == 0.0


@pytest.mark.parametrize(
    ("values", "half", "brain"),
    [
        ([65504.0, 65519.9, -65519.9], 0, 0),
        ([65520.0, -1e5, 1e30], 3, 0),
        ([3.4e38, 1.0], 1, 1),
        ([NAN, INF, 0.0], 2, 2),
    ],
)
def test_what_overflows_in_half_precision_is_counted(values: list[float], half: int, brain: int) -> None:
    arrays = {"w": np.array(values, np.float32), "whole": np.array([100_000])}
    assert measure("finite-in-half", arrays) == half
    assert measure("finite-in-half", arrays, dtype="bfloat16") == brain


def test_parts_of_complex_numbers_are_cast_each() -> None:
    array = np.array([1e6 + 1j, 1e6 + 1e6j, 1 + 1j], np.complex64)
    assert measure("finite-in-half", {"w": array}) == 3.0


def test_names_choose_what_is_measured() -> None:
    arrays = {"a.weight": np.array([NAN]), "b.weight": np.array([1.0]), "a.bias": np.array([NAN, NAN])}
    assert measure("finite", arrays, tensors="*.weight") == 1.0
    assert measure("finite", arrays, tensors="a.*") == 3.0
    with pytest.raises(NotFoundError) as caught:
        measure("finite", arrays, tensors="none*")
    assert caught.value.reason is ErrorReason.TENSOR_NOT_FOUND


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, NAN, -2.5]), min_size=1, max_size=50))
def test_the_share_of_zeros_is_that_of_numpy(values: list[float]) -> None:
    array = np.array(values)
    assert measure("sparsity", {"w": array, "n": np.array([0, 1])}) == (np.sum(array == 0) + 1) / (
        len(values) + 2
    )


def test_a_claim_is_taken_off() -> None:
    arrays = {"w": np.array([0.0, 0.0, 0.0, 1.0])}
    assert measure("sparsity", arrays) == 0.75
    assert measure("sparsity", arrays, metadata={"pruned": 0.7}, claim="pruned") == pytest.approx(0.05)
    assert measure("sparsity", arrays, metadata={}, claim="pruned") == 0.75
    with pytest.raises(InvalidArgumentError, match="a share of zeros"):
        measure("sparsity", arrays, metadata={"pruned": "much"}, claim="pruned")


def test_size_is_that_of_the_tensors() -> None:
    assert measure("size", {"a": np.zeros(3, np.float32), "b": np.zeros((2, 2), np.int8)}) == 16.0


def test_equality_is_of_bytes_names_types_and_shapes() -> None:
    ours = {"w": np.array([0.0, NAN], np.float32), "b": np.ones(2)}
    assert measure("equals", ours, dict(reversed(ours.items()))) is True
    assert measure("equals", {"w": LARGE}, {"w": LARGE.copy()}) is True
    changed = LARGE.copy()
    changed[-1, -1] += 1
    others: list[Arrays] = [
        {"w": changed},
        {"w": LARGE.reshape(-1)},
        {"w": LARGE.view(np.int32)},
        {"w": LARGE, "more": np.ones(1)},
        {"v": LARGE},
    ]
    assert [measure("equals", {"w": LARGE}, other) for other in others] == [False] * 5
    negative = {"w": np.array([-0.0, NAN], np.float32), "b": np.ones(2)}
    assert measure("equals", ours, negative) is False
    assert measure("equals", ours, negative, tensors="b") is True


def test_drift_of_weights_is_the_largest_relative_change() -> None:
    base = {"a": np.full(1000, 2.0, np.float32), "b": np.full(10, 1.0), "left": np.ones(3)}
    moved = {"a": np.full(1000, 2.5, np.float32), "b": np.full(10, 1.1), "new": np.ones(4)}
    assert measure("drift", moved, base) == pytest.approx(0.25)
    assert measure("drift", moved, base, tensors="b") == pytest.approx(0.1)
    assert measure("drift", base, base) == 0.0


def test_drift_compares_types_of_any_width() -> None:
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((1500, 1000))
    narrow = wide.astype(np.float16)
    wanted = np.sqrt(np.sum((narrow.astype(float) - wide) ** 2) / np.sum(wide**2))
    assert measure("drift", {"w": narrow}, {"w": wide}) == pytest.approx(wanted)


def test_drift_from_nothing_or_to_no_number_is_no_number() -> None:
    assert measure("drift", {"w": np.ones(2)}, {"w": np.zeros(2)}) == INF
    assert np.isnan(
        measure("drift", {"w": np.array([1.0, NAN]), "v": np.ones(1)}, {"w": np.ones(2), "v": np.ones(1)})
    )
    with pytest.raises(InvalidArgumentError, match="the two models share none"):
        measure("drift", {"w": np.ones(2)}, {"w": np.ones(3)})


def project(model: GuardedModel, *, inputs: Path) -> dict[str, np.ndarray]:
    """A forward function: what the weights make of the inputs."""
    return {"out": np.load(inputs) @ model["w"], "first": model["w"][0]}


def constant(model: GuardedModel) -> list[float]:
    return [1.0, float(len(model["w"]))]


def test_drift_of_outputs_is_relative_to_the_largest_output(tmp_path: Path) -> None:
    np.save(tmp_path / "inputs.npy", np.eye(2))
    base, moved = {"w": np.array([[1.0, -4.0], [2.0, 0.0]])}, {"w": np.array([[1.0, -4.0], [2.0, 1.0]])}
    forward = f"{__name__}:project"
    inputs = tmp_path / "inputs.npy"
    assert measure("drift", moved, base, forward=forward, inputs=inputs) == 0.25
    assert measure("drift", base, base, forward=forward, inputs=inputs) == 0.0
    assert measure("drift", {"w": np.ones(3)}, {"w": np.ones(4)}, forward=f"{__name__}:constant") == 0.25


def test_outputs_of_other_shapes_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "inputs.npy", np.ones((1, 2)))
    with pytest.raises(InvalidArgumentError, match="outputs of the same shapes"):
        measure(
            "drift",
            {"w": np.ones((2, 2))},
            {"w": np.ones((2, 3))},
            forward=f"{__name__}:project",
            inputs=tmp_path / "inputs.npy",
        )
