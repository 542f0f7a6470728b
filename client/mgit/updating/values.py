"""What an update is, as a program sees it: frozen values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from mgit.values import ModelSummary, Relation
from mgit_core.cascade.values import CascadeState, LeaveOutReason, LeftOut, PublishMode, StepState
from mgit_core.model_tests import ModelTestOutcome, ModelTestResult

__all__ = [
    "CascadeState",
    "LeaveOutReason",
    "LeftOut",
    "PublishMode",
    "StepState",
    "Update",
    "UpdateListener",
    "UpdateParent",
    "UpdateProgress",
    "UpdateReference",
    "UpdateStep",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateParent:
    """A parent that a new model gets.

    Attributes:
        uid: UID of the parent.
        ref: ``NAME@VERSION``, or ``@UID`` of a model that the update makes and that is not published yet.
        relation: How the new model is made from it.
        step: Number of the step that makes it; None for a model that exists.
        is_pinned: Whether it stays as it was, since the update does not replace it.
    """

    uid: str
    ref: str
    relation: Relation
    step: int | None
    is_pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UpdateStep:
    """A model that an update makes anew.

    Attributes:
        number: Which step makes it, from 0; models with one number are made by one call.
        old: The model that it replaces.
        new_uid: UID of the new model, chosen when the update was planned.
        new: The new model once it has a number; None before.
        entry_point: ``MODULE:FUNCTION`` of the creation function; ``mgit/service:merge`` for a merge, which the service
            does again.
        parents: What it is made from, in order.
        state: How far it is.
        attempt: How often a worker took it.
        worker: Who holds it, or held it last; empty if nobody did.
        held_until: When the lease of its worker ends unless it is renewed, UTC; None without a lease.
        error: Why the last attempt failed; empty if none did.
        failed_tests: Names of tests that the step's models did not pass.
        tests: Results of tests on the new model, newest first; empty in lists of updates.
    """

    number: int
    old: ModelSummary
    new_uid: str
    new: ModelSummary | None
    entry_point: str
    parents: tuple[UpdateParent, ...]
    state: StepState
    attempt: int
    worker: str
    held_until: datetime | None
    error: str
    failed_tests: tuple[str, ...]
    tests: tuple[ModelTestResult, ...] = ()

    @property
    def new_ref(self) -> str:
        """``NAME@VERSION``, or ``@UID`` before the new model has a number."""
        return f"@{self.new_uid}" if self.new is None else self.new.ref

    @property
    def passed(self) -> bool:
        """Whether it is done, and no test failed on the new model."""
        bad = {ModelTestOutcome.FAILED, ModelTestOutcome.ERROR}
        return (
            self.state is StepState.DONE
            and not self.failed_tests
            and not any(result.outcome in bad for result in _newest(self.tests))
        )

    def __repr__(self) -> str:
        return f"<step {self.number}, {self.old.ref} -> {self.new_ref}, {self.state.value}>"


def _newest(results: tuple[ModelTestResult, ...]) -> list[ModelTestResult]:
    """The newest result of each test."""
    found: dict[str, ModelTestResult] = {}
    for result in results:
        found.setdefault(result.key.test_uid, result)
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Update:
    """An update: what is made anew, how far it is, and what is left as it was.

    Attributes:
        id: Id of the kept cascade; empty for a plan.
        state: How far it is; None for a plan.
        old: The model that was updated.
        new: What follows it.
        steps: The models that are made anew, parents first; empty in lists of updates.
        step_count: How many steps there are: models that are made by one call are one step.
        done_count: How many of them are done.
        left_out: Descendants that are not made anew, and why.
        publish: When new models become visible.
        stop_at_failed_tests: Whether a failed test fails its step, so that what needs the model is not made.
        blocked_by: Newer versions that appeared meanwhile, with state BLOCKED.
        created_at: When it was started, UTC; None for a plan.
        updated_at: When it last changed, UTC; None for a plan.
    """

    id: str
    state: CascadeState | None
    old: ModelSummary
    new: ModelSummary
    steps: tuple[UpdateStep, ...]
    step_count: int
    done_count: int
    left_out: tuple[LeftOut, ...]
    publish: PublishMode = PublishMode.TOGETHER
    stop_at_failed_tests: bool = False
    blocked_by: tuple[ModelSummary, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def failed(self) -> tuple[UpdateStep, ...]:
        """The steps that were given up; those that need them are blocked."""
        return tuple(step for step in self.steps if step.state is StepState.FAILED)

    @property
    def models(self) -> tuple[ModelSummary, ...]:
        """The new models that have a number, parents first."""
        return tuple(step.new for step in self.steps if step.new is not None)

    @property
    def is_over(self) -> bool:
        """Whether nothing can be done with it any more."""
        return self.state in {CascadeState.PUBLISHED, CascadeState.CANCELLED}

    @property
    def passed(self) -> bool:
        """Whether every model is made anew and visible, and no test failed on one."""
        return self.state is CascadeState.PUBLISHED and all(step.passed for step in self.steps)

    def __repr__(self) -> str:
        what = f"update {self.old.ref} -> {self.new.ref}"
        steps = f"{self.step_count} step{'' if self.step_count == 1 else 's'}"
        if self.state is None:
            return f"<plan of {what}: {steps}, {len(self.left_out)} left out>"
        return f"<{what}, {self.state.value}, {self.done_count} of {steps} done, id {self.id}>"


UpdateReference: TypeAlias = "Update | str"
"""An update, or its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateProgress:
    """A step that a worker has left.

    Attributes:
        cascade_id: Id of the update.
        number: The step.
        old: References of the models that it replaces.
        state: The step's state after the report; None if the lease was lost, so that another worker has it.
        cascade_state: The update's state after the report.
        error: Why it failed; empty if it did not.
        failed_tests: Names of tests that its models did not pass.
        seconds: How long the worker was at it.
    """

    cascade_id: str
    number: int
    old: tuple[str, ...]
    state: StepState | None
    cascade_state: CascadeState
    error: str = ""
    failed_tests: tuple[str, ...] = ()
    seconds: float = 0.0


UpdateListener: TypeAlias = Callable[[UpdateProgress], None]
"""Told whenever a worker has left a step, in the thread that called."""
