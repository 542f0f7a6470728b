"""Steps of cascades in memory: found, changed and held."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mgit_core.cascade.values import CascadeStep, StepLease, StepState
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.state import KeptCascade, State

__all__ = ["change_step", "find_cascade", "find_step", "hold_step", "note_staged"]


def find_cascade(state: State, cascade_id: str) -> KeptCascade:
    """The cascade with this id.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
    """
    if cascade_id not in state.cascades:
        raise checks.cascade_not_found(cascade_id)
    return state.cascades[cascade_id]


def find_step(state: State, lease: StepLease) -> CascadeStep:
    """The step of a lease.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST, if there is no such step or attempt.
    """
    steps = find_cascade(state, lease.cascade_id).cascade.plan.steps
    if not 0 <= lease.step < len(steps) or steps[lease.step].attempt != lease.attempt:
        raise checks.step_lease_lost(lease)
    return steps[lease.step]


def hold_step(state: State, lease: StepLease) -> CascadeStep:
    """The step of a lease that is out, of a cascade that is not over.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
    """
    step = find_step(state, lease)
    if not find_cascade(state, lease.cascade_id).is_open or step.expires_at is None:
        raise checks.step_lease_lost(lease)
    return step


def change_step(state: State, cascade_id: str, number: int, /, **changes: Any) -> None:
    """Change fields of a step."""
    kept = find_cascade(state, cascade_id)
    plan = kept.cascade.plan
    steps = tuple(replace(step, **changes) if step.number == number else step for step in plan.steps)
    cascade = replace(kept.cascade, plan=replace(plan, steps=steps))
    state.cascades[cascade_id] = replace(kept, cascade=cascade)


def note_staged(state: State, lease: StepLease) -> None:
    """With the last of its models a step is STAGED."""
    step = find_step(state, lease)
    if all(target.uid in state.staged for target in step.targets):
        change_step(state, lease.cascade_id, lease.step, state=StepState.STAGED)
