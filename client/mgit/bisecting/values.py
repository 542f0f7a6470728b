"""What a bisection of a repository takes and gives."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mgit.values import ModelSummary
from mgit_core.bisect import BisectOutcome, BisectVerdict

if TYPE_CHECKING:
    from mgit.model import Model

__all__ = [
    "BisectFinding",
    "BisectFunction",
    "BisectListener",
    "BisectOutcome",
    "BisectProgress",
    "BisectSource",
    "BisectVerdict",
    "Bisection",
]

BisectFunction: TypeAlias = "Callable[[Model], bool | None]"
"""True for a good model, False for a bad one, None for one that cannot be tested."""


class BisectSource(enum.StrEnum):
    """How a verdict came about.

    ``TESTED``: the test ran now. ``KNOWN``: its result was recorded before. ``GIVEN``: the caller said so.
    ``REMOVED``: the model cannot be read any more.
    """

    TESTED = "tested"
    KNOWN = "known"
    GIVEN = "given"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectFinding:
    """What is known of one model.

    Attributes:
        model: The model.
        verdict: Good, bad, or skipped if it could not be tested.
        source: How that is known.
        value: What the test measured; None if nothing was measured.
        error: Why it could not be tested; empty if it was.
    """

    model: ModelSummary
    verdict: BisectVerdict
    source: BisectSource
    value: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectProgress:
    """The test that is about to run.

    Attributes:
        model: The model.
        least_left: Possible answers of the search that are left in the better case.
        most_left: Those that are left in the worse case; 1 means that the answer is known then.
        tests_after: About how many more tests follow.
    """

    model: ModelSummary
    least_left: int
    most_left: int
    tests_after: int


BisectListener: TypeAlias = Callable[[BisectProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """What a bisection found.

    Attributes:
        outcome: How it ended.
        reason: Why, one to three sentences.
        first_bad: A bad model all of whose parents are good, or which has none; None if there is no such answer.
        suspects: Where the outcome is ambiguous, the models of which one may be the first bad one, oldest first.
        contradiction: Where the outcome is non-monotonic, the bad model and the good one made from it.
        findings: What the answer rests on: given, removed and known models, oldest first, then those tested, in
            order.
        searched: Models that might have been the first bad one before any test.
        unexplored: Models that are neither known to be good nor made from the first bad one: the same fault may
            have another origin there.
    """

    outcome: BisectOutcome
    reason: str
    first_bad: ModelSummary | None
    suspects: tuple[ModelSummary, ...]
    contradiction: tuple[ModelSummary, ModelSummary] | None
    findings: tuple[BisectFinding, ...]
    searched: int
    unexplored: int

    @property
    def tests_run(self) -> int:
        """How many tests ran; known results cost none."""
        return sum(finding.source is BisectSource.TESTED for finding in self.findings)

    @property
    def is_answered(self) -> bool:
        """Whether the search came to an answer, be it that no model is bad."""
        return self.outcome not in {BisectOutcome.AMBIGUOUS, BisectOutcome.NON_MONOTONIC}
