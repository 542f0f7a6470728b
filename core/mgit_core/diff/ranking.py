"""The rank of a matrix that is seen some rows at a time."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST_RANK", "MOST_COLUMNS", "RankSketch"]

Matrix: TypeAlias = npt.NDArray[np.float64]

LARGEST_RANK = 64
"""A larger rank is not told."""

MOST_COLUMNS = 65_536
"""Of wider matrices the random directions alone would take more memory than the work is worth."""

# Some directions more than are told: the last ones of a random sketch cannot be told from rounding.
_WIDTH = LARGEST_RANK + 8
# The more rows the sketch has beside its columns, the less do its singular values scatter.
_HEIGHT = 192
# Any will do; a fixed one makes answers repeatable.
_SEED = 20_261_127
# What is left may be so much more than rounding makes on the average.
_SLACK = 1.5
# Products in float32 and in float64 leave about this of what they were given.
_SINGLE_ERROR, _DOUBLE_ERROR = 1e-6, 1e-14


class RankSketch:
    """Sketches a matrix of any size in ``192 x 72`` numbers, and tells its numerical rank up to 64.

    The matrix is multiplied with random directions from both sides, which keeps its rank up to their number with
    probability one. A direction counts while what is left without it is clearly more than rounding would leave; weak
    directions beside strong rounding are missed.
    """

    def __init__(self, rows: int, columns: int, *, is_double: bool) -> None:
        """Prepare for a matrix.

        Args:
            rows: Its rows.
            columns: Its columns, ``MOST_COLUMNS`` at most.
            is_double: Whether float32 is too coarse for it.
        """
        self._smaller_side = min(rows, columns)
        self._dtype = np.dtype(np.float64 if is_double else np.float32)
        self._error = _DOUBLE_ERROR if is_double else _SINGLE_ERROR
        self._right = self._directions(0, (columns, _WIDTH))
        self._sketch: Matrix = np.zeros((_HEIGHT, _WIDTH))
        self._noise = 0.0

    def take(self, first_row: int, rows: Matrix, noise: float) -> None:
        """Take some rows, each once, in any order.

        Args:
            first_row: Where they begin.
            rows: The rows.
            noise: Squared length of what rounding makes of them on the average.
        """
        self._noise += noise
        with np.errstate(over="ignore", invalid="ignore"):
            thin = rows.astype(self._dtype) @ self._right
            self._sketch += self._directions(1 + first_row, (_HEIGHT, len(rows))) @ thin

    def rank(self) -> tuple[int | None, bool]:
        """The numerical rank, and whether it may be higher; None if the numbers are too large to tell."""
        if not np.isfinite(self._sketch).all():
            return None, False
        with np.errstate(over="ignore"):
            values = np.linalg.svd(self._sketch, compute_uv=False) ** 2
        # What is left behind the first r singular values, for each r.
        left = np.append(np.cumsum(values[::-1])[::-1], 0.0)
        if not np.isfinite([left[0], self._noise]).all():
            return None, False
        counts = np.arange(len(left))
        allowed = _SLACK * self._noise * (_WIDTH - counts) * (_HEIGHT - counts)
        rank = int(np.argmax(left <= allowed + self._error**2 * left[0]))
        if rank >= self._smaller_side:
            return self._smaller_side, False
        return min(rank, LARGEST_RANK), rank > LARGEST_RANK

    def _directions(self, number: int, shape: tuple[int, int]) -> npt.NDArray[np.floating]:
        random = np.random.default_rng((_SEED, number))
        return random.standard_normal(shape, np.float32).astype(self._dtype, copy=False)
