"""What a merge found and made, as a program sees it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgit.model import Model
    from mgit.running import ModelTestRun
    from mgit.values import ModelSummary

__all__ = ["Merge", "MergeConflict", "MergeOutcome", "PossibleConflict", "StagedMerge"]


class MergeOutcome(enum.StrEnum):
    """How a merge ended."""

    CONFLICTED = "conflicted"
    """Conflicts are unresolved; nothing was made."""
    MERGED = "merged"
    """The changes are independent, or were accepted as they are: a model was made at once."""
    FAST_FORWARDED = "fast-forwarded"
    """One side was made from the other: a model with the parameters of the later one was made."""
    ACCEPTED = "accepted"
    """The changes might have spoiled each other; the tests passed, and a model was made."""
    REJECTED = "rejected"
    """A test failed, or none judges: nothing was kept."""
    STAGED = "staged"
    """The same, but the merged model is kept, staged, for a look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeConflict:
    """Something that both sides changed differently.

    Attributes:
        names: The parameter; or all that share one memory, which conflict as one; or a file's path.
        layers: Paths of the layers that own them; none for a file.
        ours: What ours did: ``changed``, ``cast``, ``reshaped``, ``added``, ``deleted`` or ``unchanged``.
        theirs: What theirs did.
        choices: What may be chosen for it.
        choice: What was chosen; None if it is unresolved.
        why: What happened, in words.
        is_file: Whether it is a file.
    """

    names: tuple[str, ...]
    layers: tuple[str, ...]
    ours: str
    theirs: str
    choices: tuple[str, ...]
    choice: str | None
    why: str
    is_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleConflict:
    """Changes of both sides that may spoil each other.

    Attributes:
        ours: Path of the layer that ours changed.
        theirs: Path of the layer that theirs changed.
        dependence: ``same-layer``, ``ours-feeds-theirs``, ``theirs-feeds-ours``, ``shared-layer``, or ``not-known``
            where no data flow is known.
        through: Path of the layer that both feed, for ``shared-layer``; else empty.
    """

    ours: str
    theirs: str
    dependence: str
    through: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StagedMerge:
    """A merged model that waits for somebody to publish or discard it.

    Attributes:
        uid: What names it, as ``@UID``.
        name: The name that it would have.
        created_at: When it was staged, UTC.
        base: Reference of what both sides were compared with.
        ours: Reference of one side.
        theirs: Reference of the other.
    """

    uid: str
    name: str
    created_at: datetime
    base: str
    ours: str
    theirs: str

    @property
    def ref(self) -> str:
        """``@UID``, as ``decide_merge`` takes it."""
        return f"@{self.uid}"

    def __repr__(self) -> str:
        return f"<staged merge {self.ref} of {self.ours} and {self.theirs}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Merge:
    """A merge that is over.

    Attributes:
        outcome: How it ended.
        base: What both sides were compared with; None only where the service had made the model in an earlier call and
            a side was removed since, as for the other two.
        ours: One side.
        theirs: The other.
        model: What was made, staged for STAGED; None if nothing was.
        conflicts: What both sides changed differently, resolved or not.
        possible: Changes that may spoil each other.
        tests: The tests that decided, if any were needed.
        counts: Parameters by class: ``unchanged``, ``ours``, ``theirs``, ``same``, ``conflict``, and ``resolved``.
        notes: What a person should know, a sentence each.
        stored_bytes: Bytes that the store grew by for tensors that were computed.
    """

    outcome: MergeOutcome
    base: ModelSummary | None = None
    ours: ModelSummary | None = None
    theirs: ModelSummary | None = None
    model: Model | None = None
    conflicts: tuple[MergeConflict, ...] = ()
    possible: tuple[PossibleConflict, ...] = ()
    tests: tuple[ModelTestRun, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stored_bytes: int = 0

    @property
    def is_made(self) -> bool:
        """Whether there is a new model, visible to all."""
        return self.model is not None and self.outcome is not MergeOutcome.STAGED

    @property
    def unresolved(self) -> tuple[MergeConflict, ...]:
        """The conflicts for which nothing was chosen."""
        return tuple(conflict for conflict in self.conflicts if conflict.choice is None)

    def __repr__(self) -> str:
        sides = (
            "" if self.ours is None or self.theirs is None else f" of {self.ours.ref} and {self.theirs.ref}"
        )
        found = f": {len(self.unresolved)} unresolved" if self.unresolved else ""
        made = "" if self.model is None else f" as {self.model.ref}"
        return f"<merge{sides} {self.outcome}{made}{found}>"
