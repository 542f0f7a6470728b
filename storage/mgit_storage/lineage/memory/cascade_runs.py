"""Cascades gone on with, published and cancelled, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgit_core.cascade.values import CascadeState, PublishMode, StepLease, StepState, StepTarget
from mgit_core.lineage import Model, ModelState
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.cascade_steps import change_step, find_cascade
from mgit_storage.lineage.memory.staging import discard_staged, publish_staged
from mgit_storage.lineage.memory.state import KeptCascade, State, summary_of

__all__ = ["cancel_cascade", "finish_step", "publish_cascade", "resume_cascade", "settle"]

_OPEN_STEPS = (StepState.WAITING, StepState.LEASED, StepState.STAGED)


def settle(state: State, cascade_id: str) -> None:
    """Give a cascade that is running the state that follows from its steps."""
    kept = state.cascades[cascade_id]
    states = [step.state for step in kept.cascade.plan.steps]
    if kept.cascade.state is CascadeState.BLOCKED or any(each in _OPEN_STEPS for each in states):
        return
    is_built = all(each is StepState.DONE for each in states)
    _set_state(state, cascade_id, CascadeState.BUILT if is_built else CascadeState.FAILED)


def _set_state(state: State, cascade_id: str, cascade_state: CascadeState) -> None:
    kept = state.cascades[cascade_id]
    state.cascades[cascade_id] = replace(kept, cascade=replace(kept.cascade, state=cascade_state))


def finish_step(state: State, lease: StepLease) -> None:
    """A step is done; its models are numbered if each is at once."""
    change_step(state, lease.cascade_id, lease.step, state=StepState.DONE, error="", expires_at=None)
    settle(state, lease.cascade_id)
    cascade = state.cascades[lease.cascade_id].cascade
    if cascade.publish is PublishMode.EACH and cascade.state is not CascadeState.BLOCKED:
        _publish(state, lease.cascade_id, is_anyway=False)


def resume_cascade(state: State, cascade_id: str, publish: PublishMode | None) -> None:
    """Let failed and blocked steps be tried anew."""
    kept = find_cascade(state, cascade_id)
    if not kept.is_open:
        raise checks.cascade_ended(cascade_id, kept.cascade.state)
    failures = list(kept.failures)
    for step in kept.cascade.plan.steps:
        if step.state in (StepState.FAILED, StepState.BLOCKED):
            is_whole = all(target.uid in state.staged for target in step.targets)
            failures[step.number] = 0
            left = StepState.STAGED if is_whole else StepState.WAITING
            change_step(state, cascade_id, step.number, state=left)
    kept = state.cascades[cascade_id]
    cascade = replace(kept.cascade, publish=publish or kept.cascade.publish)
    state.cascades[cascade_id] = replace(kept, cascade=cascade, failures=tuple(failures))
    if cascade.state is CascadeState.FAILED:
        _set_state(state, cascade_id, CascadeState.RUNNING)
    if publish is PublishMode.EACH and cascade.state is not CascadeState.BLOCKED:
        _publish(state, cascade_id, is_anyway=False)


def publish_cascade(state: State, cascade_id: str, *, is_anyway: bool) -> None:
    """Number all models of a cascade that is built, or of its finished steps if it was blocked."""
    kept = find_cascade(state, cascade_id)
    if kept.cascade.state is CascadeState.PUBLISHED:
        return
    if not kept.is_open:
        raise checks.cascade_ended(cascade_id, kept.cascade.state)
    left = sum(step.state is not StepState.DONE for step in kept.cascade.plan.steps)
    if left and kept.cascade.state is not CascadeState.BLOCKED:
        raise checks.cascade_unfinished(cascade_id, left)
    _publish(state, cascade_id, is_anyway=is_anyway)


def _publish(state: State, cascade_id: str, *, is_anyway: bool) -> None:
    """Number the models of finished steps that have no number, unless newer versions came."""
    kept = state.cascades[cascade_id]
    steps = kept.cascade.plan.steps
    targets = [
        target
        for step in steps
        if step.state is StepState.DONE
        for target in step.targets
        if target.uid not in kept.published
    ]
    newer = _newer_versions(state, kept, targets)
    if newer and not is_anyway:
        blocked = replace(
            kept.cascade, state=CascadeState.BLOCKED, blocked_by=tuple(summary_of(model) for model in newer)
        )
        state.cascades[cascade_id] = replace(kept, cascade=blocked)
        return
    publish_staged(state, [target.uid for target in targets])
    if all(step.state is StepState.DONE for step in steps):
        after = CascadeState.PUBLISHED
    else:
        is_open = any(step.state in _OPEN_STEPS for step in steps)
        after = CascadeState.RUNNING if is_open else CascadeState.FAILED
    state.cascades[cascade_id] = replace(
        kept,
        cascade=replace(kept.cascade, state=after, blocked_by=()),
        accepted=kept.accepted | {model.uid for model in newer},
        published=kept.published | {target.uid for target in targets},
    )


def _newer_versions(state: State, kept: KeptCascade, targets: Sequence[StepTarget]) -> list[Model]:
    own = kept.targets()
    found: dict[str, Model] = {}
    known: set[str] = set(kept.accepted)
    for target in targets:
        before = kept.known[target.old.uid]
        known |= before.newer
        for model in state.models.values():
            is_newer = state.revisions.get(model.uid) == target.old.uid
            is_later = model.name == target.old.name and model.version > before.last_version
            if model.state is ModelState.PRESENT and (is_newer or is_later):
                found[model.uid] = model
    models = [model for uid, model in found.items() if uid not in known and uid not in own]
    return sorted(models, key=lambda model: (model.created_at, model.uid))


def cancel_cascade(state: State, cascade_id: str) -> None:
    """Remove what a cascade staged."""
    kept = find_cascade(state, cascade_id)
    if kept.cascade.state is CascadeState.PUBLISHED:
        raise checks.cascade_ended(cascade_id, kept.cascade.state)
    if not kept.is_open:
        return
    discard_staged(state, sorted(uid for uid in kept.targets() if uid in state.staged))
    cancelled = replace(state.cascades[cascade_id].cascade, state=CascadeState.CANCELLED, blocked_by=())
    state.cascades[cascade_id] = replace(state.cascades[cascade_id], cascade=cancelled)
