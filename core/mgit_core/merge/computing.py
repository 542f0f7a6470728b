"""Numbers for conflicts, chunk by chunk, exactly as the predictors evaluate them, so that storing them costs little.

No result depends on the order of the sides: all that is done with both is a sum of two, which commutes, and every NaN
becomes the one NaN of its format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding.floats import Floats, narrow, widen, working_type
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.predictors.combination import Order, make_parameters, predict

__all__ = [
    "TiesThresholds",
    "average",
    "average_parameters",
    "find_threshold",
    "largest_kept",
    "task_arithmetic",
    "task_parameters",
    "ties",
]

Keys: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

_DIGIT_BITS = 16


def average_parameters(numbers: NumberFormat) -> bytes:
    """Parameters of the predictor that gives the mean of two sources: (ours + theirs) / 2."""
    return make_parameters(numbers, Order.SUM_THEN_DIVIDE)


def average(numbers: NumberFormat, sides: Sequence[Buffer]) -> bytes:
    """The mean of ours and theirs, of one chunk; half types in float32, rounded once."""
    return predict(average_parameters(numbers), sides, memoryview(sides[0]).nbytes).tobytes()


def task_parameters(numbers: NumberFormat, scale: float) -> bytes:
    """Parameters of the predictor for task arithmetic: base + (scale (ours - base) + scale (theirs - base))."""
    return make_parameters(numbers, Order.TASKS_FIRST, (scale, scale))


def task_arithmetic(numbers: NumberFormat, sources: Sequence[Buffer], scale: float) -> bytes:
    """The base and both changes of it, of one chunk; half types in float32, rounded once.

    Args:
        numbers: Format of the tensor.
        sources: The chunk of base, ours and theirs.
        scale: How much of the changes is added.
    """
    return predict(task_parameters(numbers, scale), sources, memoryview(sources[0]).nbytes).tobytes()


class TiesThresholds:
    """Which changes TIES keeps of one tensor: for each side the bits of the smallest magnitude among them.

    The magnitudes are those of side - base in the working type. Numbers of equal magnitude are kept or dropped together,
    so that nothing depends on where they stand: of a tensor with many equal ones more than the density may be kept.
    """

    __slots__ = ("ours", "theirs")

    def __init__(self, ours: int, theirs: int) -> None:
        self.ours = ours
        self.theirs = theirs


def largest_kept(count: int, density: float) -> int:
    """How many of ``count`` numbers TIES keeps: at least one, of any."""
    return min(count, max(1, round(count * density)))


def find_threshold(
    numbers: NumberFormat, pairs: Callable[[], Iterable[tuple[Buffer, Buffer]]], kept: int
) -> int:
    """The bits of the magnitude that the ``kept``-th largest change of a tensor has. Exact; memory for 65,536 counts.

    Goes through the tensor twice, or four times for float64: each pass settles 16 bits.

    Args:
        numbers: Format of the tensor.
        pairs: Begins a pass over the chunks of base and side.
        kept: From 1 to the count of numbers.

    Source: TIES-Merging (Yadav et al., 2023), the trim step, per tensor.
    """
    bits = 8 * working_type(numbers).itemsize
    prefix = 0
    for shift in range(bits - _DIGIT_BITS, -1, -_DIGIT_BITS):
        counts = np.zeros(1 << _DIGIT_BITS, np.int64)
        for base, side in pairs():
            keys = _magnitudes(_change(numbers, base, side))
            if shift + _DIGIT_BITS < bits:
                keys = keys[keys >> keys.dtype.type(shift + _DIGIT_BITS) == prefix]
            digits = keys >> keys.dtype.type(shift) & keys.dtype.type((1 << _DIGIT_BITS) - 1)
            counts += np.bincount(digits.astype(np.int64), minlength=1 << _DIGIT_BITS)
        from_top = np.cumsum(counts[::-1])
        place = int(np.searchsorted(from_top, kept))
        kept -= int(from_top[place - 1]) if place else 0
        prefix = prefix << _DIGIT_BITS | ((1 << _DIGIT_BITS) - 1 - place)
    return prefix


def ties(numbers: NumberFormat, sources: Sequence[Buffer], thresholds: TiesThresholds, scale: float) -> bytes:
    """One chunk of a TIES merge: changes trimmed, a sign elected for each number, and the mean of those that have it.

    A number that neither side changed enough, or of which the changes cancel out, stays the base's, bit for bit. With
    a scale of 1 a number that one side alone changed is that side's, bit for bit. Half types are computed in float32
    and rounded once.

    Args:
        numbers: Format of the tensor.
        sources: The chunk of base, ours and theirs.
        thresholds: Of the whole tensor.
        scale: How much of the mean is added.

    Source: TIES-Merging (Yadav et al., 2023).
    """
    base, ours, theirs = sources
    with np.errstate(all="ignore"):
        start = widen(words_of(base, numbers), numbers)
        changes = [
            _trimmed(_change(numbers, base, side), threshold)
            for side, threshold in ((ours, thresholds.ours), (theirs, thresholds.theirs))
        ]
        elected = np.sign(changes[0] + changes[1])
        counted = [(np.sign(change) == elected) & (change != 0) for change in changes]
        # NaN has no sign and equals nothing: what is not a number stays visible.
        is_nan = np.isnan(elected)
        total = np.where(counted[0], changes[0], 0) + np.where(counted[1], changes[1], 0)
        mean = np.where(counted[0] & counted[1], total / 2, total).astype(start.dtype)
        computed = (start + start.dtype.type(scale) * mean).astype(start.dtype)
        words = narrow(np.where(is_nan, elected, computed).astype(start.dtype), numbers)
        words = np.where(counted[0] | counted[1] | is_nan, words, words_of(base, numbers))
        if scale == 1:
            words = np.where(counted[0] & ~counted[1], words_of(ours, numbers), words)
            words = np.where(counted[1] & ~counted[0], words_of(theirs, numbers), words)
    return words.tobytes()


def _change(numbers: NumberFormat, base: Buffer, side: Buffer) -> Floats:
    """Side - base; zero where the bits are equal, also of infinities and NaN."""
    words = words_of(base, numbers), words_of(side, numbers)
    with np.errstate(all="ignore"):
        change = np.subtract(widen(words[1], numbers), widen(words[0], numbers))
    change[words[0] == words[1]] = 0
    return change


def _trimmed(change: Floats, threshold: int) -> Floats:
    keys = _magnitudes(change)
    return np.where(keys >= keys.dtype.type(threshold), change, change.dtype.type(0))


def _magnitudes(values: Floats) -> Keys:
    """Unsigned integers in the order of the magnitudes; NaN comes behind infinity, all of them as one."""
    word = np.dtype("<u8") if values.dtype.itemsize == 8 else np.dtype("<u4")
    infinity = np.array([np.inf], values.dtype).view(word)[0]
    keys: Keys = np.minimum(np.abs(values).view(word), infinity + word.type(1))
    return keys
