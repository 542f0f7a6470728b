"""Ordered differences: a bijection that keeps the order of floats, and steps that wrap around."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.coding.cases import FORMATS, words

from mgit_core.coding.numbers import NumberFormat, word_type, words_of
from mgit_core.coding.ordered import (
    add_differences,
    differences,
    from_ordered,
    signed_view,
    to_ordered,
    unzigzag,
    zigzag,
)

TYPES = {
    NumberFormat.FLOAT16: np.float16,
    NumberFormat.BFLOAT16: ml_dtypes.bfloat16,
    NumberFormat.FLOAT8_E4M3FN: ml_dtypes.float8_e4m3fn,
    NumberFormat.FLOAT8_E5M2: ml_dtypes.float8_e5m2,
}
SHORT = [numbers for numbers in FORMATS if numbers.width <= 2]


@pytest.mark.parametrize("numbers", SHORT)
def test_every_pattern_has_its_own_place_and_comes_back(numbers: NumberFormat) -> None:
    patterns = np.arange(256**numbers.width, dtype=word_type(numbers))
    ordered = to_ordered(patterns, numbers, np.empty_like(patterns))
    assert np.unique(ordered).size == patterns.size
    assert (from_ordered(ordered, numbers, np.empty_like(patterns)) == patterns).all()


@pytest.mark.parametrize("numbers", list(TYPES))
def test_larger_floats_come_later(numbers: NumberFormat) -> None:
    patterns = np.arange(256**numbers.width, dtype=word_type(numbers))
    ordered = to_ordered(patterns, numbers, np.empty_like(patterns))
    with np.errstate(invalid="ignore"):
        values = patterns.view(TYPES[numbers]).astype(np.float64)
    in_order = values[np.argsort(ordered)]
    in_order = in_order[~np.isnan(in_order)]
    assert (np.diff(in_order[np.isfinite(in_order)]) >= 0).all()
    assert in_order[0] == values[~np.isnan(values)].min()


def test_the_two_zeros_are_neighbors() -> None:
    zeros = words_of(np.array([-0.0, 0.0], "<f4").data, NumberFormat.FLOAT32)
    assert to_ordered(zeros, NumberFormat.FLOAT32, np.empty_like(zeros)).tolist() == [2**31 - 1, 2**31]


@given(st.sampled_from(FORMATS), st.data())
def test_adding_differences_gives_the_content(numbers: NumberFormat, data: st.DataObject) -> None:
    content = words_of(data.draw(words(numbers)), numbers)
    predicted = np.resize(words_of(data.draw(words(numbers)), numbers), content.size)
    steps = differences(content, predicted, numbers).copy()
    assert add_differences(predicted, steps.view(content.dtype), numbers).tolist() == content.tolist()


def test_integers_are_subtracted_as_they_are() -> None:
    content, predicted = np.array([0, 5, 255], "u1"), np.array([255, 2, 0], "u1")
    assert differences(content, predicted, NumberFormat.UINT8).tolist() == [1, 3, -1]


def test_a_float_is_as_many_steps_away_as_there_are_floats_between() -> None:
    content, predicted = np.array([1.0, 0.0, -1.0], "<f4"), np.array([1.0, -0.0, -1.0], "<f4")
    content[0], content[2] = np.nextafter(content[0], np.float32(2)), np.nextafter(content[2], np.float32(-2))
    steps = differences(content.view("<u4"), predicted.view("<u4"), NumberFormat.FLOAT32)
    assert steps.tolist() == [1, 1, -1]


@given(st.sampled_from(FORMATS), st.data())
def test_zig_zag_has_an_inverse(numbers: NumberFormat, data: st.DataObject) -> None:
    steps = words_of(data.draw(words(numbers)), numbers)
    folded = zigzag(signed_view(steps), np.empty_like(steps))
    assert unzigzag(folded, np.empty_like(steps)).tolist() == steps.tolist()


def test_zig_zag_makes_small_steps_small() -> None:
    steps = np.array([0, -1, 1, -2, 2, 127, -128], "i1")
    assert zigzag(steps, np.empty(7, "u1")).tolist() == [0, 1, 2, 3, 4, 254, 255]
