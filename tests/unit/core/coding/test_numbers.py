"""Formats of numbers: how they are named, and how the bytes of a tensor are seen."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.core.coding.cases import FLOATS, FORMATS

from mgit_core.coding.numbers import (
    NumberFormat,
    format_of_dtype,
    format_of_number,
    format_of_width,
    layout_of,
    words_of,
)
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.tensor import DTYPES, TensorSpec


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_the_numbers_of_every_data_type_have_its_width(dtype: str) -> None:
    assert format_of_dtype(dtype).width == TensorSpec(dtype, ()).number_bytes


def test_where_only_the_width_is_known_numbers_are_unsigned() -> None:
    assert [format_of_width(width) for width in (1, 2, 4, 8, 16)] == [
        NumberFormat.UINT8,
        NumberFormat.UINT16,
        NumberFormat.UINT32,
        NumberFormat.UINT64,
        NumberFormat.UINT8,
    ]


@pytest.mark.parametrize("numbers", FLOATS)
def test_sign_exponent_and_mantissa_fill_a_float(numbers: NumberFormat) -> None:
    layout = layout_of(numbers)
    assert 1 + layout.exponent_bits + layout.mantissa_bits == 8 * numbers.width


@pytest.mark.parametrize("numbers", FORMATS)
def test_a_stored_number_names_its_format(numbers: NumberFormat) -> None:
    assert format_of_number(int(numbers)) is numbers


def test_a_format_of_a_later_version_is_refused() -> None:
    with pytest.raises(CorruptError) as caught:
        format_of_number(len(FORMATS))
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_words_are_a_view_of_the_content() -> None:
    content = bytearray(b"\x01\x00\x02\x00")
    words = words_of(content, NumberFormat.BFLOAT16)
    content[0] = 5
    assert words.tolist() == [5, 2]
    assert words.dtype == np.dtype("<u2")
