"""Two models merged by TIES: the changes of a base trimmed, a sign elected for each number, the mean of those that have it.

Source: TIES-Merging (Yadav et al., 2023, arXiv 2306.01708), with the trim step as two thresholds for a tensor.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding.floats import Floats, narrow, widen, working_type
from mgit_core.coding.numbers import NumberFormat, Words
from mgit_core.coding.predictors.blocks import by_blocks
from mgit_core.coding.predictors.fields import Bytes, Fields, cut_sources, float_words
from mgit_core.coding.refusals import corrupt

__all__ = ["Magnitudes", "magnitudes_of_change", "make_parameters", "predict"]

Magnitudes: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

_SOURCES = 3
_PARAMETERS = struct.Struct("<BdQQ")


def make_parameters(numbers: NumberFormat, scale: float, thresholds: tuple[int, int]) -> bytes:
    """Parameters of a TIES merge.

    Args:
        numbers: Format of the chunk and of every source.
        scale: How much of the elected mean is added to the base.
        thresholds: Of ours and theirs the smallest magnitude that a change is kept with, as ``magnitudes_of_change``
            gives it.
    """
    return _PARAMETERS.pack(numbers, scale, *thresholds)


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """The merge of base, ours and theirs.

    A number that neither side changed enough, or of which the changes cancel out, stays the base's, bit for bit. With
    a scale of 1 a number that one side alone changed is that side's, bit for bit. What is not a number stays visible.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    numbers, scale = fields.float_format(), fields.real("d")
    thresholds = fields.number("Q"), fields.number("Q")
    fields.end()
    if max(thresholds) > np.iinfo(_word(numbers)).max:
        raise corrupt(f"a threshold of TIES has more bits than a {numbers.name} is computed with")
    pieces = [float_words(piece, numbers) for piece in cut_sources(sources, raw_size)]
    if len(pieces) != _SOURCES:
        raise corrupt(f"TIES of {len(pieces)} sources")
    with np.errstate(all="ignore"):
        return by_blocks(
            pieces[0].size,
            pieces[0].dtype,
            lambda part: _merged([piece[part] for piece in pieces], numbers, thresholds, scale),
        ).view(np.uint8)


def magnitudes_of_change(base: Words, side: Words, numbers: NumberFormat) -> Magnitudes:
    """How far each number of a side is from the base's, as unsigned integers in the order of the magnitudes.

    They are the bits of the difference in the working type, without its sign; every NaN comes right behind infinity.
    """
    with np.errstate(all="ignore"):
        return _magnitudes(_change(base, side, numbers), numbers)


def _merged(pieces: list[Words], numbers: NumberFormat, thresholds: tuple[int, int], scale: float) -> Words:
    base, *sides = pieces
    start = widen(base, numbers)
    changes = [
        _trimmed(_change(base, side, numbers), threshold, numbers)
        for side, threshold in zip(sides, thresholds, strict=True)
    ]
    elected = np.sign(changes[0] + changes[1])
    counts = [(np.sign(change) == elected) & (change != 0) for change in changes]
    total = np.where(counts[0], changes[0], 0) + np.where(counts[1], changes[1], 0)
    mean = np.where(counts[0] & counts[1], total / 2, total).astype(start.dtype)
    computed = (start + start.dtype.type(scale) * mean).astype(start.dtype)
    # NaN has no sign and equals nothing, so no change counts where one is elected.
    is_nan = np.isnan(elected)
    words = narrow(np.where(is_nan, elected, computed).astype(start.dtype), numbers)
    words = np.where(counts[0] | counts[1] | is_nan, words, base)
    if scale == 1:
        words = np.where(counts[0] & ~counts[1], sides[0], words)
        words = np.where(counts[1] & ~counts[0], sides[1], words)
    return words


def _change(base: Words, side: Words, numbers: NumberFormat) -> Floats:
    """Side - base; zero where the bits are equal, also of infinities and NaN."""
    change = np.subtract(widen(side, numbers), widen(base, numbers))
    change[base == side] = 0
    return change


def _trimmed(change: Floats, threshold: int, numbers: NumberFormat) -> Floats:
    is_kept = _magnitudes(change, numbers) >= _word(numbers).type(threshold)
    return np.where(is_kept, change, change.dtype.type(0))


def _magnitudes(change: Floats, numbers: NumberFormat) -> Magnitudes:
    word = _word(numbers)
    infinity = np.array([np.inf], change.dtype).view(word)[0]
    magnitudes: Magnitudes = np.minimum(np.abs(change).view(word), infinity + word.type(1))
    return magnitudes


def _word(numbers: NumberFormat) -> np.dtype[np.unsignedinteger[Any]]:
    return np.dtype(f"<u{working_type(numbers).itemsize}")
