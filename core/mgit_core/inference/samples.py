"""What is looked at of a model: a block of rows of some of its matrices, the same for every relative.

Places follow from shapes alone, so that a cast, whose chunks are cut elsewhere, is looked at in the same items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgit_core.manifest import Parameter
from mgit_core.tensor import AnyArray, TensorSpec

__all__ = [
    "MOST_ITEMS",
    "MOST_TENSORS",
    "Numbers",
    "SampledModel",
    "block_range",
    "choose_compared",
    "is_comparable",
    "is_float",
    "numbers_of",
    "rows_of",
]

MOST_TENSORS = 24
"""So many matrices tell relatives from strangers in models of any size; each costs a chunk or two to read."""

MOST_ITEMS = 65_536
"""Items of a block: 16 rows of a width of 4,096, in which adapters of rank 8 can still be seen."""

# Fewer items than these are alike by chance.
_FEWEST_ITEMS = 64

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SampledModel:
    """Blocks of a model's matrices.

    Attributes:
        blocks: Items of ``block_range``, flat, in the tensor's data type, by the *child's* parameter name.
    """

    blocks: Mapping[str, AnyArray]


def is_float(spec: TensorSpec) -> bool:
    """Whether the items are floating-point numbers."""
    return spec.dtype.startswith(("float", "bfloat"))


def is_comparable(spec: TensorSpec) -> bool:
    """Whether a tensor tells who a model is: a matrix of floats. Biases and norms begin equal in strangers."""
    rows = spec.shape[0] if spec.shape else 0
    return is_float(spec) and len(spec.shape) > 1 and rows > 1 and math.prod(spec.shape) >= _FEWEST_ITEMS


def choose_compared(parameters: Sequence[Parameter], most: int = MOST_TENSORS) -> list[Parameter]:
    """The matrices that are looked at, in order: all of them, or ``most``, evenly from the first to the last."""
    matrices = [parameter for parameter in parameters if is_comparable(parameter.spec)]
    if len(matrices) <= most:
        return matrices
    places = np.linspace(0, len(matrices) - 1, most).round().astype(int)
    return [matrices[place] for place in places.tolist()]


def rows_of(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a tensor as a matrix: its first axis, and all others together."""
    return shape[0], math.prod(shape[1:])


def block_range(shape: Sequence[int], most: int = MOST_ITEMS) -> tuple[int, int]:
    """The items ``[start, stop)``, in C order, that are looked at: whole rows in the middle, as many as fit.

    Of a row that is longer than ``most`` its beginning.
    """
    rows, columns = rows_of(shape)
    taken = max(1, min(rows, most // columns))
    first = (rows - taken) // 2
    start = first * columns
    return start, min(start + most, (first + taken) * columns)


def numbers_of(block: AnyArray) -> Numbers:
    """A block as numbers that differences are taken of; what is no number counts as zero."""
    numbers = block.astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, 0.0)
