"""What a bisection takes and gives."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

__all__ = ["BisectAnswer", "BisectModel", "BisectOutcome", "BisectStep", "BisectVerdict"]


class BisectVerdict(enum.StrEnum):
    """What is known of one model."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"


class BisectOutcome(enum.StrEnum):
    """How a bisection ended.

    ``FOUND``: a bad model all of whose parents are good. ``ALL_PASS``: every model is good. ``ALL_FAIL``: a model
    without parents is bad, and everything that was searched was made from it. ``AMBIGUOUS``: only models that
    cannot be tested are left. ``NON_MONOTONIC``: a good model was made from a bad one.
    """

    FOUND = "found"
    ALL_PASS = "all-pass"  # noqa: S105 - an outcome, not a secret
    ALL_FAIL = "all-fail"
    AMBIGUOUS = "ambiguous"
    NON_MONOTONIC = "non-monotonic"


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectModel:
    """A model as a bisection sees it.

    Attributes:
        uid: The model.
        ref: Its reference, for the reason of an answer.
        created_at: When it was added: of models that are equally good to test, the older one is.
        parents: What it was made from or is a newer version of, by uid.
    """

    uid: str
    ref: str
    created_at: datetime
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectStep:
    """A model to be tested next.

    Attributes:
        uid: The model.
        left_if_bad: Possible answers of the search that are left if it is bad.
        left_if_good: Possible answers that are left if it is good.
    """

    uid: str
    left_if_bad: int
    left_if_good: int

    @property
    def tests_after(self) -> int:
        """Tests that the larger rest takes where every split halves: on a chain, never more."""
        return (max(self.left_if_bad, self.left_if_good) - 1).bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectAnswer:
    """What a bisection found.

    Attributes:
        outcome: How it ended.
        reason: Why, one to three sentences.
        first_bad: With FOUND and ALL_FAIL, the model; else None.
        suspects: With AMBIGUOUS, the models of which one may be the first bad one, oldest first; else empty.
        contradiction: With NON_MONOTONIC, the bad model and the good one that was made from it; else None.
        unexplored: With FOUND, how many models are neither known to be good nor made from the first bad one:
            among them the same fault may have another origin.
    """

    outcome: BisectOutcome
    reason: str
    first_bad: str | None = None
    suspects: tuple[str, ...] = ()
    contradiction: tuple[str, str] | None = None
    unexplored: int = 0
