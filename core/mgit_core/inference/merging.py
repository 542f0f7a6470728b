"""Merges: whether a model lies in the span of several relatives, up to rounding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mgit_core.inference.distances import Distances

__all__ = ["Mixture", "find_mixture"]

# All pairs, triples and quadruples of so many relatives are a thousand small systems at most.
_SEARCHED = 12
_LARGEST_SEARCHED = 4
# A share that is smaller is what noise leaves of none; a larger one than the other bound stands for a direction
# between two relatives that are nearly the same.
_SMALLEST_WEIGHT = 0.02
_LARGEST_WEIGHT = 3.0
# Merges are computed with a few roundings; what is left of them is some times what the last one leaves.
_ROUNDINGS = 30.0
# In a wide type a merge leaves a millionth of the distance; anything below this is no accident either.
_EXPLAINED = 1e-5
# So much of the nearest one's distance has to be explained where rounding is coarse.
_LEAST_EXPLAINED = 0.2
_DETERMINED = 1e-9


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of relatives, which add up to 1.

    Attributes:
        weights: By place of the relative.
        left: Squared distance that is left, beside that of the nearest relative.
    """

    weights: dict[int, float]
    left: float


def find_mixture(distances: Distances, places: Sequence[int]) -> Mixture | None:
    """The mixture of fewest relatives that gives the model; None if there is none.

    Args:
        distances: All distances.
        places: Which relatives may take part, nearest first.
    """
    nearest = min((distances.to_model(place) for place in places), default=0.0)
    # The nearest one alone, or a cast of it, is no mixture.
    if nearest <= 4 * distances.noise:
        return None
    allowed = max(min(_ROUNDINGS * distances.noise, _LEAST_EXPLAINED * nearest), _EXPLAINED * nearest)
    scale = nearest or 1.0
    for members in _subsets(distances, places[:_SEARCHED]):
        found = _solve(distances, members, scale)
        if found is not None and found.left * scale <= allowed:
            return found
    return None


def _subsets(distances: Distances, places: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Pairs, triples, quadruples; then all, without one after the other that has the least share."""
    for size in range(2, min(_LARGEST_SEARCHED, len(places)) + 1):
        yield from itertools.combinations(places, size)
    left = list(places)
    while len(left) > _LARGEST_SEARCHED:
        yield tuple(left)
        found = _weights(distances, left)
        left.remove(left[int(np.argmin(np.abs(found)))])


def _weights(distances: Distances, members: Sequence[int]) -> list[float]:
    """Shares that add up to 1 and leave the least: ways from the first member to the others that lead to the model."""
    first, *others = members
    table = distances.products
    corner = table[first, first]
    ways = table[np.ix_(others, others)] - table[others, first][:, None] - table[first, others] + corner
    solved = np.linalg.lstsq(ways, corner - table[first, others], rcond=_DETERMINED)[0]
    return [1 - float(solved.sum()), *map(float, solved)]


def _solve(distances: Distances, members: Sequence[int], scale: float) -> Mixture | None:
    weights = _weights(distances, members)
    if not all(_SMALLEST_WEIGHT <= abs(weight) <= _LARGEST_WEIGHT for weight in weights):
        return None
    shares = np.array(weights)
    left = float(shares @ distances.products[np.ix_(members, members)] @ shares)
    return Mixture(dict(zip(members, weights, strict=True)), max(0.0, left) / scale)
