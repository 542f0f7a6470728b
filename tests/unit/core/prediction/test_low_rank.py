"""Low rank is seen where it is, and nowhere else; factors are as good as rounding allows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.unit.core.prediction.shelf import normal

from mgit_core.prediction.low_rank import (
    DifferenceBlock,
    Matrix,
    find_factors,
    fit_scale,
    visible_rank,
)


def product(rows: int, columns: int, rank: int, seed: int = 1) -> Matrix:
    return normal((rows, rank), seed).astype(np.float64) @ normal((rank, columns), seed + 1)


def blocks_of(difference: Matrix, exponents: np.ndarray | None = None) -> Iterator[DifferenceBlock]:
    whole = np.zeros(difference.shape, np.int32) if exponents is None else exponents
    for start in range(0, len(difference), 50):
        yield DifferenceBlock(difference[start : start + 50], whole[start : start + 50])


@pytest.mark.parametrize("rank", [1, 8, 32])
def test_a_few_rows_show_a_low_rank(rank: int) -> None:
    noise = normal((64, 200), 3).astype(np.float64) * 1e-4
    assert visible_rank(product(64, 200, rank) + noise) == rank


def test_noise_shows_no_low_rank() -> None:
    assert not visible_rank(normal((64, 200), 4).astype(np.float64))


def test_one_strong_direction_in_noise_is_no_low_rank() -> None:
    difference = normal((64, 200), 4) + 5 * product(64, 200, 1)
    assert not visible_rank(difference.astype(np.float64))


@pytest.mark.parametrize("changed", [0, 3, 15])
def test_few_changed_rows_are_no_low_rank(changed: int) -> None:
    difference = np.zeros((64, 200))
    difference[:changed] = normal((changed, 200), 5)
    assert not visible_rank(difference)


def test_a_difference_that_is_no_number_shows_nothing() -> None:
    difference = product(64, 200, 2)
    difference[3, 3] = np.nan
    assert not visible_rank(difference)
    assert find_factors(lambda: blocks_of(difference), 64, 200, 2) is None


@pytest.mark.parametrize("rank", [1, 8, 40])
def test_factors_give_the_difference(rank: int) -> None:
    difference = product(300, 200, rank)
    factors = find_factors(lambda: blocks_of(difference), 300, 200, rank)
    assert factors is not None
    assert factors.left.shape == (300, rank)
    assert factors.right.shape == (rank, 200)
    found = factors.left.astype(np.float64) @ factors.right
    assert np.abs(found - difference).max() < 1e-5 * np.abs(difference).max()


def test_noise_has_no_factors() -> None:
    difference = normal((300, 200), 6).astype(np.float64)
    assert find_factors(lambda: blocks_of(difference), 300, 200, 8) is None


def test_small_numbers_are_trusted_more() -> None:
    """Large numbers were rounded coarsely: their errors must not get into the prediction of small ones."""
    difference = product(300, 200, 4)
    exponents = np.random.default_rng(7).integers(-8, 1, difference.shape, dtype=np.int32)
    errors = normal(difference.shape, 8) * np.ldexp(0.01, exponents)
    factors = find_factors(lambda: blocks_of(difference + errors, exponents), 300, 200, 4)
    equal = find_factors(lambda: blocks_of(difference + errors), 300, 200, 4)
    assert factors is not None
    assert equal is not None
    is_small = exponents == -8
    missed = [
        np.abs(each.left.astype(np.float64) @ each.right - difference)[is_small].mean()
        for each in (factors, equal)
    ]
    assert missed[0] < missed[1] / 4


def test_factors_are_found_again() -> None:
    difference = product(300, 200, 8)
    first, second = (find_factors(lambda: blocks_of(difference), 300, 200, 8) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.left.tobytes() == second.left.tobytes()


@pytest.mark.parametrize(("difference", "scale"), [(2.0, 2.0), (0.0, None), (np.inf, None)])
def test_a_scale_is_fitted_where_there_is_one(difference: float, scale: float | None) -> None:
    one = np.ones((4, 4))
    with np.errstate(invalid="ignore"):
        assert fit_scale(one * difference, one) == scale


def test_a_product_of_zeros_has_no_scale() -> None:
    assert fit_scale(np.ones((4, 4)), np.zeros((4, 4))) is None


def test_a_rank_larger_than_expected_has_no_factors() -> None:
    difference = product(300, 200, 30)
    assert find_factors(lambda: blocks_of(difference), 300, 200, 8) is None
