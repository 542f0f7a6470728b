"""What a merge is asked for, and what it answers."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from mgit_core.lineage import Model, ModelSummary
from mgit_core.merge.values import Conflict, MergeCounts, MergeOptions, PossibleConflict
from mgit_service.use_cases.draft_header import StepDraft

__all__ = ["MergeEnd", "MergeFindings", "MergeOrder", "MergeOutcome", "MergeProgress", "MergeStep"]


class MergeOutcome(enum.StrEnum):
    """How a merge ended."""

    CONFLICTED = "conflicted"
    """Conflicts are unresolved; nothing was made."""
    MERGED = "merged"
    FAST_FORWARDED = "fast-forwarded"
    """One side was made from the other, so that the result has the parameters of the later one."""
    STAGED = "staged"
    """Changes may spoil each other: a staged model waits for its tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOrder:
    """A merge that is asked for.

    Attributes:
        ours: Reference of one side.
        theirs: Reference of the other.
        base: Reference of what both are compared with; empty means their merge base in the lineage.
        name: Name of the result.
        options: What was chosen for conflicts.
        is_accepted: Whether a possible conflict makes a model at once.
        step: The step of a cascade that is done by it, whose plan says all else; None for a merge of its own.
    """

    ours: str = ""
    theirs: str = ""
    name: str = ""
    base: str = ""
    options: MergeOptions = field(default_factory=MergeOptions)
    is_accepted: bool = False
    step: StepDraft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFindings:
    """What was found before anything is made.

    Attributes:
        base: What both sides are compared with.
        ours: One side.
        theirs: The other.
        counts: Parameters by class.
        notes: What a person should know, a sentence each.
        conflicts: What both sides changed differently.
        possible: Changes that may spoil each other.
    """

    base: ModelSummary
    ours: ModelSummary
    theirs: ModelSummary
    counts: MergeCounts
    notes: Sequence[str] = ()
    conflicts: Sequence[Conflict] = ()
    possible: Sequence[PossibleConflict] = ()


@dataclass(frozen=True, slots=True)
class MergeProgress:
    """Bytes of computed tensors that are done, and of all."""

    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeEnd:
    """How a merge ended.

    Attributes:
        outcome: How.
        model: What was made; None with conflicts.
        stored_bytes: Bytes that the store grew by for computed tensors.
    """

    outcome: MergeOutcome
    model: Model | None = None
    stored_bytes: int = 0


MergeStep = MergeFindings | MergeProgress | MergeEnd
