"""Candidates for the parents of a model, measured: who is related, who stands for the same, who is made from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from mgit_core.inference.distances import Distances, common_tensors, measure, tensor_cosines
from mgit_core.inference.operations import Zeros, compare_zeros, find_rounding
from mgit_core.inference.pairing import Pairing
from mgit_core.inference.samples import SampledModel
from mgit_core.manifest import Manifest

__all__ = ["RELATED", "Candidate", "Family", "screen", "similarity"]

# Strangers of the same shapes are within 0.1 of 0, and what was trained on for long is above 0.5.
RELATED = 0.25
"""Least similarity of relatives."""
# A model that shares less than half of its matrices with another was not made from it as a whole.
_LEAST_SHARED = 0.5
# Two relatives that are nearer to each other than this share of the distance to the model are one to it.
_SAME_PLACE = 0.03
_PRUNED_BY = 0.02
_ZEROS_KEPT = 0.98
# Items that pruning took from a relative are so many times larger than what training moved.
_PRUNED_GROWTH = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that may be a parent.

    Attributes:
        key: Names it for the caller.
        name: Names it in evidence.
        is_older: Whether it was there before the model.
        pairing: How its tensors stand to the model's.
        sample: Blocks of it.
    """

    key: str
    name: str
    is_older: bool
    pairing: Pairing
    sample: SampledModel


def screen(model: SampledModel, others: Sequence[SampledModel]) -> list[int]:
    """Places of those that may be related, nearest first; of equals the first one first."""
    near = [(similarity(model, other), place) for place, other in enumerate(others)]
    return [
        place for value, place in sorted(near, key=lambda each: (-each[0], each[1])) if value >= RELATED / 2
    ]


def similarity(model: SampledModel, other: SampledModel) -> float:
    """Cosine of the middle one of the model's matrices; 0.0 if the other has less than half of them."""
    cosines = tensor_cosines(model, other)
    if not cosines or len(cosines) < _LEAST_SHARED * len(model.blocks):
        return 0.0
    return median(cosines.values())


class Family:
    """The candidates that are related to a model, with all distances among them."""

    def __init__(self, manifest: Manifest, model: SampledModel, candidates: Sequence[Candidate]) -> None:
        """Measure candidates.

        Args:
            manifest: What the model is made of.
            model: Blocks of it.
            candidates: Oldest first.
        """
        self.manifest = manifest
        self.model = model
        self.similarities = [similarity(model, each.sample) for each in candidates]
        kept = [at for at, value in enumerate(self.similarities) if value >= RELATED]
        self.members = [candidates[at] for at in kept]
        self.closest = max(self.similarities, default=0.0)
        self._likeness = {candidates[at].key: self.similarities[at] for at in kept}
        self._zeros: dict[int, Zeros] = {}
        self._is_made_from_model: dict[int, bool] = {}

    def likeness(self, place: int) -> float:
        """Similarity of a member."""
        return self._likeness[self.members[place].key]

    @cached_property
    def names(self) -> list[str]:
        """Tensors that all members have."""
        return common_tensors(self.model, [each.sample for each in self.members])

    @cached_property
    def distances(self) -> Distances:
        """All distances."""
        return measure(self.model, [each.sample for each in self.members], self.names)

    def ranked(self, places: Sequence[int]) -> list[int]:
        """Members by distance, nearest first; the older one first of equals."""
        return sorted(places, key=lambda place: (self.distances.to_model(place), place))

    def shapes(self, place: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors that all members have, by name."""
        counterparts = self.members[place].pairing.counterparts
        return {name: counterparts[name].spec.shape for name in self.names}

    def zeros(self, place: int) -> Zeros:
        """Zeros beside a member's."""
        if place not in self._zeros:
            self._zeros[place] = compare_zeros(self.model, self.members[place].sample, self.names)
        return self._zeros[place]

    def is_made_from_model(self, place: int) -> bool:
        """Whether the member was rounded or pruned from the model, whoever was there first."""
        if place not in self._is_made_from_model:
            self._is_made_from_model[place] = self._look_whether_made(place)
        return self._is_made_from_model[place]

    def _look_whether_made(self, place: int) -> bool:
        sample = self.members[place].sample
        if find_rounding(sample, self.model, self.names) is not None:
            return find_rounding(self.model, sample, self.names) is None
        zeros = self.zeros(place)
        is_sparser = zeros.relative > zeros.own + _PRUNED_BY
        return is_sparser and (zeros.is_exact or zeros.growth > _PRUNED_GROWTH)

    def is_made_by_weights(self, place: int) -> bool:
        """Whether the weights alone say that the model was rounded or pruned from the member."""
        sample = self.members[place].sample
        if find_rounding(self.model, sample, self.names) is not None:
            return find_rounding(sample, self.model, self.names) is None
        return self.is_pruned_from(place) and self.zeros(place).is_exact

    def is_pruned_from(self, place: int) -> bool:
        """Whether the model has the member's zeros, and clearly more."""
        zeros = self.zeros(place)
        return zeros.own > zeros.relative + _PRUNED_BY and zeros.kept >= _ZEROS_KEPT

    def same_place(self, place: int, places: Sequence[int]) -> list[int]:
        """Those of ``places`` that only rounding or another head keeps apart from ``place``, itself included."""
        reach = _SAME_PLACE**2 * self.distances.to_model(place)
        return [each for each in places if self.distances.between(place, each) <= reach]

    def best_of(self, places: Sequence[int]) -> int:
        """Which of those that stand for the same is the parent.

        What was pruned before counts first, then bit-equal tensors, data types and the head; of equals the older one.
        """
        return min(
            places, key=lambda place: (self._lost_zeros(place), *self._misfit(self.members[place]), place)
        )

    def _lost_zeros(self, place: int) -> float:
        """How much of the model's sparsity the member does not explain, in hundredths."""
        zeros = self.zeros(place)
        return round(zeros.own - (zeros.relative if zeros.kept >= _ZEROS_KEPT else 0.0), 2)

    def _misfit(self, member: Candidate) -> tuple[int, int, float]:
        types = sum(
            member.pairing.counterparts[name].spec.dtype != self.model.blocks[name].dtype.name
            for name in self.names
        )
        return -len(member.pairing.equal), types, round(self._head_distance(member), 2)

    def _head_distance(self, member: Candidate) -> float:
        """Tensors that not all members have: how many of them the member lacks, or has with other values."""
        return sum(self._gaps(member))

    def _gaps(self, member: Candidate) -> Iterator[float]:
        cosines = tensor_cosines(self.model, member.sample)
        for name in self.model.blocks:
            if name not in self.names:
                yield 1.0 - max(0.0, cosines.get(name, 0.0))
