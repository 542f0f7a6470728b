"""Arithmetic formats: floats of every format widened exactly, and rounded back in one defined way.

Predictors compute in float32, or in float64 for float64, and round the result to the format. No operation here
depends on the machine: conversions are integer arithmetic or correctly rounded by IEEE 754, and every NaN becomes
the one NaN of its format, since which NaN a processor gives is not defined.
"""

from __future__ import annotations

import enum
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mgit_core.coding.numbers import FloatLayout, NumberFormat, Words, layout_of

__all__ = ["Floats", "Rounding", "narrow", "widen", "working_type"]

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
"""float32 or float64."""

_F32 = np.dtype("<f4")
_F64 = np.dtype("<f8")
_U32 = np.dtype("<u4")
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITY = np.uint32(0x7F800000)


class Rounding(enum.IntEnum):
    """How a number is made one of a narrower format. Numbers are part of the format."""

    NEAREST_EVEN = 0
    """To the nearest, of two equally near ones to the even one; too large becomes infinite, or NaN."""
    TRUNCATED = 1
    """Toward zero; a finite number stays finite."""


def working_type(numbers: NumberFormat) -> np.dtype[np.floating[Any]]:
    """The type that predictors compute in for numbers of a float format."""
    return _F64 if numbers == NumberFormat.FLOAT64 else _F32


def widen(words: Words, numbers: NumberFormat) -> Floats:
    """The values of floats in their working type, exactly. NaN payloads are not kept. Read-only."""
    if numbers in {NumberFormat.FLOAT32, NumberFormat.FLOAT64}:
        return words.view(working_type(numbers))
    if numbers == NumberFormat.FLOAT16:
        with np.errstate(invalid="ignore"):  # Signaling NaNs are no surprise here.
            return words.view("<f2").astype(_F32)
    if numbers == NumberFormat.BFLOAT16:
        return np.left_shift(words, 16, dtype=_U32).view(_F32)
    return np.take(_float8_values(numbers), words)


def narrow(values: Floats, numbers: NumberFormat, rounding: Rounding = Rounding.NEAREST_EVEN) -> Words:
    """The bits of ``values`` in a float format, each rounded once. Every NaN becomes the format's own.

    Args:
        values: float32 or float64, contiguous; not changed.
        numbers: The format of the result.
        rounding: How.
    """
    with np.errstate(all="ignore"):
        words = _narrow(values, numbers, rounding)
        is_nan = values != values  # noqa: PLR0124 - NaN alone differs from itself, and this is faster than isnan.
        if is_nan.any():
            words[is_nan] = layout_of(numbers).nan
    return words


def _narrow(values: Floats, numbers: NumberFormat, rounding: Rounding) -> Words:
    is_nearest = rounding == Rounding.NEAREST_EVEN
    if numbers == NumberFormat.FLOAT64:
        return values.astype(_F64).view("<u8")
    if numbers == NumberFormat.FLOAT32:
        singles = values.astype(_F32)
        return singles.view(_U32) if is_nearest else _toward_zero(values, singles)
    bits = values.view(_U32) if values.dtype == _F32 else _to_odd(values)
    if numbers == NumberFormat.FLOAT16 and is_nearest:
        return bits.view(_F32).astype("<f2").view("<u2")
    if numbers == NumberFormat.BFLOAT16:
        return _upper_half(bits, is_nearest=is_nearest)
    if numbers == NumberFormat.FLOAT16:
        return _small_float(bits, layout_of(numbers), is_nearest=is_nearest).astype("<u2")
    # A float8 follows from the upper half of a float32 and from whether there is anything below it.
    below = np.bitwise_and(bits, np.uint32(0xFFFF)) != 0
    upper = np.right_shift(bits, 16)
    np.bitwise_or(upper, below, out=upper)
    return np.take(_float8_codes(numbers, rounding), upper)


def _upper_half(bits: npt.NDArray[np.uint32], *, is_nearest: bool) -> Words:
    if not is_nearest:
        return np.right_shift(bits, 16).astype("<u2")
    rounded = np.right_shift(bits, 16)
    np.bitwise_and(rounded, np.uint32(1), out=rounded)
    np.add(rounded, np.uint32(0x7FFF), out=rounded)
    np.add(rounded, bits, out=rounded)
    np.right_shift(rounded, 16, out=rounded)
    return rounded.astype("<u2")


