from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from tests.unit.core.inference.blocks import body, moved, sampled

from mgit_core.inference.distances import (
    common_tensors,
    cosine,
    measure,
    rounding_noise,
)
from mgit_core.inference.samples import SampledModel


def test_a_model_is_at_no_distance_from_itself_and_strangers_are_far() -> None:
    own = sampled(body(1))
    distances = measure(own, [own, sampled(body(2))], list(own.blocks))
    assert distances.to_model(0) == 0
    assert distances.to_model(1) == pytest.approx(2, abs=0.8)


def test_the_table_gives_the_distances_between_relatives_too() -> None:
    base = body(1)
    first, second = moved(base, 2), moved(base, 3)
    names = list(base)
    distances = measure(sampled(base), [sampled(first), sampled(second)], names)
    wanted = np.mean(
        [np.sum((first[name] - second[name]) ** 2.0) / np.sum(base[name] ** 2.0) for name in names]
    )
    assert distances.between(0, 1) == pytest.approx(wanted, rel=1e-4)
    assert distances.between(0, 0) == 0


def test_a_corner_is_right_where_training_went_on_and_sharp_among_siblings() -> None:
    base = body(1)
    first = moved(base, 2)
    names = list(base)
    chain = measure(sampled(moved(first, 3)), [sampled(base), sampled(first)], names)
    assert abs(chain.corner(1, 0)) < 0.1 * chain.to_model(1)
    siblings = measure(sampled(moved(base, 3)), [sampled(base), sampled(first)], names)
    assert siblings.corner(1, 0) == pytest.approx(siblings.to_model(1) / 2, rel=0.1)


def test_what_pruning_took_does_not_count() -> None:
    base = body(1)
    sparse = {name: np.where(np.abs(array) > 0.1, array, 0) for name, array in base.items()}
    distances = measure(sampled(sparse), [sampled(base)], list(base))
    assert distances.to_model(0) == 0


def test_only_tensors_that_all_have_and_somebody_nearly_like_the_model_are_common() -> None:
    base = body(1) | {"head": body(9)["layer.0.weight"]}
    other_head = body(1) | {"head": body(10)["layer.0.weight"]}
    headless = body(1)
    assert common_tensors(sampled(base), [sampled(other_head)]) == list(headless)
    assert common_tensors(sampled(base), [sampled(base), sampled(headless)]) == list(headless)


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32)])
def test_rounding_makes_the_noise_that_is_told(dtype: np.dtype[np.generic]) -> None:
    numbers = np.random.default_rng(1).normal(0, 1, 50_000)
    rounded = numbers.astype(dtype).astype(np.float64)
    noise = np.sum((rounded - numbers) ** 2)
    assert noise == pytest.approx(rounding_noise(dtype.name, rounded), rel=0.1)


def test_a_cosine_does_not_see_means_and_is_zero_for_a_constant() -> None:
    values = np.random.default_rng(1).normal(0, 1, 999)
    assert cosine(values + 5, 3 * values - 2) == pytest.approx(1)
    assert cosine(values, np.ones(999)) == 0


def test_an_empty_table_of_relatives_measures_nothing() -> None:
    own = sampled(body(1))
    assert measure(own, [], list(own.blocks)).products.shape == (0, 0)
    assert measure(SampledModel({}), [SampledModel({})], []).to_model(0) == 0
