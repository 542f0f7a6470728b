"""Numbers for conflicts, each a predictor of the format: what is computed by it is stored with nothing left over.

No result depends on the order of the sides: all that is done with both is a sum of two, which commutes, and every NaN
that is computed becomes the one NaN of its format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import Buffer

from mgit_core.coding.encoded import Predictor
from mgit_core.coding.floats import working_type
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.predictors import combination, predict
from mgit_core.coding.predictors import ties as ties_predictor

__all__ = ["Computation", "average", "find_threshold", "largest_kept", "task_arithmetic", "ties"]

_DIGIT_BITS = 16


@dataclass(frozen=True, slots=True)
class Computation:
    """How chunks are computed; half types in float32, rounded once.

    Attributes:
        predictor: Which one.
        parameters: Of it.
    """

    predictor: Predictor
    parameters: bytes

    def of(self, sources: Sequence[Buffer]) -> bytes:
        """What comes of one chunk of each source, of equal size, in the order of the predictor."""
        size_bytes = memoryview(sources[0]).nbytes
        return predict(self.predictor, self.parameters, sources, size_bytes).tobytes()


def average(numbers: NumberFormat) -> Computation:
    """The mean of ours and theirs: (ours + theirs) / 2."""
    return Computation(
        Predictor.COMBINATION, combination.make_parameters(numbers, combination.Order.SUM_THEN_DIVIDE)
    )


def task_arithmetic(numbers: NumberFormat, scale: float) -> Computation:
    """Of base, ours and theirs: base + (scale (ours - base) + scale (theirs - base))."""
    order = combination.Order.TASKS_FIRST
    return Computation(Predictor.COMBINATION, combination.make_parameters(numbers, order, (scale, scale)))


def ties(numbers: NumberFormat, thresholds: tuple[int, int], scale: float) -> Computation:
    """The TIES merge of base, ours and theirs.

    Numbers whose changes are of equal magnitude are kept or dropped together, so that nothing depends on where they
    stand: of a tensor with many equal ones more than the density may be kept.

    Args:
        numbers: Format of the tensor.
        thresholds: Of the whole tensor, as ``find_threshold`` gives them for ours and theirs.
        scale: How much of the mean is added.
    """
    return Computation(Predictor.TIES, ties_predictor.make_parameters(numbers, scale, thresholds))


def largest_kept(count: int, density: float) -> int:
    """How many of ``count`` numbers TIES keeps: at least one, of any."""
    return min(count, max(1, round(count * density)))


def find_threshold(
    numbers: NumberFormat, pairs: Callable[[], Iterable[tuple[Buffer, Buffer]]], kept: int
) -> int:
    """The magnitude that the ``kept``-th largest change of a tensor has. Exact; memory for 65,536 counts.

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
            keys = ties_predictor.magnitudes_of_change(
                words_of(base, numbers), words_of(side, numbers), numbers
            )
            if shift + _DIGIT_BITS < bits:
                keys = keys[keys >> keys.dtype.type(shift + _DIGIT_BITS) == prefix]
            digits = keys >> keys.dtype.type(shift) & keys.dtype.type((1 << _DIGIT_BITS) - 1)
            counts += np.bincount(digits.astype(np.int64), minlength=1 << _DIGIT_BITS)
        from_top = np.cumsum(counts[::-1])
        place = int(np.searchsorted(from_top, kept))
        kept -= int(from_top[place - 1]) if place else 0
        prefix = prefix << _DIGIT_BITS | ((1 << _DIGIT_BITS) - 1 - place)
    return prefix
