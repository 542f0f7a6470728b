"""Float formats as docs/format.md defines them, by exact arithmetic on Python's floats: nothing is rounded twice."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A number format: its width in bytes, and for floats the parts."""

    width: int
    exponent_bits: int = 0
    mantissa_bits: int = 0
    bias: int = 0
    nan: int = 0
    overflow: int = 0
    largest: int = 0


FORMATS = {
    0: Format(1),
    1: Format(2),
    2: Format(4),
    3: Format(8),
    4: Format(2, 5, 10, 15, 0x7E00, 0x7C00, 0x7BFF),
    5: Format(2, 8, 7, 127, 0x7FC0, 0x7F80, 0x7F7F),
    6: Format(4, 8, 23, 127, 0x7FC00000, 0x7F800000, 0x7F7FFFFF),
    7: Format(8, 11, 52, 1023, 0x7FF8 << 48, 0x7FF0 << 48, (0x7FF0 << 48) - 1),
    8: Format(1, 4, 3, 7, 0x7F, 0x7F, 0x7E),
    9: Format(1, 5, 2, 15, 0x7E, 0x7C, 0x7B),
    10: Format(1, 4, 3, 8, 0x80, 0x80, 0x7F),
    11: Format(1, 5, 2, 16, 0x80, 0x80, 0x7F),
}


def value_of(word: int, numbers: int) -> float:
    """What the bits of a float mean."""
    f = FORMATS[numbers]
    if word == f.nan == 0x80:
        return math.nan
    magnitude = word & ((1 << (8 * f.width - 1)) - 1)
    sign = -1.0 if word != magnitude else 1.0
    if magnitude > f.largest:
        return sign * math.inf if magnitude == f.overflow != f.nan else math.nan
    exponent = magnitude >> f.mantissa_bits
    mantissa = magnitude & ((1 << f.mantissa_bits) - 1)
    if exponent:
        mantissa |= 1 << f.mantissa_bits
    return sign * math.ldexp(mantissa, max(exponent, 1) - f.bias - f.mantissa_bits)


def rounded(value: float, numbers: int, *, truncated: bool = False) -> int:
    """The bits of a value in a float format, rounded once."""
    f = FORMATS[numbers]
    if math.isnan(value):
        return f.nan
    sign = (math.copysign(1, value) < 0) << (8 * f.width - 1)
    value = abs(value)
    if math.isinf(value) or not value:
        magnitude = f.overflow if value else 0
    else:
        exponent = max(math.frexp(value)[1] - 1 + f.bias, 1)
        scaled = math.ldexp(value, f.bias + f.mantissa_bits - exponent)
        count = math.floor(scaled) if truncated else round(scaled)
        magnitude = ((exponent - 1) << f.mantissa_bits) + count
        if magnitude > f.largest:
            magnitude = f.largest if truncated else f.overflow
    if f.nan == 0x80 and magnitude in {0, 0x80}:
        return magnitude
    return magnitude | sign


def single(value: float) -> float:
    """A value rounded to float32."""
    return value_of(rounded(value, 6), 6)


def words(content: bytes, numbers: int) -> list[int]:
    """The numbers as unsigned integers."""
    width = FORMATS[numbers].width
    assert len(content) % width == 0
    return [int.from_bytes(content[at : at + width], "little") for at in range(0, len(content), width)]


def content_of(numbers: int, found: list[int]) -> bytes:
    """The bytes of unsigned integers."""
    return b"".join(word.to_bytes(FORMATS[numbers].width, "little") for word in found)


def doubles(content: bytes) -> list[float]:
    """Float64 values."""
    return list(struct.unpack(f"<{len(content) // 8}d", content))
