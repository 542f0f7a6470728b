"""How much a user is willing to lose."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.loss import LossMethod

__all__ = ["Lossy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lossy:
    """How far weights may be moved; exactly one of the two is set.

    Attributes:
        k: Steps of each tensor in units of its own root-mean-square change against the parent. A guard that does
            not hold halves it, six times at most. 2 makes a fine-tune about forty times smaller.
        eps: Steps of ``2 ln(1 + eps)`` for every tensor, as in the MGit paper: no weight moves by more than
            about ``eps``. The guard then holds if no more than 2 % of its metric is lost, and nothing is halved.
    """

    k: float | None = None
    eps: float | None = None

    def __post_init__(self) -> None:
        """Refuses what says nothing, or two things.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        given = [number for number in (self.k, self.eps) if number is not None]
        if len(given) != 1 or not (math.isfinite(given[0]) and given[0] > 0):
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"Loss is either k or eps, a finite number above 0; found k={self.k} and eps={self.eps}.",
                field="lossy",
            )

    @property
    def method(self) -> LossMethod:
        """How steps are chosen."""
        return LossMethod.EPSILON if self.k is None else LossMethod.STEP

    @property
    def strength(self) -> float:
        """k, or eps."""
        number = self.eps if self.k is None else self.k
        assert number is not None  # noqa: S101 - one of them is set
        return float(number)
