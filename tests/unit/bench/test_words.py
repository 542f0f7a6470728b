from __future__ import annotations

import numpy as np
import pytest
from bench.compression.words import (
    Words,
    differences,
    join_bytes,
    restored,
    signed_folded,
    signed_unfolded,
    split_bytes,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

WORDS = st.sampled_from(["<u2", "<u4"]).flatmap(
    lambda dtype: st.integers(1, 40).flatmap(lambda size: st.tuples(*[arrays(dtype, size)] * 2))
)


@pytest.mark.slow
@given(WORDS)
def test_a_difference_gives_back_every_bit_pattern(pair: tuple[Words, Words]) -> None:
    child, base = pair

    assert np.array_equal(child, restored(differences(child, base), base))


@pytest.mark.slow
@given(WORDS)
def test_folding_has_an_inverse(pair: tuple[Words, Words]) -> None:
    assert np.array_equal(pair[0], signed_unfolded(signed_folded(pair[0])))


@pytest.mark.slow
@given(WORDS)
def test_planes_join_to_what_was_split(pair: tuple[Words, Words]) -> None:
    assert np.array_equal(pair[0], join_bytes(split_bytes(pair[0]).tobytes(), pair[0].dtype))


def test_small_numbers_of_either_sign_fold_to_small_ones() -> None:
    signed = np.array([0, -1, 1, -2, 2], np.int32)

    assert signed_folded(signed.view(np.uint32)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("child", "base", "expected"), [(0.0, -0.0, 1), (1.0, 1.0, 0), (-1.0, 1.0, None)])
def test_neighbors_in_value_are_neighbors_in_order(child: float, base: float, expected: int | None) -> None:
    found = differences(np.array([child], np.float32).view("<u4"), np.array([base], np.float32).view("<u4"))

    if expected is None:
        assert found.view(np.int32)[0] < 0
    else:
        assert found[0] == expected


def test_planes_come_least_significant_first() -> None:
    assert split_bytes(np.array([0x0201, 0x0403], "<u2")).tolist() == [1, 3, 2, 4]
