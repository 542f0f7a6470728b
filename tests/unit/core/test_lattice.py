"""Laws of guarded loss on one tensor."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mgit_core.coding.numbers import format_of_dtype
from mgit_core.coding.predictors.lattice import complete, make_hint, predict
from mgit_core.lattice import (
    Change,
    Errors,
    measure_change,
    measure_errors,
    move_to_lattice,
    step_of_change,
    step_of_epsilon,
)

TYPES = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
# The spacing of numbers beside 1: rounding moves a number by half of it at most, relative to its size.
SPACING = {"float32": 2**-23, "float16": 2**-10, "bfloat16": 2**-7}
SMALLEST = {"float32": 2**-149, "float16": 2**-24, "bfloat16": 2**-133}
NUMBERS = st.one_of(
    st.floats(-4, 4, width=32), st.sampled_from([0.0, -0.0, 1.0, 1e-3, 2**-14, 6e-8, 1e-40, -65504.0])
)
KS = st.sampled_from([0.25, 0.5, 1, 2, 4])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, np.ndarray, np.ndarray]:
    """A type, weights and a base; some weights are the base's."""
    name = draw(st.sampled_from(sorted(TYPES)))
    wide = draw(hnp.arrays(np.float64, (2, 32), elements=NUMBERS))
    base, weights = wide.astype(TYPES[name])
    kept = draw(hnp.arrays(np.bool_, 32))
    return name, np.where(kept, base, weights), base


@given(pairs(), KS)
def test_zeros_and_unchanged_weights_keep_their_bits(
    pair: tuple[str, np.ndarray, np.ndarray], k: float
) -> None:
    _, weights, base = pair
    step = step_of_change(measure_change(weights, base), k)
    if step is None:
        return
    moved = move_to_lattice(weights, base, step)
    bits = f"u{weights.dtype.itemsize}"
    kept = (weights == 0) | (weights == base)
    assert np.array_equal(weights.view(bits)[kept], moved.view(bits)[kept])


@given(pairs(), KS)
def test_no_weight_moves_by_more_than_half_a_step_and_one_rounding(
    pair: tuple[str, np.ndarray, np.ndarray], k: float
) -> None:
    name, weights, base = pair
    step = step_of_change(measure_change(weights, base), k)
    if step is None:
        return
    moved = move_to_lattice(weights, base, step).astype(np.float64)
    wide = weights.astype(np.float64)
    rounding = np.maximum(SPACING[name] * (np.abs(wide) + step), SMALLEST[name])
    assert np.all(np.abs(moved - wide) <= step / 2 * (1 + 1e-12) + rounding)


@given(pairs(), KS)
def test_a_moved_tensor_stays_where_it_is(pair: tuple[str, np.ndarray, np.ndarray], k: float) -> None:
    name, weights, base = pair
    step = step_of_change(measure_change(weights, base), k)
    # Where the step is no wider than the spacing of the numbers, rounding alone decides.
    if step is None or step < 4 * SPACING[name] * float(np.abs(weights.astype(np.float64)).max() + step):
        return
    moved = move_to_lattice(weights, base, step)
    assert move_to_lattice(moved, base, step).tobytes() == moved.tobytes()


@given(pairs(), KS, st.integers(1, 31))
def test_blocks_of_a_tensor_are_independent(
    pair: tuple[str, np.ndarray, np.ndarray], k: float, cut: int
) -> None:
    _, weights, base = pair
    whole = measure_change(weights, base)
    parts = measure_change(weights[:cut], base[:cut]) + measure_change(weights[cut:], base[cut:])
    assert (parts.count, parts.largest, parts.is_finite) == (whole.count, whole.largest, whole.is_finite)
    assert parts.rms == pytest.approx(whole.rms)
    step = step_of_change(whole, k)
    if step is None:
        return
    moved = [move_to_lattice(weights[part], base[part], step) for part in (slice(cut), slice(cut, None))]
    assert np.concatenate(moved).tobytes() == move_to_lattice(weights, base, step).tobytes()


