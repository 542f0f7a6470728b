"""Hypotheses about one tensor, elementwise ones, each judged by the same sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mgit_core.coding.encoded import Predictor
from mgit_core.coding.floats import Rounding
from mgit_core.coding.predictors import cast, mask, scale
from mgit_core.prediction.combining import find_combination
from mgit_core.prediction.hypotheses import Hypothesis, Part, Reach
from mgit_core.prediction.sampled import SampledTensor
from mgit_core.prediction.sources import SourceTensor
from mgit_core.tensor import TensorSpec

__all__ = ["Trials", "base_of"]

_MATRIX = 2
# Whoever reads pays for an operation: it has to leave so much less than the base alone.
_CLEARLY = 0.92


def base_of(target: TensorSpec, source: SourceTensor) -> Hypothesis | None:
    """The source as it is, if its rows fit: a tensor with more, fewer or shorter rows was resized."""
    own = source.spec
    if own.dtype != target.dtype or len(own.shape) != len(target.shape) or 0 in own.shape:
        return None
    if own.shape[1:] == target.shape[1:]:
        return Hypothesis(predictor=Predictor.BASE, parts=(Part(source),))
    is_longer = len(own.shape) == _MATRIX and own.shape[1] > target.shape[1]
    return Hypothesis(predictor=Predictor.BASE, parts=(Part(source, Reach.HEADS),)) if is_longer else None


class Trials:
    """Tries out where a tensor may have come from."""

    def __init__(self, tensor: SampledTensor) -> None:
        self._tensor = tensor

    def casts(self, source: SourceTensor) -> Iterator[Hypothesis]:
        """The source rounded to the tensor's type, or widened to it."""
        own = source.numbers
        if own == self._tensor.numbers or source.spec.shape != self._tensor.spec.shape:
            return
        if not (own.is_float and self._tensor.numbers.is_float):
            return
        for rounding in Rounding if own.width >= self._tensor.numbers.width else (Rounding.NEAREST_EVEN,):
            found = Hypothesis(
                predictor=Predictor.CAST,
                parts=(Part(source),),
                parameters=cast.make_parameters(own, self._tensor.numbers, rounding),
            )
            yield replace(found, cost=self._tensor.cost(found))

    def masks(self, base: Hypothesis) -> Iterator[Hypothesis]:
        """The base with zeros where the tensor has them; which, is completed for each chunk."""
        if not self._tensor.numbers.is_float:
            return
        own, source = (
            self._tensor.words(self._tensor.sample.content),
            self._tensor.words(self._tensor.read(base.parts[0])),
        )
        found = mask.find_mask(own, source) if own.size == source.size else None
        if found is None:
            return
        overhead = 0.0
        if found.flags is not None:
            share = float(found.flags.mean())
            overhead = -share * np.log2(share) - (1 - share) * np.log2(1 - share) if share < 1 else 0.0
        cost = self._tensor.cost_of(found.apply(source).view(np.uint8))
        yield Hypothesis(
            predictor=Predictor.MASK,
            parts=base.parts,
            parameters=b"",
            cost=cost + float(overhead),
        )

    def scales(self, base: Hypothesis) -> Iterator[Hypothesis]:
        """The base times one factor."""
        if not self._tensor.numbers.is_float:
            return
        own, source = (
            self._tensor.values(self._tensor.sample.content),
            self._tensor.values(self._tensor.read(base.parts[0])),
        )
        if own.size != source.size:
            return
        with np.errstate(all="ignore"):
            ratios = own / source
        ratios = ratios[np.isfinite(ratios) & (ratios != 0)]
        factor = float(np.median(ratios)) if ratios.size else 1.0
        for rounded in dict.fromkeys((float(f"{factor:.6g}"), factor)):
            found = Hypothesis(
                predictor=Predictor.SCALE,
                parts=base.parts,
                parameters=scale.make_parameters(self._tensor.numbers, rounded),
            )
            found = replace(found, cost=self._tensor.cost(found))
            # The median of what training did is a number too, but no factor that it had.
            if found.cost < base.cost * _CLEARLY:
                yield found

    def combinations(
        self,
        members: Sequence[SourceTensor],
        declared: Sequence[float] | None,
        base: SourceTensor | None = None,
    ) -> list[Hypothesis]:
        """The best combination of several sources of the tensor's own type and shape, if there is one.

        Args:
            members: The sources.
            declared: Their weights, if somebody declared them.
            base: What the members were made from, for task arithmetic.
        """
        if not self._tensor.numbers.is_float:
            return []
        parts = [Part(source) for source in (*members, *([base] if base else []))]
        found = find_combination(
            self._tensor.numbers,
            self._tensor.words(self._tensor.sample.content),
            [self._tensor.words(self._tensor.read(part)) for part in parts],
            declared=declared,
            base=len(members) if base else None,
        )
        if found is None:
            return []
        return [
            Hypothesis(
                predictor=Predictor.COMBINATION,
                parts=tuple(parts[position] for position in found.members),
                parameters=found.parameters,
                cost=found.cost,
            )
        ]