def _toward_zero(values: Floats, nearest: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """The float32 next to zero from each value, from the nearest one."""
    is_beyond = np.abs(nearest.astype(_F64)) > np.abs(values)
    bits: npt.NDArray[np.uint32] = nearest.view(_U32) - is_beyond.astype(_U32)
    return bits


def _to_odd(values: Floats) -> npt.NDArray[np.uint32]:
    """float64 as float32 bits, inexact ones with an odd last bit.

    Rounding such a float32 once more, to a format with at least two bits fewer, is like rounding the float64.
    """
    nearest = values.astype(_F32)
    bits = _toward_zero(values, nearest)
    odd: npt.NDArray[np.uint32] = bits | (bits.view(_F32) != values).astype(_U32)
    return odd


def _small_float(
    bits: npt.NDArray[np.uint32], layout: FloatLayout, *, is_nearest: bool
) -> npt.NDArray[np.uint32]:
    """float32 bits as those of a format with fewer bits of exponent and mantissa."""
    sign_bit = layout.exponent_bits + layout.mantissa_bits
    magnitudes = bits & _MAGNITUDE
    shift = 23 - layout.mantissa_bits
    rounded = magnitudes
    if is_nearest:
        rounded = magnitudes + (np.uint32((1 << (shift - 1)) - 1) + (magnitudes >> shift & np.uint32(1)))
    normal = (rounded >> shift) - np.uint32((127 - layout.bias) << layout.mantissa_bits)
    # Below the smallest normal number the bits count multiples of the smallest subnormal one.
    is_small = magnitudes < np.uint32((128 - layout.bias) << 23)
    counts = np.where(is_small, magnitudes, 0).view(_F32) * np.float32(
        2.0 ** (layout.bias - 1 + layout.mantissa_bits)
    )
    result = np.where(is_small, (np.rint(counts) if is_nearest else counts).astype(_U32), normal)
    is_large = ~is_small & (normal > layout.largest)
    result = np.where(is_large, layout.overflow if is_nearest else layout.largest, result)
    result = np.where(magnitudes == _INFINITY, np.uint32(layout.overflow), result)
    signs = (bits >> 31) << sign_bit
    if layout.nan == 1 << sign_bit:  # Minus zero is the NaN, so nothing but it may have these bits.
        signs = np.where(result == 0, np.uint32(0), signs)
    whole: npt.NDArray[np.uint32] = (result | signs).astype(_U32)
    return whole


@cache
def _float8_codes(numbers: NumberFormat, rounding: Rounding) -> npt.NDArray[np.uint8]:
    """The code of each upper half of a float32."""
    uppers = np.left_shift(np.arange(1 << 16, dtype=_U32), np.uint32(16))
    is_nearest = rounding == Rounding.NEAREST_EVEN
    return _small_float(uppers, layout_of(numbers), is_nearest=is_nearest).astype(np.uint8)


@cache
def _float8_values(numbers: NumberFormat) -> npt.NDArray[np.float32]:
    """The value of each byte."""
    layout = layout_of(numbers)
    codes = np.arange(256)
    exponents = codes >> layout.mantissa_bits & (1 << layout.exponent_bits) - 1
    mantissas = codes & (1 << layout.mantissa_bits) - 1
    is_normal = exponents > 0
    significands = mantissas + (is_normal << layout.mantissa_bits)
    scales = np.maximum(exponents, 1) - layout.bias - layout.mantissa_bits
    values = np.ldexp(significands.astype(np.float64), scales)
    magnitudes = codes & 0x7F
    values[magnitudes > layout.largest] = np.nan
    if layout.overflow != layout.nan:
        values[magnitudes == layout.overflow] = np.inf
    values[codes >= 128] *= -1
    if layout.nan == 0x80:
        values[0x80] = np.nan
    singles: npt.NDArray[np.float32] = values.astype(np.float32)
    return singles
