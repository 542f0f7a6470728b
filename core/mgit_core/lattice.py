"""Guarded loss of one tensor: weights moved to whole steps from their base.

For weights ``x`` and base ``p``, with ``d = x - p`` taken in float64::

    step = float32(k * root mean square of the d that are not 0)
    q    = d / step, rounded to the nearest whole number, ties to even
    x'   = p + q * step, in float64 and then rounded once to the type of the tensor, ties to even

Weights that are zero, weights that are equal to the base's, and weights that would become infinite stay as they
are. So ``|x' - x|`` is at most half a step and one rounding. Blocks of a tensor are independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgit_core.coding.floats import widen
from mgit_core.coding.numbers import format_of_dtype, word_type
from mgit_core.coding.predictors.lattice import on_lattice, steps_to
from mgit_core.tensor import AnyArray, name_of_dtype

__all__ = [
    "LOSSY_DTYPES",
    "Change",
    "Errors",
    "measure_change",
    "measure_errors",
    "move_to_lattice",
    "step_of_change",
    "step_of_epsilon",
]

LOSSY_DTYPES = frozenset({"float16", "bfloat16", "float32"})
"""Types of tensors that may lose something; all others stay exact."""

# The store keeps the whole numbers of a lattice in 32 bits.
_MOST_STEPS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far a tensor, or a part of one, is from its base.

    Attributes:
        count: Weights that differ from the base and are not 0.
        square_sum: Sum of the squares of their differences.
        largest: Largest absolute difference.
        is_finite: Whether neither the tensor nor its base has NaN or infinity.
    """

    count: int = 0
    square_sum: float = 0.0
    largest: float = 0.0
    is_finite: bool = True

    def __add__(self, other: Change) -> Change:
        return Change(
            count=self.count + other.count,
            square_sum=self.square_sum + other.square_sum,
            largest=max(self.largest, other.largest),
            is_finite=self.is_finite and other.is_finite,
        )

    @property
    def rms(self) -> float:
        """Root mean square of the differences; 0 without any."""
        return math.sqrt(self.square_sum / self.count) if self.count else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """What moving a tensor, or a part of one, to a lattice changed.

    Attributes:
        largest: Largest absolute error.
        square_sum: Sum of the squares of the errors.
    """

    largest: float = 0.0
    square_sum: float = 0.0

    def __add__(self, other: Errors) -> Errors:
        return Errors(largest=max(self.largest, other.largest), square_sum=self.square_sum + other.square_sum)


def measure_change(weights: AnyArray, base: AnyArray) -> Change:
    """How far ``weights`` are from ``base``; of one shape and one of ``LOSSY_DTYPES``."""
    wide, difference = _differences(weights, base)
    if not (np.isfinite(wide).all() and np.isfinite(difference).all()):
        return Change(is_finite=False)
    difference[wide == 0] = 0
    return Change(
        count=int(np.count_nonzero(difference)),
        square_sum=float(np.dot(difference.ravel(), difference.ravel())),
        largest=float(np.abs(difference).max(initial=0)),
    )


def step_of_change(change: Change, k: float) -> float | None:
    """The step for ``k`` times a tensor's own change; None where the tensor has to stay exact."""
    return _usable(k * change.rms, change)


def step_of_epsilon(change: Change, epsilon: float) -> float | None:
    """The step ``2 ln(1 + epsilon)`` of the MGit paper; None where the tensor has to stay exact."""
    return _usable(2 * math.log1p(epsilon), change)


def _usable(step: float, change: Change) -> float | None:
    if not change.is_finite or not change.count:
        return None
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(np.float32(step))
    # A step of less than a normal float32 would not be k times the change any more.
    is_usable = float(np.finfo(np.float32).tiny) <= rounded < math.inf
    return rounded if is_usable and change.largest / rounded < _MOST_STEPS else None


def move_to_lattice(weights: AnyArray, base: AnyArray, step: float) -> AnyArray:
    """The weights at whole steps from ``base``, a new array of the type of ``weights``.

    Args:
        weights: Finite, contiguous, with one axis, of one of ``LOSSY_DTYPES``.
        base: As many, finite, of the same type.
        step: As ``step_of_change`` or ``step_of_epsilon`` gave it.
    """
    numbers = format_of_dtype(name_of_dtype(weights.dtype))
    words = word_type(numbers)
    wide, wide_base = widen(weights.view(words), numbers), widen(base.view(words), numbers)
    multiples = steps_to(wide, wide_base, step)
    assert multiples is not None  # noqa: S101 - a usable step leads to counts that fit
    moved = on_lattice(wide_base, multiples, step, numbers).view(weights.dtype)
    is_kept = (wide == 0) | ~np.isfinite(widen(moved.view(words), numbers))
    return np.where(is_kept, weights, moved)


def measure_errors(weights: AnyArray, moved: AnyArray) -> Errors:
    """What changed from ``weights`` to ``moved``."""
    _, error = _differences(moved, weights)
    return Errors(
        largest=float(np.abs(error).max(initial=0)), square_sum=float(np.dot(error.ravel(), error.ravel()))
    )


def _differences(
    weights: AnyArray, base: AnyArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    wide = weights.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return wide, wide - base.astype(np.float64)
