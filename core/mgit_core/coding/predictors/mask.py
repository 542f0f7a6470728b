"""The base, zero where a mask says so: what pruning leaves."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding import zstd
from mgit_core.coding.numbers import NumberFormat, Words, words_of
from mgit_core.coding.predictors.blocks import by_blocks
from mgit_core.coding.predictors.fields import Bytes, Fields, float_words, join_padded
from mgit_core.coding.refusals import unknown

__all__ = ["Fill", "Mask", "complete", "find_mask", "make_parameters", "predict", "read_mask"]

_LEVEL = 3
_FEWEST_ZEROS = 0.05
"""Fewer new zeros than this are left to the residue."""

Flags = npt.NDArray[np.bool_]


class Fill(enum.IntEnum):
    """Which zero is put in. Numbers are part of the format."""

    PLUS_ZERO = 0
    SIGN_OF_BASE = 1
    """What a product with a mask of zeros and ones leaves."""


class _Kind(enum.IntEnum):
    THRESHOLD = 0
    BITS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Where zeros are.

    Attributes:
        fill: Which zero.
        threshold: Magnitude bits up to which a number of the base is replaced; None if ``flags`` say it.
        flags: True for each number that is replaced; None if ``threshold`` says it.
    """

    fill: Fill
    threshold: int | None = None
    flags: Flags | None = None

    def to_bytes(self, numbers: NumberFormat) -> bytes:
        """Fill, kind, and the threshold in a number's width or the bits, first in the top bit, as a zstd frame."""
        if self.flags is None:
            threshold = (self.threshold or 0).to_bytes(numbers.width, "little")
            return bytes([self.fill, _Kind.THRESHOLD]) + threshold
        return bytes([self.fill, _Kind.BITS]) + zstd.compress(np.packbits(self.flags).data, _LEVEL)

    def apply(self, words: Words) -> Words:
        """A copy of ``words`` with zeros in it."""
        return by_blocks(words.size, words.dtype, lambda part: self._apply(words[part], part))

    def _apply(self, words: Words, part: slice) -> Words:
        if self.flags is None:
            is_kept = _magnitudes(words) > words.dtype.type(self.threshold or 0)
        else:
            is_kept = ~self.flags[part]
        # All ones or all zeros for each number: faster than choosing.
        kept_bits = np.negative(is_kept.astype(words.dtype))
        if self.fill == Fill.SIGN_OF_BASE:
            np.bitwise_or(kept_bits, _sign_bit(words), out=kept_bits)
        return np.bitwise_and(kept_bits, words, out=kept_bits)


def make_parameters(numbers: NumberFormat, mask: Mask) -> bytes:
    """Parameters of a mask. Empty ones in a plan stand for the mask that ``complete`` finds."""
    return bytes([numbers]) + mask.to_bytes(numbers)


def read_mask(fields: Fields, numbers: NumberFormat, count: int) -> Mask:
    """The mask that takes up the rest of ``fields``.

    Args:
        fields: Where it begins.
        numbers: Format of the base.
        count: Numbers that it must cover.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fill, kind = fields.number("B"), fields.number("B")
    if fill > Fill.SIGN_OF_BASE or kind > _Kind.BITS:
        raise unknown(f"a mask of kind {kind} with fill {fill}")
    if kind == _Kind.THRESHOLD:
        threshold = int.from_bytes(fields.take(numbers.width), "little")
        fields.end()
        return Mask(fill=Fill(fill), threshold=threshold)
    packed = zstd.decompress(fields.rest(), (count + 7) // 8)
    flags = np.unpackbits(np.frombuffer(packed, np.uint8), count=count).view(np.bool_)
    return Mask(fill=Fill(fill), flags=flags)


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """The joined base, padded with zeros, and masked.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    numbers = fields.float_format()
    words = float_words(join_padded(sources, raw_size), numbers)
    return read_mask(fields, numbers, words.size).apply(words).view(np.uint8)


def complete(numbers: NumberFormat, content: Buffer, sources: Sequence[Buffer]) -> bytes | None:
    """Parameters with the mask that turns the base into ``content`` best, or None if masking is no help."""
    view = memoryview(content).cast("B")
    if not numbers.is_float or len(view) % numbers.width:
        return None
    base = float_words(join_padded(sources, len(view)), numbers)
    mask = find_mask(words_of(view, numbers), base)
    return make_parameters(numbers, mask) if mask else None


def find_mask(content: Words, base: Words) -> Mask | None:
    """The mask of what is zero in ``content``; None for less than a twentieth, or where the base is zero there too."""
    magnitudes = _magnitudes(base)
    is_zero = _magnitudes(content) == 0
    zeros = int(np.count_nonzero(is_zero))
    if zeros < content.size * _FEWEST_ZEROS or not zeros:
        return None
    threshold = int(np.multiply(magnitudes, is_zero).max())
    if not threshold:
        return None
    fill = _best_fill(content, base, is_zero)
    if int(np.count_nonzero(magnitudes <= base.dtype.type(threshold))) == zeros:
        return Mask(fill=fill, threshold=threshold)
    return Mask(fill=fill, flags=is_zero)


def _best_fill(content: Words, base: Words, is_zero: Flags) -> Fill:
    """The sign of the base if most of the zeros in place of negative numbers have it."""
    sign = _sign_bit(base)
    was_negative = np.logical_and(base >= sign, is_zero)
    kept = int(np.count_nonzero(np.logical_and(content == sign, was_negative)))
    return Fill.SIGN_OF_BASE if 2 * kept > int(np.count_nonzero(was_negative)) else Fill.PLUS_ZERO


def _sign_bit(words: Words) -> np.unsignedinteger[Any]:
    return words.dtype.type(1 << (8 * words.dtype.itemsize - 1))


def _magnitudes(words: Words) -> Words:
    return words & ~_sign_bit(words)
