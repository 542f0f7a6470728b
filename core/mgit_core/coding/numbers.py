"""What the bytes of a chunk mean: how wide its numbers are, and where a float keeps its exponent."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding.refusals import unknown

__all__ = [
    "FloatLayout",
    "NumberFormat",
    "Words",
    "format_of_dtype",
    "format_of_number",
    "format_of_width",
    "layout_of",
    "word_type",
    "words_of",
]

Words: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""Numbers of any format as unsigned little-endian integers of their width."""


class NumberFormat(enum.IntEnum):
    """The format of one number, little-endian. Numbers are part of the format.

    Integers of either sign and booleans count as unsigned: their differences wrap around. A complex number is
    two floats.
    """

    UINT8 = 0
    UINT16 = 1
    UINT32 = 2
    UINT64 = 3
    FLOAT16 = 4
    BFLOAT16 = 5
    FLOAT32 = 6
    FLOAT64 = 7
    FLOAT8_E4M3FN = 8
    FLOAT8_E5M2 = 9
    FLOAT8_E4M3FNUZ = 10
    FLOAT8_E5M2FNUZ = 11

    @property
    def width(self) -> int:
        """Bytes of one number."""
        return _WIDTHS[self]

    @property
    def is_float(self) -> bool:
        """Whether the numbers have a sign, an exponent and a mantissa."""
        return self >= NumberFormat.FLOAT16


_WIDTHS = {
    NumberFormat.UINT8: 1,
    NumberFormat.UINT16: 2,
    NumberFormat.UINT32: 4,
    NumberFormat.UINT64: 8,
    NumberFormat.FLOAT16: 2,
    NumberFormat.BFLOAT16: 2,
    NumberFormat.FLOAT32: 4,
    NumberFormat.FLOAT64: 8,
    NumberFormat.FLOAT8_E4M3FN: 1,
    NumberFormat.FLOAT8_E5M2: 1,
    NumberFormat.FLOAT8_E4M3FNUZ: 1,
    NumberFormat.FLOAT8_E5M2FNUZ: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatLayout:
    """Where a float keeps its parts: the sign in the top bit, the exponent behind it, then the mantissa.

    Attributes:
        exponent_bits: Width of the exponent.
        mantissa_bits: Width of the mantissa.
        bias: Exponent of one.
        nan: Bits of the one NaN that arithmetic gives, see ``mgit_core.coding.floats``.
        overflow: Magnitude bits of what is too large; those of an infinity, or of the NaN where there is none.
        largest: Magnitude bits of the largest finite number.
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int
    nan: int
    overflow: int
    largest: int


def _ieee(exponent_bits: int, mantissa_bits: int) -> FloatLayout:
    infinity = ((1 << exponent_bits) - 1) << mantissa_bits
    return FloatLayout(
        exponent_bits=exponent_bits,
        mantissa_bits=mantissa_bits,
        bias=(1 << (exponent_bits - 1)) - 1,
        nan=infinity | 1 << (mantissa_bits - 1),
        overflow=infinity,
        largest=infinity - 1,
    )


_LAYOUTS = {
    NumberFormat.FLOAT16: _ieee(5, 10),
    NumberFormat.BFLOAT16: _ieee(8, 7),
    NumberFormat.FLOAT32: _ieee(8, 23),
    NumberFormat.FLOAT64: _ieee(11, 52),
    NumberFormat.FLOAT8_E5M2: _ieee(5, 2),
    # These have no infinity: what is too large becomes NaN, and the two last have a single one, at minus zero.
    NumberFormat.FLOAT8_E4M3FN: FloatLayout(
        exponent_bits=4, mantissa_bits=3, bias=7, nan=0x7F, overflow=0x7F, largest=0x7E
    ),
    NumberFormat.FLOAT8_E4M3FNUZ: FloatLayout(
        exponent_bits=4, mantissa_bits=3, bias=8, nan=0x80, overflow=0x80, largest=0x7F
    ),
    NumberFormat.FLOAT8_E5M2FNUZ: FloatLayout(
        exponent_bits=5, mantissa_bits=2, bias=16, nan=0x80, overflow=0x80, largest=0x7F
    ),
}

_OF_DTYPE = {
    "float16": NumberFormat.FLOAT16,
    "bfloat16": NumberFormat.BFLOAT16,
    "float32": NumberFormat.FLOAT32,
    "complex64": NumberFormat.FLOAT32,
    "float64": NumberFormat.FLOAT64,
    "complex128": NumberFormat.FLOAT64,
    "float8_e4m3fn": NumberFormat.FLOAT8_E4M3FN,
    "float8_e5m2": NumberFormat.FLOAT8_E5M2,
    "float8_e4m3fnuz": NumberFormat.FLOAT8_E4M3FNUZ,
    "float8_e5m2fnuz": NumberFormat.FLOAT8_E5M2FNUZ,
    "int16": NumberFormat.UINT16,
    "uint16": NumberFormat.UINT16,
    "int32": NumberFormat.UINT32,
    "uint32": NumberFormat.UINT32,
    "int64": NumberFormat.UINT64,
    "uint64": NumberFormat.UINT64,
}
_OF_WIDTH = {
    2: NumberFormat.UINT16,
    4: NumberFormat.UINT32,
    8: NumberFormat.UINT64,
}
_KNOWN = frozenset(int(numbers) for numbers in NumberFormat)
_WORD_TYPES: dict[int, np.dtype[np.unsignedinteger[Any]]] = {
    1: np.dtype("u1"),
    2: np.dtype("<u2"),
    4: np.dtype("<u4"),
    8: np.dtype("<u8"),
}


def format_of_dtype(dtype: str) -> NumberFormat:
    """The format of the numbers of a tensor of type ``dtype``, a name of ``mgit_core.tensor.DTYPES``."""
    return _OF_DTYPE.get(dtype, NumberFormat.UINT8)


def format_of_width(width: int) -> NumberFormat:
    """The format where nothing but the width is known; plain bytes for a width without one."""
    return _OF_WIDTH.get(width, NumberFormat.UINT8)


def format_of_number(number: int) -> NumberFormat:
    """The format that a stored byte names.

    Raises:
        CorruptError: UNKNOWN_FORMAT_VERSION.
    """
    if number not in _KNOWN:
        raise unknown(f"number format {number}")
    return NumberFormat(number)


def layout_of(numbers: NumberFormat) -> FloatLayout:
    """The layout of a format that ``is_float``."""
    return _LAYOUTS[numbers]


def word_type(numbers: NumberFormat) -> np.dtype[np.unsignedinteger[Any]]:
    """The unsigned type of a number's width."""
    return _WORD_TYPES[numbers.width]


def words_of(content: Buffer, numbers: NumberFormat) -> Words:
    """``content`` as unsigned words; a view. Its size is a multiple of the format's width."""
    return np.frombuffer(memoryview(content), word_type(numbers))
