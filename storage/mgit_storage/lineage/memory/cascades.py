"""Cascades in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mgit_core.cascade.graph import CascadeGraph
from mgit_core.cascade.values import (
    Cascade,
    CascadeState,
    CascadeStep,
    PublishMode,
    StepLease,
    StepState,
)
from mgit_core.lineage import RequestKey
from mgit_core.ports.cascades import Cascades, StepReport
from mgit_core.ports.graph import Page
from mgit_storage.lineage import checks
from mgit_storage.lineage.cascade_records import recorded_creation
from mgit_storage.lineage.memory.cascade_plans import read_graph
from mgit_storage.lineage.memory.cascade_runs import (
    cancel_cascade,
    finish_step,
    publish_cascade,
    resume_cascade,
    settle,
)
from mgit_storage.lineage.memory.cascade_steps import change_step, find_cascade, find_step, hold_step
from mgit_storage.lineage.memory.staging import discard_staged
from mgit_storage.lineage.memory.state import KeptCascade, Known, MemoryGraph, State, summary_of

__all__ = ["MemoryCascades"]


class MemoryCascades(Cascades):
    """Cascades as they are told, and a little besides."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def graph(self, old_uid: str, new_uid: str) -> CascadeGraph:
        return read_graph(self._graph.state, old_uid, new_uid)

    async def start(self, cascade: Cascade, request: RequestKey | None = None) -> Cascade:
        answer, _ = self._graph.write(lambda state: _start(state, cascade), request)
        return await self.get(answer)

    async def get(self, cascade_id: str) -> Cascade:
        state = self._graph.state
        kept = find_cascade(state, cascade_id)
        steps = tuple(_told(state, step) for step in kept.cascade.plan.steps)
        return replace(kept.cascade, plan=replace(kept.cascade.plan, steps=steps))

    async def list_page(self, page: Page) -> list[Cascade]:
        cascades = self._graph.state.cascades
        found = [id_ for id_ in sorted(cascades, reverse=True) if page.after is None or id_ < page.after]
        return [_listed(cascades[id_].cascade) for id_ in found[: page.size]]

    async def lease(
        self, cascade_id: str, worker: str, lease_s: float
    ) -> tuple[CascadeStep | None, CascadeState]:
        now = self._graph.now()

        def unit(state: State) -> int | None:
            return _lease(state, cascade_id, worker, (now, now + timedelta(seconds=lease_s)))

        number, _ = self._graph.write(unit)
        state = self._graph.state
        cascade = state.cascades[cascade_id].cascade
        step = None if number is None else _told(state, cascade.plan.steps[number])
        return step, cascade.state

    async def leased_step(self, lease: StepLease) -> CascadeStep:
        return _told(self._graph.state, hold_step(self._graph.state, lease))

    async def renew(self, lease: StepLease, lease_s: float) -> datetime:
        expires_at = self._graph.now() + timedelta(seconds=lease_s)

        def unit(state: State) -> None:
            hold_step(state, lease)
            change_step(state, lease.cascade_id, lease.step, expires_at=expires_at)

        self._graph.write(unit)
        return expires_at

    async def report(self, lease: StepLease, report: StepReport) -> tuple[StepState, CascadeState]:
        self._graph.write(lambda state: _report(state, lease, report))
        cascade = self._graph.state.cascades[lease.cascade_id].cascade
        return cascade.plan.steps[lease.step].state, cascade.state

    async def resume(
        self, cascade_id: str, *, publish: PublishMode | None = None, request: RequestKey | None = None
    ) -> Cascade:
        self._graph.write(lambda state: resume_cascade(state, cascade_id, publish), request)
        return await self.get(cascade_id)

    async def publish(
        self, cascade_id: str, *, anyway: bool = False, request: RequestKey | None = None
    ) -> Cascade:
        self._graph.write(lambda state: publish_cascade(state, cascade_id, is_anyway=anyway), request)
        return await self.get(cascade_id)

    async def cancel(self, cascade_id: str, request: RequestKey | None = None) -> Cascade:
        self._graph.write(lambda state: cancel_cascade(state, cascade_id), request)
        return await self.get(cascade_id)

    async def running_over(self, uids: Sequence[str]) -> list[str]:
        cascades = self._graph.state.cascades
        return [
            id_ for id_ in sorted(cascades) if cascades[id_].is_open and cascades[id_].replaced() & set(uids)
        ]


def _told(state: State, step: CascadeStep) -> CascadeStep:
    """A step with what became of its targets."""
    targets = []
    for target in step.targets:
        made = state.staged[target.uid].model if target.uid in state.staged else state.models.get(target.uid)
        targets.append(replace(target, made=None if made is None else summary_of(made)))
    return replace(step, targets=tuple(targets))


def _listed(cascade: Cascade) -> Cascade:
    steps = tuple(replace(step, targets=()) for step in cascade.plan.steps)
    return replace(cascade, plan=replace(cascade.plan, steps=steps, left_out=()))


