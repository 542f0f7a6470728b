from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from tests.unit.core.inference.blocks import Tensors, body, moved, sampled

from mgit_core.inference.operations import (
    compare_zeros,
    find_low_rank,
    find_rounding,
    learned_alike,
    new_heads,
)

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in tensors.items()}


def cast(tensors: Tensors, dtype: np.dtype[np.generic]) -> dict[str, np.ndarray]:
    return {name: array.astype(dtype) for name, array in tensors.items()}


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16, np.dtype(ml_dtypes.float8_e5m2)])
def test_a_cast_is_seen_and_not_the_other_way_round(dtype: np.dtype[np.generic]) -> None:
    base = body(1)
    narrow = cast(base, dtype)
    assert find_rounding(sampled(narrow), sampled(base), list(base)) == dtype.name
    assert find_rounding(sampled(base), sampled(narrow), list(base)) is None


def test_rounded_values_in_a_wide_type_are_seen() -> None:
    base = body(1)
    rounded = cast(cast(base, BFLOAT16), np.dtype(np.float32))
    assert find_rounding(sampled(rounded), sampled(base), list(base)) == "bfloat16"


def test_a_cast_to_a_wider_type_is_one_either_way() -> None:
    narrow = cast(body(1), np.dtype(np.float16))
    wide = cast(narrow, np.dtype(np.float32))
    assert find_rounding(sampled(wide), sampled(narrow), list(wide)) == "float32"
    assert find_rounding(sampled(narrow), sampled(wide), list(wide)) == "float16"


@pytest.mark.parametrize("other", [body(1), moved(body(1), 2), body(2)])
def test_neither_equality_nor_training_is_rounding(other: Tensors) -> None:
    assert find_rounding(sampled(other), sampled(body(1)), list(other)) is None


def test_zeros_are_counted_with_who_has_them() -> None:
    base = body(1)
    sparse = {
        name: np.where(np.abs(array) > np.quantile(np.abs(array), 0.4), array, 0)
        for name, array in base.items()
    }
    found = compare_zeros(sampled(sparse), sampled(base), list(base))
    assert found.own == pytest.approx(0.4, abs=0.01)
    assert (found.relative, found.kept, found.is_exact) == (0, 1, True)
    back = compare_zeros(sampled(base), sampled(sparse), list(base))
    assert (back.own, back.kept) == (0, 0)
    assert back.growth == np.inf


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16, np.dtype(ml_dtypes.float8_e5m2)])
def test_without_zeros_models_agree_if_all_items_do(dtype: np.dtype[np.generic]) -> None:
    narrow = cast({"w": np.arange(1, 1_000).reshape(27, 37) / 256}, dtype)
    wide = cast(narrow, np.dtype(np.float32))
    found = compare_zeros(sampled(wide), sampled(narrow), ["w"])
    assert (found.own, found.relative, found.kept, found.is_exact, found.growth) == (0, 0, 1, True, 0)
    wide["w"][20, 30] += 1
    assert not compare_zeros(sampled(wide), sampled(narrow), ["w"]).is_exact


def test_what_grew_from_zero_is_as_small_as_what_training_moved() -> None:
    base = body(1)
    sparse = {name: np.where(np.abs(array) > 0.1, array, 0) for name, array in base.items()}
    trained = compare_zeros(sampled(moved(sparse, 2)), sampled(sparse), list(base))
    assert trained.growth == pytest.approx(1, rel=0.1)
    pruned_and_trained = moved(sparse, 2)
    for name, array in sparse.items():
        pruned_and_trained[name][array == 0] = 0
    assert compare_zeros(sampled(base), sampled(pruned_and_trained), list(base)).growth > 4


@pytest.mark.parametrize("rank", [1, 4, 12])
def test_a_change_in_few_dimensions_is_seen_with_how_many(rank: int) -> None:
    random = np.random.default_rng(rank)
    base = body(1)
    changed = {
        name: (array + random.normal(0, 0.1, (48, rank)) @ random.normal(0, 0.1, (rank, 48))).astype(
            np.float32
        )
        for name, array in base.items()
    }
    found = find_low_rank(sampled(changed), sampled(base), shapes(base))
    assert found is not None
    assert (found.rank, found.tensors) == (rank, len(base))


def test_a_change_of_some_matrices_in_few_dimensions_is_seen_beside_those_that_stayed() -> None:
    random = np.random.default_rng(1)
    base = body(1)
    changed = dict(base)
    changed["layer.1.weight"] = (
        base["layer.1.weight"] + random.normal(0, 0.1, (48, 2)) @ random.normal(0, 0.1, (2, 48))
    ).astype(np.float32)
    found = find_low_rank(sampled(changed), sampled(base), shapes(base))
    assert found is not None
    assert (found.rank, found.tensors) == (2, 1)


def test_training_and_equality_are_no_change_in_few_dimensions() -> None:
    base = body(1)
    assert find_low_rank(sampled(moved(base, 2)), sampled(base), shapes(base)) is None
    assert find_low_rank(sampled(base), sampled(base), shapes(base)) is None


def test_what_two_trainings_from_one_start_learned_is_told_from_what_a_child_kept() -> None:
    random = np.random.default_rng(1)
    start = random.normal(0, 0.1, (4, 48, 48))

    def learned(seed: int) -> dict[str, np.ndarray]:
        own = np.random.default_rng(seed)
        strong = own.normal(0, 0.2, (4, 48, 2)) @ own.normal(0, 0.2, (4, 2, 48))
        return {f"{at}": (start[at] + strong[at]).astype(np.float32) for at in range(4)}

    one, other = learned(2), learned(3)
    strong, weak = learned_alike(sampled(other), sampled(one), shapes(one))
    assert strong < 0.8 * weak
    assert learned_alike(sampled(moved(one, 4)), sampled(one), shapes(one)) == pytest.approx((1, 1), abs=0.1)


def test_small_blocks_say_nothing_of_what_was_learned() -> None:
    tiny = {"weight": np.ones((8, 8), np.float32)}
    assert learned_alike(sampled(tiny), sampled(tiny), shapes(tiny)) == (1.0, 1.0)


def test_a_head_that_began_anew_is_named_and_a_stranger_has_none() -> None:
    base = body(1)
    child = {**moved(base, 2), "layer.4.weight": body(7)["layer.4.weight"]}
    assert new_heads(sampled(child), sampled(base), list(base)) == ["layer.4.weight"]
    assert new_heads(sampled(body(3)), sampled(base), list(base)) == []
