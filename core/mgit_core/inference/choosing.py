"""Which of several related models is the parent of one.

Training leaves no equation, so distances decide: what was learned later stands at a right angle to what was learned
before. Operations that do leave one decide before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.inference.operations import find_low_rank
from mgit_core.inference.relatives import Family

__all__ = ["Choice", "choose_parent"]

# Where the nearest one is as near to an older one as two trainings on the same data are, both were made from that.
# 1 is two trainings of equal length, 0 a training that went on.
_SIBLING, _NO_SIBLING, _WENT_BACK = 0.65, 0.45, 1.5
# 0 means that a rival says nothing of the model beyond what the parent says, one half that both are as likely.
_CLEAR, _CLOSE = 0.3, 0.42
# An adapter moves far, so that others may be nearer than what it was trained on; more than these are not.
_LOOKED_AT = 8
# Zeros that a model took over speak for whom it has them from, unless another is much nearer.
_SPARSE, _KEPT, _MUCH_NEARER = 0.05, 0.98, 1.5


@dataclass(frozen=True, slots=True)
class Choice:
    """A parent.

    Attributes:
        place: Which member of the family.
        confidence: How sure that is.
        reason: Why, a part of a sentence.
    """

    place: int
    confidence: float
    reason: str


def choose_parent(family: Family, ranked: Sequence[int]) -> Choice:
    """The parent among members.

    Args:
        family: All relatives.
        ranked: Those that may be the parent, nearest first; at least one.
    """
    nearest = family.best_of(family.same_place(ranked[0], ranked))
    if family.distances.to_model(nearest) <= 4 * family.distances.noise:
        return Choice(nearest, 0.97, "no other is so near: it differs by rounding alone")
    adapted = [place for place in ranked[:_LOOKED_AT] if _is_adapted(family, place)]
    if adapted:
        place = family.best_of(family.same_place(adapted[0], adapted))
        return Choice(place, 0.97, "only from there so few dimensions changed")
    return _by_distance(family, _with_zeros(family, ranked))


def _is_adapted(family: Family, place: int) -> bool:
    return find_low_rank(family.model, family.members[place].sample, family.shapes(place)) is not None


def _with_zeros(family: Family, ranked: Sequence[int]) -> Sequence[int]:
    """Those whose zeros a sparse model has too; all, if there is none or another is much nearer."""
    limit = _MUCH_NEARER * family.distances.to_model(ranked[0])
    sparse = [
        place
        for place in ranked
        if family.distances.to_model(place) <= limit
        and family.zeros(place).relative > _SPARSE
        and family.zeros(place).kept >= _KEPT
    ]
    return sparse or ranked


def _by_distance(family: Family, ranked: Sequence[int]) -> Choice:
    distances = family.distances
    together = family.same_place(ranked[0], ranked)
    nearest = family.best_of(together)
    gap = distances.to_model(nearest)
    others = [place for place in ranked if place not in together]
    elder = _elder(family, nearest, others)
    pull = 0.0 if elder is None else 2 * distances.corner(nearest, elder) / gap
    if elder is not None and _SIBLING <= pull <= _WENT_BACK and not _is_of(family, nearest, elder):
        elder = family.best_of(family.same_place(elder, others))
        name = family.members[nearest].name
        return Choice(elder, 0.72, f"{name} is nearer, but was made from the same one in the same way")
    doubt = max(
        (distances.corner(nearest, place) / _between(family, nearest, place) for place in others), default=0.0
    )
    if doubt >= _CLOSE:
        return Choice(nearest, 0.5, "another is about as near")
    if doubt >= _CLEAR or _NO_SIBLING < pull < _SIBLING:
        return Choice(nearest, 0.8, "another is nearly as near")
    return Choice(nearest, 0.96, "no other comes near")


def _elder(family: Family, place: int, others: Sequence[int]) -> int | None:
    """What a member was made from, most likely: the nearest of the older ones."""
    older = [other for other in others if other < place]
    return min(older, key=lambda other: family.distances.between(place, other), default=None)


def _between(family: Family, one: int, other: int) -> float:
    return family.distances.between(one, other) or 1.0


def _is_of(family: Family, place: int, elder: int) -> bool:
    """Whether more than distance ties the model to a member: bit-equal tensors that its elder has not, or zeros."""
    own, older = family.members[place].pairing.equal, family.members[elder].pairing.equal
    return bool(own - older) or family.zeros(place).relative > family.zeros(elder).relative + _SPARSE
