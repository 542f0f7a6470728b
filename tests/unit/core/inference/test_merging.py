from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.inference.blocks import Tensors, body, moved, sampled

from mgit_core.inference.distances import Distances, measure
from mgit_core.inference.merging import find_mixture

BASE = body(1, layers=3, width=32)
MEMBERS = [moved(BASE, 10 + number) for number in range(6)]


def mixed(weights: dict[int, float], dtype: str = "float32") -> dict[str, np.ndarray]:
    return {
        name: sum(share * MEMBERS[at][name].astype(np.float64) for at, share in weights.items()).astype(dtype)
        for name in BASE
    }


def distances(child: Tensors) -> Distances:
    return measure(sampled(child), [sampled(member) for member in MEMBERS], list(BASE))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=5, unique=True),
    st.lists(st.floats(0.2, 1.0), min_size=5, max_size=5),
)
def test_members_and_shares_of_a_mean_are_found(members: list[int], sizes: list[float]) -> None:
    total = sum(sizes[: len(members)])
    weights = {at: size / total for at, size in zip(members, sizes, strict=False)}
    table = distances(mixed(weights))
    found = find_mixture(table, sorted(range(6), key=table.to_model))
    assert found is not None
    assert found.weights.keys() == weights.keys()
    assert found.weights == pytest.approx(weights, abs=1e-3)
    assert found.left < 1e-5


def test_shares_that_go_beyond_a_mean_are_found() -> None:
    """Task arithmetic adds what several learned, so that their shares are more than one and the base's is less."""
    found = find_mixture(distances(mixed({0: -0.6, 1: 0.8, 2: 0.8})), range(6))
    assert found is not None
    assert found.weights == pytest.approx({0: -0.6, 1: 0.8, 2: 0.8}, abs=1e-3)


def test_a_mean_in_half_precision_is_found() -> None:
    found = find_mixture(distances(mixed({1: 0.5, 4: 0.5}, "float16")), range(6))
    assert found is not None
    assert found.weights == pytest.approx({1: 0.5, 4: 0.5}, abs=0.05)


@pytest.mark.parametrize("child", [moved(BASE, 99), moved(MEMBERS[2], 99), MEMBERS[3]])
def test_training_and_equality_are_no_mixture(child: Tensors) -> None:
    assert find_mixture(distances(child), range(6)) is None


def test_a_cast_is_no_mixture_though_it_lies_between() -> None:
    half = {name: array.astype(np.float16) for name, array in MEMBERS[0].items()}
    assert find_mixture(distances(half), range(6)) is None


def test_one_relative_is_no_mixture() -> None:
    assert find_mixture(distances(mixed({0: 0.5, 1: 0.5})), [0]) is None
    assert find_mixture(distances(mixed({0: 0.5, 1: 0.5})), []) is None