def _start(state: State, cascade: Cascade) -> str:
    kept = KeptCascade(cascade=_recorded(cascade), failures=(0,) * len(cascade.plan.steps), known={})
    for uid in sorted({*kept.uses(), cascade.plan.old.uid, cascade.plan.new.uid}):
        checks.check_present(state.model(uid))
    for other_id, other in sorted(state.cascades.items()):
        for uid in sorted(other.replaced() & kept.replaced()):
            if other.is_open:
                raise checks.cascade_overlap(other_id, state.models[uid].ref)
    known = {
        uid: Known(
            last_version=state.names[state.models[uid].name.lower()].last_version,
            newer=frozenset(newer for newer, older in state.revisions.items() if older == uid),
        )
        for uid in kept.replaced()
    }
    state.cascades[cascade.id] = replace(kept, known=known)
    return cascade.id


def _recorded(cascade: Cascade) -> Cascade:
    """A cascade as it is kept: creation records without source and environment."""
    steps = tuple(
        replace(
            step,
            targets=tuple(
                replace(target, creation=recorded_creation(target.creation)) for target in step.targets
            ),
        )
        for step in cascade.plan.steps
    )
    return replace(cascade, plan=replace(cascade.plan, steps=steps))


def _lease(state: State, cascade_id: str, worker: str, times: tuple[datetime, datetime]) -> int | None:
    """The number of the step that was leased; ``times`` are now, and the end of the lease."""
    kept = find_cascade(state, cascade_id)
    if not kept.is_open:
        raise checks.cascade_ended(cascade_id, kept.cascade.state)
    now, expires_at = times
    while state.cascades[cascade_id].cascade.state is CascadeState.RUNNING:
        step = _next_step(state.cascades[cascade_id].cascade, now)
        if step is None:
            return None
        if step.expires_at is not None and _count_failure(state, cascade_id, step, checks.LEASE_EXPIRED):
            continue
        if step.state is not StepState.STAGED:
            discard_staged(state, [each.uid for each in step.targets if each.uid in state.staged])
        change_step(
            state,
            cascade_id,
            step.number,
            state=step.state if step.state is StepState.STAGED else StepState.LEASED,
            attempt=step.attempt + 1,
            worker=worker,
            expires_at=expires_at,
        )
        return step.number
    return None


def _next_step(cascade: Cascade, now: datetime) -> CascadeStep | None:
    steps = cascade.plan.steps
    free = [
        step
        for step in steps
        if (step.expires_at is not None and step.expires_at <= now)
        or (
            step.expires_at is None
            and step.state in (StepState.WAITING, StepState.STAGED)
            and all(steps[need].state is StepState.DONE for need in step.needs)
        )
    ]
    longest_ago = datetime.min.replace(tzinfo=now.tzinfo)
    return min(free, key=lambda step: (step.expires_at or longest_ago, step.number), default=None)


def _count_failure(
    state: State, cascade_id: str, step: CascadeStep, error: str, *, is_final: bool = False
) -> bool:
    """Let an attempt count as failed; says whether the step was given up."""
    kept = state.cascades[cascade_id]
    failures = list(kept.failures)
    failures[step.number] += 1
    state.cascades[cascade_id] = replace(kept, failures=tuple(failures))
    is_over = is_final or failures[step.number] >= kept.cascade.max_attempts
    left = StepState.STAGED if step.state is StepState.STAGED else StepState.WAITING
    change_step(
        state,
        cascade_id,
        step.number,
        state=StepState.FAILED if is_over else left,
        error=error,
        expires_at=None,
    )
    if is_over:
        _block_behind(state, cascade_id, step.number)
        settle(state, cascade_id)
    return is_over


def _block_behind(state: State, cascade_id: str, number: int) -> None:
    blocked = {number}
    for step in state.cascades[cascade_id].cascade.plan.steps:
        if blocked & set(step.needs):
            blocked.add(step.number)
            if step.state is StepState.WAITING:
                change_step(state, cascade_id, step.number, state=StepState.BLOCKED)


def _report(state: State, lease: StepLease, report: StepReport) -> None:
    step = find_step(state, lease)
    kept = state.cascades[lease.cascade_id]
    if step.expires_at is None:
        return
    if not kept.is_open:
        raise checks.step_lease_lost(lease)
    error, is_final = report.error, report.is_final
    if report.failed_tests and kept.cascade.stop_at_failed_tests and not (error or report.is_released):
        error, is_final = checks.failed_tests_error(report.failed_tests), True
    change_step(state, lease.cascade_id, lease.step, failed_tests=report.failed_tests)
    if report.is_released:
        left = StepState.STAGED if step.state is StepState.STAGED else StepState.WAITING
        change_step(state, lease.cascade_id, lease.step, state=left, expires_at=None)
    elif error:
        _count_failure(state, lease.cascade_id, step, error, is_final=is_final)
    elif step.state is not StepState.STAGED:
        raise checks.step_lease_lost(lease)
    else:
        finish_step(state, lease)