def test_errors_do_not_add_up_along_a_chain() -> None:
    rng = np.random.default_rng(3)
    original = stored = rng.standard_normal(4096).astype(np.float32)
    for _ in range(20):
        original = (original + rng.standard_normal(4096).astype(np.float32) * 1e-3).astype(np.float32)
        step = step_of_change(measure_change(original, stored), 2)
        assert step is not None
        stored = move_to_lattice(original, stored, step)
        assert measure_errors(original, stored).largest <= step / 2 + 1e-6


def test_the_step_is_k_times_the_root_mean_square_of_what_changed() -> None:
    base = np.ones(8, np.float32)
    weights = np.array([1, 1, 1, 1, 1, 0, 1.5, 0.5], np.float32)
    change = measure_change(weights, base)
    assert change == Change(count=2, square_sum=0.5, largest=0.5)
    assert step_of_change(change, 2) == 1.0


def test_the_step_of_epsilon_is_the_one_of_the_paper() -> None:
    change = Change(count=1, square_sum=1.0, largest=1.0)
    assert step_of_epsilon(change, 1e-4) == float(np.float32(2 * math.log(1 + 1e-4)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["weights", "base", "both"])
def test_a_tensor_with_a_number_that_is_none_stays_exact(value: float, place: str) -> None:
    weights, base = np.arange(4, dtype=np.float32), np.ones(4, np.float32)
    if place != "base":
        weights[2] = value
    if place != "weights":
        base[2] = value
    change = measure_change(weights, base)
    assert not change.is_finite
    assert step_of_change(change, 2) is None


def test_a_tensor_without_a_change_has_no_step() -> None:
    weights = np.array([1.0, 0.0, -0.0], np.float32)
    change = measure_change(weights, np.array([1.0, 3.0, 0.0], np.float32))
    assert change == Change()
    assert (change.rms, step_of_change(change, 2)) == (0.0, None)
    assert measure_change(np.empty(0, np.float32), np.empty(0, np.float32)) == Change()


def test_a_step_too_small_for_a_float_or_for_the_counts_leaves_a_tensor_exact() -> None:
    tiny = Change(count=1, square_sum=1e-84, largest=1e-42)
    assert step_of_change(tiny, 2) is None
    assert step_of_change(Change(count=1, square_sum=1e80, largest=1e40), 2) is None
    assert step_of_epsilon(Change(count=1, square_sum=1e20, largest=1e10), 1e-4) is None


def test_a_weight_that_would_become_infinite_stays() -> None:
    largest = float(np.finfo(np.float16).max)
    weights = np.array([largest, 1.0], np.float16)
    base = np.array([largest - 1024, 0.5], np.float16)
    moved = move_to_lattice(weights, base, 1600.0)
    assert moved[0] == largest


def test_errors_of_parts_add_up() -> None:
    weights, moved = np.array([1, 2], np.float32), np.array([1.5, 1], np.float32)
    assert measure_errors(weights, moved) == Errors(largest=1.0, square_sum=1.25)
    assert measure_errors(weights, moved) + Errors(largest=2.0, square_sum=4.0) == Errors(
        largest=2.0, square_sum=5.25
    )


@given(pairs(), KS)
def test_the_store_needs_no_residue_for_a_moved_tensor(
    pair: tuple[str, np.ndarray, np.ndarray], k: float
) -> None:
    """Weights that are zero where the base is not are the mask's business, so there are none here."""
    name, weights, base = pair
    weights = np.where(weights == 0, base, weights)
    step = step_of_change(measure_change(weights, base), k)
    if step is None or step < 4 * SPACING[name] * float(np.abs(weights.astype(np.float64)).max() + step):
        return
    moved = move_to_lattice(weights, base, step)
    numbers = format_of_dtype(name)
    parameters = complete(make_hint(numbers, step), moved.tobytes(), [base.tobytes()])
    assert parameters is not None
    assert predict(parameters, [base.tobytes()], moved.nbytes).tobytes() == moved.tobytes()
