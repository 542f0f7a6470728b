"""How far relatives are from a model, and from each other, in the blocks that were read of all of them.

One table of inner products says it all: entry (i, j) is that of the differences of the model to relatives i and j,
each tensor divided by its own length. So a distance of 0 is equality, and strangers are at the square root of 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mgit_core.inference.samples import Numbers, SampledModel, numbers_of
from mgit_core.tensor import AnyArray

__all__ = ["Distances", "common_tensors", "cosine", "measure", "rounding_noise", "tensor_cosines"]

# A model with fewer zeros than these in its matrices was not pruned.
_SPARSE = 0.05
# Nobody has a tensor that is so far from everybody's: a new head of the same shape.
_FAR = 0.9
# A cosine of so many numbers is right within a hundredth.
_ENOUGH = 10_000
_MANTISSA_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
_NARROW_MANTISSA_BITS = 2  # Of eight bits, at least.


@dataclass(frozen=True, slots=True)
class Distances:
    """Inner products of differences to a model.

    Attributes:
        products: A square table in the order of the relatives, mean over tensors.
        noise: Squared distance that rounding the model's own numbers makes, on the same scale.
    """

    products: Numbers
    noise: float

    def to_model(self, relative: int) -> float:
        """Squared distance of a relative to the model."""
        return float(self.products[relative, relative])

    def between(self, one: int, other: int) -> float:
        """Squared distance of two relatives."""
        products = self.products
        return float(max(0.0, products[one, one] + products[other, other] - 2 * products[one, other]))

    def corner(self, at: int, other: int) -> float:
        """Inner product of the ways from relative ``at`` to the model and to ``other``."""
        return float(self.products[at, at] - self.products[at, other])


def cosine(one: AnyArray, other: AnyArray) -> float:
    """Cosine of two blocks after their means were taken off; 0.0 if one of them is all equal."""
    step = max(1, one.size // _ENOUGH)
    ours, theirs = numbers_of(one[::step]), numbers_of(other[::step])
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float(ours @ theirs) / lengths if lengths else 0.0


def tensor_cosines(model: SampledModel, relative: SampledModel) -> dict[str, float]:
    """Cosine of each tensor that both have, by name."""
    return {
        name: cosine(block, relative.blocks[name])
        for name, block in model.blocks.items()
        if name in relative.blocks
    }


def common_tensors(model: SampledModel, relatives: Sequence[SampledModel]) -> list[str]:
    """Names of the tensors that the model and all relatives have, and that somebody has nearly like the model."""
    names = []
    for name, block in model.blocks.items():
        if all(name in relative.blocks for relative in relatives):
            own = numbers_of(block)
            length = _squared_length(own)
            gaps = (_squared_length(own - numbers_of(each.blocks[name])) for each in relatives)
            if length and min(gaps, default=0.0) < _FAR * length:
                names.append(name)
    return names


def measure(model: SampledModel, relatives: Sequence[SampledModel], names: Sequence[str]) -> Distances:
    """The distances over the tensors called ``names``, which all have.

    Where a model is sparse only its weights that are not zero count: what pruning took says nothing of who was
    pruned.
    """
    products = np.zeros((len(relatives), len(relatives)))
    noise = 0.0
    for name in names if relatives else ():
        block = model.blocks[name]
        own = numbers_of(block)
        kept = own != 0
        if kept.mean() > 1 - _SPARSE:
            kept[:] = True
        length = _squared_length(own[kept])
        if not length:
            continue
        gaps = np.stack([own[kept] - numbers_of(each.blocks[name])[kept] for each in relatives])
        products += gaps @ gaps.T / length
        noise += rounding_noise(block.dtype.name, own[kept]) / length
    return Distances(products / max(1, len(names)), noise / max(1, len(names)))


def rounding_noise(dtype: str, numbers: Numbers) -> float:
    """Squared length of the error that rounding such numbers to ``dtype`` makes on the average."""
    _, exponents = np.frexp(numbers)
    bits = _MANTISSA_BITS.get(dtype, _NARROW_MANTISSA_BITS)
    steps = np.exp2(exponents.astype(np.float64) - 1 - bits)
    steps[numbers == 0] = 0.0
    return _squared_length(steps) / 12


def _squared_length(numbers: Numbers) -> float:
    return float(numbers @ numbers)
