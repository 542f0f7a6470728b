"""A cascade and its steps, as values.

A cascade is planned once and kept; then its steps are leased to workers. The uid of every new model is chosen
when the cascade is planned, so that a step can name parents that are not made yet.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from mgit_core.creation import CreationRecord, merge_base_of
from mgit_core.lineage import ModelSummary, ParentLink

__all__ = [
    "Cascade",
    "CascadeState",
    "CascadeStep",
    "LeaveOutReason",
    "LeftOut",
    "PublishMode",
    "StepLease",
    "StepState",
    "StepTarget",
    "UpdatePlan",
]


class CascadeState(enum.StrEnum):
    """How far a cascade is."""

    RUNNING = "running"
    """Steps are waiting, leased, or being tested."""
    BUILT = "built"
    """Every step is done; the models wait to be published together."""
    BLOCKED = "blocked"
    """A model that would be replaced got another newer version meanwhile; a person decides."""
    FAILED = "failed"
    """No step can go on, and at least one failed; it may be resumed."""
    PUBLISHED = "published"
    """Over: every model that was built is numbered."""
    CANCELLED = "cancelled"
    """Over: staged models were removed."""


class StepState(enum.StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    """For a step before it, or for a worker."""
    LEASED = "leased"
    """A worker is at it."""
    STAGED = "staged"
    """Its models are committed, staged; their tests are still to run. It may be leased for that."""
    DONE = "done"
    """Its models are committed, and tested where tests apply."""
    FAILED = "failed"
    """It was given up after its last attempt, or a test failed and the cascade stops at failures."""
    BLOCKED = "blocked"
    """A step before it failed."""


class PublishMode(enum.StrEnum):
    """When new models become visible."""

    TOGETHER = "together"
    EACH = "each"


class LeaveOutReason(enum.StrEnum):
    """Why a descendant is not made anew."""

    SKIPPED = "skipped"
    STOPPED = "stopped"
    """It was named to stop at, or lies behind such models only."""
    NO_CREATION_FUNCTION = "no-creation-function"
    UNCHANGED = "unchanged"
    """None of its parents is made anew."""
    REMOVED = "removed"
    PARENT_REMOVED = "parent-removed"
    """A parent that it would be made from anew was removed, or the base of a merge is not here."""
    PRECEDES_NEW = "precedes-new"
    """The new model follows it by version edges, or was made from what does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTarget:
    """A model that a step makes.

    Attributes:
        uid: Of the new model, chosen by the plan.
        old: The model that it replaces; the new one gets its name and a version edge to it.
        parents: The new model's provenance edges in order: to models that exist, or to targets of earlier steps.
        parent_refs: Reference of each parent, in the same order; ``@UID`` for a target of an earlier step.
        creation: How to make it, without source and environment. The base of a merge is the one that the new model has,
            which may be the target of an earlier step.
        made: The new model, staged or numbered; None until it is committed.
    """

    uid: str
    old: ModelSummary
    parents: tuple[ParentLink, ...]
    parent_refs: tuple[str, ...]
    creation: CreationRecord
    made: ModelSummary | None = None

    @property
    def made_from(self) -> tuple[str, ...]:
        """UIDs of all that it is made from, each once: its parents in order, and the base of a merge."""
        base = merge_base_of(self.creation)
        uids = [link.parent_uid for link in self.parents]
        return tuple(dict.fromkeys(uids if base is None else [*uids, base]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeStep:
    """The unit of work: one model, or those that one call makes together.

    Attributes:
        number: Its place in the plan, from 0; every step comes after those that it needs.
        targets: What it makes.
        needs: Numbers of the steps whose models its targets are made from.
        state: How far it is.
        attempt: How often it was leased; a report with another number is refused.
        worker: Who holds it or held it last; empty if nobody did.
        expires_at: When its lease ends, UTC; None without a lease.
        error: Why the last attempt failed; empty if none did.
        failed_tests: Names of tests that its models did not pass, as the last report said.
    """

    number: int
    targets: tuple[StepTarget, ...]
    needs: tuple[int, ...]
    state: StepState = StepState.WAITING
    attempt: int = 0
    worker: str = ""
    expires_at: datetime | None = None
    error: str = ""
    failed_tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A descendant that is not made anew, and why."""

    model: ModelSummary
    reason: LeaveOutReason


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePlan:
    """What an update would do.

    Attributes:
        old: The model that was updated.
        new: What follows it by version edges.
        steps: Parents first, each descendant at most once.
        left_out: Descendants that are not made anew, by creation time and uid.
    """

    old: ModelSummary
    new: ModelSummary
    steps: tuple[CascadeStep, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """A kept cascade.

    Attributes:
        id: UUIDv7.
        state: How far it is.
        plan: What it does, its steps as they are now.
        publish: When models become visible.
        stop_at_failed_tests: Whether a failed test fails the step, so that its sub-tree is not made.
        max_attempts: How often a step is tried.
        created_at: UTC.
        updated_at: When it last changed, UTC.
        blocked_by: With state BLOCKED, the newer versions that appeared; else empty.
    """

    id: str
    state: CascadeState
    plan: UpdatePlan
    publish: PublishMode
    stop_at_failed_tests: bool
    max_attempts: int
    created_at: datetime
    updated_at: datetime
    blocked_by: tuple[ModelSummary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLease:
    """Who works at a step, for the store to check at every report.

    Attributes:
        cascade_id: The cascade.
        step: Number of the step.
        attempt: The attempt that the lease belongs to.
    """

    cascade_id: str
    step: int
    attempt: int
