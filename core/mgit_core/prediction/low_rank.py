"""Low rank: whether the difference of two matrices is the product of two thin ones, and which.

Everything here only finds factors. What they predict is defined by the predictor, so it does not matter that a
matrix product sums in another order on another machine: it would find other factors, as good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "DifferenceBlock",
    "Factors",
    "Float32Matrix",
    "Matrix",
    "find_factors",
    "fit_scale",
    "visible_rank",
]

Matrix: TypeAlias = npt.NDArray[np.float64]
Float32Matrix: TypeAlias = npt.NDArray[np.float32]

_OVERSAMPLING = 8
_FEWEST_ROWS = 16
# Rounding leaves a floor of singular values behind the real ones; a drop by less than this is no drop.
_SMALLEST_DROP = 2.5
# Each goes over the difference once more; the third and later ones gain little.
_REFINEMENTS = 3
# The work for it grows with the square of the rank.
_LARGEST_REFINED_RANK = 16
_WIDEST_EXPONENTS = 12
# Share of the difference, squared, that may lie behind the drop. Training leaves far more, also where it has one
# strong direction, and a few per cent are not worth a product for every read.
_MOST_LEFT = 0.02
# Seed of the random directions. Any will do; a fixed one makes plans repeatable.
_SEED = 20_240_229


@dataclass(frozen=True, slots=True)
class Factors:
    """Two thin matrices.

    Attributes:
        left: One row for each row of the difference.
        right: One column for each of its columns.
    """

    left: Float32Matrix
    right: Float32Matrix

    @property
    def size_bytes(self) -> int:
        """Bytes of both."""
        return self.left.nbytes + self.right.nbytes


def visible_rank(difference: Matrix) -> int:
    """In how many dimensions some rows of a difference lie, up to rounding; 0 if those are not few.

    Few are half as many as there are rows at most.

    Args:
        difference: Rows that were sampled, at least some tens.
    """
    # Rows that training never touched would pass for few dimensions.
    changed = difference[difference.any(axis=1)]
    if len(changed) < _FEWEST_ROWS:
        return 0
    # Some rows move far more than others, and a few of those are few dimensions too.
    changed = changed / np.linalg.norm(changed, axis=1, keepdims=True)
    columns = min(changed.shape)
    directions = np.random.default_rng(_SEED).standard_normal((changed.shape[1], columns))
    images = changed @ directions
    # The last values of a random matrix drop sharply too.
    return _rank(np.linalg.svd(images, compute_uv=False), columns // 2) if _is_finite(images) else 0


@dataclass(frozen=True, slots=True)
class DifferenceBlock:
    """Some whole rows of a difference.

    Attributes:
        difference: How far the numbers are from the base.
        exponents: Binary exponent of each number: rounding left an error of that size in the difference.
    """

    difference: Matrix
    exponents: npt.NDArray[np.int32]

    def weights(self) -> Matrix:
        """One over the square of each number's rounding error, up to a factor; at most 2^24 times the least."""
        largest = self.exponents.max(initial=0)
        weights: Matrix = np.ldexp(1.0, 2 * np.minimum(largest - self.exponents, _WIDEST_EXPONENTS))
        return weights


def find_factors(
    blocks: Callable[[], Iterable[DifferenceBlock]], rows: int, columns: int, rank: int
) -> Factors | None:
    """Factors of a difference that comes in blocks of rows, or None if its rank is larger than expected.

    A singular value decomposition finds the rank, and factors that are off by what rounding added to the large
    numbers. Least squares that trust each number as far as it was rounded then halve what the factors miss.
    Goes over the blocks some times and holds one at a time, besides some more rows and columns than the rank.

    Args:
        blocks: Gives the blocks anew, in order.
        rows: Rows of all blocks.
        columns: Columns of each.
        rank: What a sample shows.
    """
    width = min(rank + _OVERSAMPLING, rows, columns)
    directions = np.random.default_rng(_SEED).standard_normal((columns, width))
    images = np.concatenate([block.difference @ directions for block in blocks()])
    if not _is_finite(images):
        return None
    span, _ = np.linalg.qr(images)
    projected = np.zeros((width, columns))
    start = 0
    for block in blocks():
        stop = start + len(block.difference)
        projected += span[start:stop].T @ block.difference
        start = stop
    if not _is_finite(projected):
        return None
    left, values, right = np.linalg.svd(projected, full_matrices=False)
    rank = _rank(values, rank)
    if not rank:
        return None
    if rank > _LARGEST_REFINED_RANK:
        return Factors(
            (span @ (left[:, :rank] * values[:rank])).astype(np.float32), right[:rank].astype(np.float32)
        )
    right = right[:rank]
    try:
        for _ in range(_REFINEMENTS):
            right = _refined(blocks(), right)
        fitted = np.concatenate([_fit_rows(block, right) for block in blocks()])
    except np.linalg.LinAlgError:  # Numbers of so different sizes that no factor fits.
        return None
    return Factors(fitted.astype(np.float32), right.astype(np.float32))


def _refined(blocks: Iterable[DifferenceBlock], right: Matrix) -> Matrix:
    """The right factor that fits best to the left one that fits best to ``right``."""
    rank, columns = right.shape
    squares = np.zeros((columns, rank * rank))
    products = np.zeros((columns, rank))
    for block in blocks:
        left = _fit_rows(block, right)
        weights = block.weights()
        squares += weights.T @ _outer(left)
        products += (weights * block.difference).T @ left
    return _solve(squares, products).T


def _fit_rows(block: DifferenceBlock, right: Matrix) -> Matrix:
    """The rows of the left factor that fit best to ``right``."""
    weights = block.weights()
    return _solve(weights @ _outer(right.T), (weights * block.difference) @ right.T)


def _outer(vectors: Matrix) -> Matrix:
    """The products of all pairs of numbers of each row."""
    return (vectors[:, :, np.newaxis] * vectors[:, np.newaxis, :]).reshape(len(vectors), -1)


def _solve(squares: Matrix, products: Matrix) -> Matrix:
    """Solves the normal equations of each row; a trace of ridge keeps them solvable."""
    count, rank = products.shape
    matrices = squares.reshape(count, rank, rank)
    ridge = np.trace(matrices, axis1=1, axis2=2) * np.finfo(np.float64).eps + np.finfo(np.float64).tiny
    matrices = matrices + ridge[:, np.newaxis, np.newaxis] * np.eye(rank)
    solved: Matrix = np.linalg.solve(matrices, products[..., np.newaxis])[..., 0]
    return solved


def fit_scale(difference: Matrix, product: Matrix) -> float | None:
    """The factor that brings ``product`` nearest to ``difference``; None if there is none that is a number."""
    square = float(np.vdot(product, product))
    scale = float(np.vdot(product, difference)) / square if square else 0.0
    return scale if np.isfinite(scale) and scale else None


def _is_finite(matrix: Matrix) -> bool:
    return bool(np.isfinite(matrix).all())


def _rank(values: npt.NDArray[np.floating[Any]], largest: int) -> int:
    """Number of singular values before the sharpest drop; 0 if there is none, or much lies behind it."""
    most = min(largest, len(values) - 1)
    if most < 1 or not values[0]:
        return 0
    floor = values[0] * np.finfo(np.float64).eps
    drops = values[:most] / np.maximum(values[1 : most + 1], floor)
    rank = int(np.argmax(drops)) + 1
    squares = values**2
    is_sharp = drops[rank - 1] >= _SMALLEST_DROP and squares[rank:].sum() <= _MOST_LEFT * squares.sum()
    return rank if is_sharp else 0
