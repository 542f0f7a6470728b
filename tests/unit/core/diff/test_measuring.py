"""How much tensors differ: against numpy on whole arrays, and what no array of floats should do."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.diff.gauging import measure, spec_of

from mgit_core.diff.measuring import WINDOW_ITEMS, common_items, window_starts
from mgit_core.tensor import AnyArray

FLOATS = st.floats(-1e3, 1e3, width=32)


def normal(seed: int, *shape: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(shape)


@given(st.lists(FLOATS, min_size=35, max_size=35), st.lists(FLOATS, min_size=35, max_size=35))
@settings(max_examples=12, deadline=None)
def test_measures_agree_with_whole_arrays(numbers: list[float], others: list[float]) -> None:
    before, after = (np.array(each, np.float32).reshape(7, 5) for each in (numbers, others))
    found = measure(before, after)
    one, other = before.astype(np.float64), after.astype(np.float64)
    assert found.compared == 35
    assert found.differing == np.count_nonzero(before.view(np.uint32) != after.view(np.uint32))
    assert found.change_norm == pytest.approx(np.linalg.norm(other - one), rel=1e-12)
    assert found.before_norm == pytest.approx(np.linalg.norm(one), rel=1e-12)
    assert found.largest == np.abs(other - one).max()
    if found.before_norm and found.after_norm:
        wanted = (one.ravel() @ other.ravel()) / (np.linalg.norm(one) * np.linalg.norm(other))
        assert found.cosine == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64", "int16"])
def test_measures_are_mirrored(dtype: str) -> None:
    before, after = (normal(seed, 900, 400, scale=9).astype(np.float32).astype(dtype) for seed in (1, 2))
    assert measure(after, before) == measure(before, after).mirrored()
    wide = before.astype(np.complex128 if dtype == "complex64" else np.float64)
    assert measure(after, wide) == measure(wide, after).mirrored()


def test_measures_of_many_windows_agree_with_whole_arrays() -> None:
    """Windows end within the tensor, the last one is short, and some of them are equal."""
    before = normal(1, 3_000, 700).astype(np.float32)
    after = before.copy()
    after[400:1_900] += normal(2, 1_500, 700, scale=1e-3).astype(np.float32)
    found = measure(before, after)
    one, other = before.astype(np.float64), after.astype(np.float64)
    assert found.differing == np.count_nonzero(before != after)
    assert found.change_norm == pytest.approx(np.linalg.norm(other - one), rel=1e-12)
    assert (found.before_norm, found.after_norm) == pytest.approx(
        (np.linalg.norm(one), np.linalg.norm(other)), rel=1e-12
    )
    assert (found.rank, found.rank_is_bound) == (64, True)


def test_the_order_of_windows_and_which_are_called_equal_do_not_matter() -> None:
    """What is read ahead, and which chunks two tensors happen to share, changes no measure."""
    before = normal(1, 2_000, 700).astype(np.float32)
    before[1_999, 7] = np.nan
    after = before.copy()
    after[900:950] += (normal(2, 50, 3) @ normal(3, 3, 700)).astype(np.float32)
    expected = measure(before, after)
    assert (expected.rank, expected.not_finite) == (3, 1)
    for found in (
        measure(before, after, is_backwards=True),
        measure(before, after, tells_equal=False),
        measure(before, after, is_backwards=True, tells_equal=False),
    ):
        assert (found.differing, found.not_finite, found.largest, found.rank, found.rank_is_bound) == (
            expected.differing,
            expected.not_finite,
            expected.largest,
            3,
            False,
        )
        assert (found.before_norm, found.after_norm, found.change_norm, found.cosine) == pytest.approx(
            (expected.before_norm, expected.after_norm, expected.change_norm, expected.cosine), rel=1e-12
        )


@pytest.mark.parametrize("rank", [1, 3, 16, 60, 64])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_change_in_few_dimensions_tells_their_number(rank: int, dtype: str) -> None:
    before = normal(rank, 500, 300, scale=0.05).astype(dtype)
    change = normal(7, 500, rank, scale=0.2) @ normal(8, rank, 300, scale=0.2)
    found = measure(before, (before.astype(np.float64) + change).astype(dtype))
    assert (found.rank, found.rank_is_bound) == (rank, False)


def test_more_dimensions_than_are_told_are_a_bound() -> None:
    before = normal(1, 500, 300).astype(np.float32)
    change = normal(7, 500, 70) @ normal(8, 70, 300)
    found = measure(before, (before + change).astype(np.float32))
    assert (found.rank, found.rank_is_bound) == (64, True)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("scale", [1e-4, 1e-3, 1e-2])
def test_training_is_no_change_in_few_dimensions(dtype: str, scale: float) -> None:
    """Also where most of it is lost in rounding, what is left is more than rounding makes."""
    before = normal(1, 768, 768, scale=0.03).astype(dtype)
    after = (before.astype(np.float64) + normal(2, 768, 768, scale=scale)).astype(dtype)
    assert (measure(before, after).rank, measure(before, after).rank_is_bound) == (64, True)


@pytest.mark.parametrize(("rows", "columns"), [(40, 300), (300, 40), (5, 5), (2, 900)])
def test_a_small_matrix_has_its_whole_rank_for_certain(rows: int, columns: int) -> None:
    before, after = normal(1, rows, columns), normal(2, rows, columns)
    found = measure(before, after)
    assert (found.rank, found.rank_is_bound) == (min(rows, columns), False)


def test_a_cast_alone_has_no_rank() -> None:
    before = normal(1, 400, 300, scale=0.05).astype(np.float32)
    for dtype in ("float16", "bfloat16"):
        found = measure(before, before.astype(dtype))
        assert found.rank == 0
        assert found.differing > 0.9 * before.size
    exact = before.astype(np.float16)
    assert measure(exact, exact.astype(np.float32)).differing == 0


def test_rows_that_were_added_leave_the_common_ones_to_compare() -> None:
    before = normal(1, 100, 8).astype(np.float32)
    after = np.concatenate([before, normal(2, 3, 8).astype(np.float32)])
    found = measure(before, after)
    assert (found.compared, found.differing, found.change_norm) == (800, 0, 0.0)
    assert common_items(spec_of(before), spec_of(after[:, :4])) == 0
    assert common_items(spec_of(before), spec_of(before.reshape(-1))) == 0


def test_three_changed_rows_have_rank_three() -> None:
    before = normal(1, 4_000, 128).astype(np.float32)
    after = before.copy()
    after[[5, 1_000, 3_999]] += normal(2, 3, 128).astype(np.float32)
    assert measure(before, after).rank == 3


def test_numbers_that_are_none_count_apart() -> None:
    before = np.array([1.0, np.nan, np.inf, 4.0, np.nan], np.float32)
    after = np.array([1.0, np.nan, 3.0, 2.0, 5.0], np.float32)
    found = measure(before, after)
    assert (found.not_finite, found.differing) == (3, 3)
    assert (found.change_norm, found.largest) == (2.0, 2.0)
    assert math.isfinite(found.before_norm)
    same = measure(before, before)
    assert (same.not_finite, same.differing) == (3, 0)


def test_zeros_of_a_pruned_tensor_are_counted() -> None:
    before = normal(1, 64, 64).astype(np.float32)
    after = np.where(np.abs(before) > 0.5, before, 0).astype(np.float32)
    found = measure(before, after)
    assert (found.before_zeros, found.after_zeros) == (0, int(np.count_nonzero(after == 0)))


def test_zero_before_leaves_no_relative_change() -> None:
    zero, one = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    assert measure(zero, one).relative is None
    assert measure(zero, one).cosine is None
    assert measure(one, zero).relative == 1.0
    assert measure(zero, -zero).relative == 0.0
    assert measure(zero, -zero).differing == 16


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-320])
def test_numbers_whose_squares_leave_the_range_are_measured(size: float) -> None:
    before = np.full((3, 3), size)
    found = measure(before, 3 * before)
    assert found.before_norm == pytest.approx(3 * size)
    assert found.relative == pytest.approx(2.0)


def test_the_largest_numbers_there_are_end_in_no_error() -> None:
    before = np.full((3, 3), np.finfo(np.float64).max)
    found = measure(before, -before)
    assert found.relative is None
    assert found.rank is None


@pytest.mark.parametrize(
    "dtype",
    [
        *("bool", "int8", "uint8", "int64", "uint64", "complex64", "complex128", "bfloat16"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
    ],
)
def test_every_data_type_is_measured(dtype: str) -> None:
    kind = getattr(ml_dtypes, dtype, None)
    before = np.array([[0.5, 1], [1, 2]]).astype(kind or dtype)
    after = np.array([[0.5, 1], [2, 1]]).astype(kind or dtype)
    found = measure(before, after)
    numbers = 2 if dtype.startswith("complex") else 1
    assert found.compared == 4 * numbers
    assert found.differing == (0 if dtype == "bool" else 2)
    assert found.change_norm == pytest.approx(0 if dtype == "bool" else math.sqrt(2))


def test_tensors_without_items_or_axes_are_measured() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert measure(empty, empty).compared == 0
    assert measure(np.zeros(0, np.float32), np.zeros(0, np.float32)).change_norm == 0
    assert measure(np.array(1.0), np.array(3.0)).change_norm == 2.0


@pytest.mark.parametrize("shape", [(7,), (10, 100_000), (3, 300_000), (5, 0), (2, 3, 4), (600_000, 1)])
def test_windows_are_whole_rows_where_rows_fit(shape: tuple[int, ...]) -> None:
    spec = spec_of(np.broadcast_to(np.float32(0), shape))
    items = math.prod(shape)
    starts = window_starts(spec, items)
    assert list(starts) == sorted(set(starts))
    ends = [*starts[1:], items]
    assert all(0 < end - start <= WINDOW_ITEMS for start, end in zip(starts, ends, strict=False))
    columns = math.prod(shape[1:])
    assert columns > WINDOW_ITEMS or not any(start % columns for start in starts)


def test_a_row_longer_than_a_window_is_measured_without_a_rank() -> None:
    before: AnyArray = normal(1, 2, 300_000).astype(np.float32)
    after = before.copy()
    after[1, 299_999] += 1
    found = measure(before, after)
    assert (found.differing, found.rank) == (1, None)
