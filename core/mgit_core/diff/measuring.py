"""By how much the numbers of two tensors differ, seen a window at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mgit_core.diff.ranking import MOST_COLUMNS, RankSketch
from mgit_core.diff.values import ParameterChange
from mgit_core.tensor import TensorSpec, dtype_named

__all__ = ["WINDOW_ITEMS", "ChangeGauge", "common_items", "window_starts"]

Numbers: TypeAlias = npt.NDArray[np.float64]
Content: TypeAlias = bytes | memoryview

WINDOW_ITEMS = 1 << 18
"""Items of a window: 1 MiB of float32, and 2 MiB for each array of float64 that is made of them."""

_MANTISSA_BITS = {
    "float64": 52,
    "float32": 23,
    "float16": 10,
    "bfloat16": 7,
    "float8_e4m3fn": 3,
    "float8_e4m3fnuz": 3,
    "float8_e5m2": 2,
    "float8_e5m2fnuz": 2,
    "float8_e8m0fnu": 0,
}

_FLOAT64_MANTISSA_BITS, _FLOAT64_EXPONENTS, _FLOAT64_BIAS = 52, 0x7FF, 1023

# Squares of numbers beyond these leave the range of float64.
_LARGE, _SMALL = 1e140, 1e-140


def common_items(before: TensorSpec, after: TensorSpec) -> int:
    """Items that can be compared: all of equal shapes, of those with other rows alone the common ones, else none."""
    if before.shape == after.shape:
        return math.prod(before.shape)
    if len(before.shape) == len(after.shape) > 0 and before.shape[1:] == after.shape[1:]:
        return min(before.shape[0], after.shape[0]) * math.prod(before.shape[1:])
    return 0


def window_starts(spec: TensorSpec, items: int) -> range:
    """First item of each window over the first ``items``: whole rows, as many as fit, or parts of long rows."""
    columns = math.prod(spec.shape[1:])
    step = max(1, WINDOW_ITEMS // columns) * columns if 0 < columns <= WINDOW_ITEMS else WINDOW_ITEMS
    return range(0, items, step)


@dataclass(slots=True)
class _Sums:
    """What adds up over windows; lengths are not squared, so that no number is too large."""

    differing: int = 0
    not_finite: int = 0
    before_zeros: int = 0
    after_zeros: int = 0
    before_norm: float = 0.0
    after_norm: float = 0.0
    change_norm: float = 0.0
    largest: float = 0.0
    product: float = 0.0


class ChangeGauge:
    """Measures how two tensors with common items differ. Every window is taken once, in any order.

    Memory does not depend on the tensors: about 12 arrays of a window's numbers, and 20 MiB for a rank.
    """

    def __init__(self, before: TensorSpec, after: TensorSpec) -> None:
        """Prepare for two tensors with ``common_items``."""
        self._before, self._after = before, after
        self._items = common_items(before, after)
        self._sums = _Sums()
        self._columns = math.prod(before.shape[1:])
        self._sketch = self._open_sketch()

    def _open_sketch(self) -> RankSketch | None:
        rows = self._items // self._columns if self._columns else 0
        are_floats = all(spec.dtype in _MANTISSA_BITS for spec in (self._before, self._after))
        if not are_floats or min(rows, self._columns) < 2 or self._columns > MOST_COLUMNS:
            return None
        return RankSketch(rows, self._columns, is_double="float64" in {self._before.dtype, self._after.dtype})

    def take(self, start: int, before: Content, after: Content | None) -> None:
        """Take the items from ``start`` on.

        Args:
            start: One of ``window_starts``.
            before: Their bytes before.
            after: Their bytes after; None where they are the same.
        """
        one = _numbers(before, self._before)
        if after is None:
            self._take_equal(one)
            return
        other = _numbers(after, self._after)
        finite = np.isfinite(one) & np.isfinite(other)
        differs = self._differing(before, after, one, other)
        sums = self._sums
        sums.differing += int(np.count_nonzero(differs))
        sums.before_zeros += int(np.count_nonzero(one == 0))
        sums.after_zeros += int(np.count_nonzero(other == 0))
        if not finite.all():
            sums.not_finite += int(np.count_nonzero(~finite))
            one, other = np.where(finite, one, 0.0), np.where(finite, other, 0.0)
            differs &= finite
        # Of two large numbers the difference may be infinite, and is told so.
        with np.errstate(over="ignore"):
            change = other - one
        sums.before_norm = math.hypot(sums.before_norm, _length(one))
        sums.after_norm = math.hypot(sums.after_norm, _length(other))
        sums.change_norm = math.hypot(sums.change_norm, _length(change))
        sums.largest = max(sums.largest, float(np.abs(change).max(initial=0.0)))
        sums.product += _product(one, other)
        self._sketch_rows(start, change, differs, (one, other))

    def _take_equal(self, numbers: Numbers) -> None:
        finite = np.isfinite(numbers)
        zeros = int(np.count_nonzero(numbers == 0))
        sums = self._sums
        sums.before_zeros += zeros
        sums.after_zeros += zeros
        if not finite.all():
            sums.not_finite += int(np.count_nonzero(~finite))
            numbers = np.where(finite, numbers, 0.0)
        length = _length(numbers)
        sums.before_norm = math.hypot(sums.before_norm, length)
        sums.after_norm = math.hypot(sums.after_norm, length)
        sums.product += _product(numbers, numbers)

    def _differing(
        self, before: Content, after: Content, one: Numbers, other: Numbers
    ) -> npt.NDArray[np.bool_]:
        if self._before.dtype != self._after.dtype:
            return np.asarray((one != other) & ~(np.isnan(one) & np.isnan(other)), np.bool_)
        bits = np.dtype(f"u{self._before.number_bytes}")
        return np.asarray(np.frombuffer(before, bits) != np.frombuffer(after, bits), np.bool_)

    def _sketch_rows(
        self, start: int, change: Numbers, differs: npt.NDArray[np.bool_], sides: tuple[Numbers, Numbers]
    ) -> None:
        if self._sketch is None or not differs.any():
            return
        noise = sum(
            _rounding(numbers, differs, spec.dtype)
            for numbers, spec in zip(sides, (self._before, self._after), strict=True)
        )
        self._sketch.take(start // self._columns, change.reshape(-1, self._columns), noise)

    def finish(self) -> ParameterChange:
        """What was measured over all windows that were taken."""
        sums = self._sums
        rank, is_bound = (None, False) if self._sketch is None else self._sketch.rank()
        lengths = sums.before_norm * sums.after_norm
        cosine = sums.product / lengths if lengths else math.nan
        return ParameterChange(
            compared=self._items * (self._before.itemsize // self._before.number_bytes),
            differing=sums.differing,
            not_finite=sums.not_finite,
            before_zeros=sums.before_zeros,
            after_zeros=sums.after_zeros,
            before_norm=sums.before_norm,
            after_norm=sums.after_norm,
            change_norm=sums.change_norm,
            largest=sums.largest,
            cosine=max(-1.0, min(1.0, cosine)) if math.isfinite(cosine) else None,
            rank=rank,
            rank_is_bound=is_bound,
        )


def _numbers(content: Content, spec: TensorSpec) -> Numbers:
    items = np.frombuffer(content, dtype_named(spec.dtype))
    if spec.dtype.startswith("complex"):
        items = items.view(np.dtype(f"<f{spec.number_bytes}"))
    # What a signaling NaN says when it is widened is no news.
    with np.errstate(invalid="ignore"):
        return items.astype(np.float64)


def _length(numbers: Numbers) -> float:
    largest = float(np.abs(numbers).max(initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    if _SMALL < largest < _LARGE:
        return math.sqrt(float(numbers @ numbers))
    scaled = numbers / largest
    return largest * math.sqrt(float(scaled @ scaled))


def _product(one: Numbers, other: Numbers) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(one @ other)


def _rounding(numbers: Numbers, differs: npt.NDArray[np.bool_], dtype: str) -> float:
    """Squared length of the error that rounding to a data type makes on the average of those that differ."""
    exponents = (numbers.view(np.int64) >> _FLOAT64_MANTISSA_BITS) & _FLOAT64_EXPONENTS
    counts = np.bincount(exponents[differs], minlength=_FLOAT64_EXPONENTS + 1)
    counts[0] = 0  # Zeros, and what is too small to matter.
    steps = np.arange(len(counts)) - _FLOAT64_BIAS - _MANTISSA_BITS[dtype]
    with np.errstate(over="ignore"):
        squares = np.ldexp(counts.astype(np.float64), 2 * steps)
    return float(squares.sum()) / 12
