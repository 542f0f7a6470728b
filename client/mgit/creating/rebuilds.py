"""What a rebuild found: values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from mgit_core.lineage import ModelSummary

__all__ = ["Rebuild", "RebuildOutcome", "TensorDifference"]


class RebuildOutcome(enum.StrEnum):
    """How what a creation function gives now is to the model that it made then."""

    IDENTICAL = "identical"
    """Bit for bit."""
    WITHIN_TOLERANCE = "within-tolerance"
    DIFFERENT = "different"
    OTHER_PARAMETERS = "other-parameters"
    """Other names, shapes or data types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDifference:
    """How far a rebuilt tensor is from the recorded one.

    Attributes:
        name: Name of the parameter.
        largest_absolute: Largest difference of two items; infinite where only one of them is finite, and for a merge,
            which is compared by digest.
        largest_relative: The same in units of the recorded tensor's largest item.
    """

    name: str
    largest_absolute: float
    largest_relative: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rebuild:
    """How a rebuilt model compares with the recorded one.

    Attributes:
        model: The recorded model.
        outcome: In a word.
        tolerance: Largest relative difference of a tensor that was allowed.
        tensor_count: Parameters of the recorded model.
        differences: Parameters of equal shape whose bytes differ, the worst first.
        missing: Names that the recorded model has only.
        unexpected: Names that the rebuilt one has only.
        reshaped: Names that both have with other shapes or data types; what was recorded, and what came.
        seconds: How long the creation function took, or the merge.
        environment: What it ran with then and now, where that differs; empty text for what is not known.
        others: The other models that the same call made.
    """

    model: ModelSummary
    outcome: RebuildOutcome
    tolerance: float
    tensor_count: int
    differences: tuple[TensorDifference, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    seconds: float = 0.0
    environment: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    others: tuple[Rebuild, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether it and all others of the call are identical, or as near as was allowed."""
        good = {RebuildOutcome.IDENTICAL, RebuildOutcome.WITHIN_TOLERANCE}
        return self.outcome in good and all(other.is_same for other in self.others)

    def __repr__(self) -> str:
        worst = f", {len(self.differences)} of {self.tensor_count} tensors differ" if self.differences else ""
        return f"<rebuild of {self.model.ref}: {self.outcome}{worst}>"
