"""What laws of cascades do again and again."""

from __future__ import annotations

from dataclasses import replace

from mgit_core.cascade.graph import PlanOptions
from mgit_core.cascade.planning import plan_cascade
from mgit_core.cascade.values import (
    Cascade,
    CascadeState,
    CascadeStep,
    PublishMode,
    StepLease,
    StepState,
)
from mgit_core.lineage import Model, ModelCommit, ParentLink, Previous, Relation
from mgit_core.merge.recording import MergeCall, record_merge
from mgit_core.ports.cascades import StepReport
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.steps import add, child_of
from mgit_storage.testing.values import fresh_uid, make_commit, make_creation

__all__ = [
    "LONG_S",
    "commit_of",
    "create",
    "family",
    "finish",
    "lease",
    "lease_of",
    "make",
    "merge",
    "planned",
    "start_and_stage",
    "started",
    "states",
]

LONG_S = 600.0
"""Longer than any law takes."""


async def create(lineage: Lineage, name: str, *parents: Model, **creation: str) -> Model:
    """A new model that can be made anew."""
    commit = replace(make_commit(name, *child_of(*parents)), creation=make_creation(**creation))
    return (await lineage.models.commit(commit)).model


async def merge(lineage: Lineage, name: str, base_uid: str, *sides: Model) -> Model:
    """A new model that is a merge of two."""
    links = [ParentLink(parent_uid=side.uid, relation=Relation.MERGED) for side in sides]
    commit = replace(make_commit(name, *links), creation=record_merge(MergeCall(base_uid=base_uid)))
    return (await lineage.models.commit(commit)).model


async def family(lineage: Lineage) -> tuple[Model, Model]:
    """A base, a diamond below it, and its next version; old and new."""
    old = await add(lineage, "base")
    left, right = await create(lineage, "left", old), await create(lineage, "right", old)
    await create(lineage, "low", left, right)
    return old, await add(lineage, "base")


async def planned(
    lineage: Lineage,
    old: Model,
    new: Model,
    *,
    publish: PublishMode = PublishMode.TOGETHER,
    **changed: object,
) -> Cascade:
    """A cascade that is not kept yet."""
    plan = plan_cascade(await lineage.cascades.graph(old.uid, new.uid), PlanOptions(), fresh_uid)
    cascade = Cascade(
        id=fresh_uid(),
        state=CascadeState.RUNNING,
        plan=plan,
        publish=publish,
        stop_at_failed_tests=False,
        max_attempts=2,
        created_at=old.created_at,
        updated_at=old.created_at,
    )
    return replace(cascade, **changed)  # type: ignore[arg-type]


async def started(lineage: Lineage, old: Model, new: Model, **changed: object) -> Cascade:
    """A cascade that was started."""
    return await lineage.cascades.start(await planned(lineage, old, new, **changed))  # type: ignore[arg-type]


def lease_of(cascade: Cascade, step: CascadeStep) -> StepLease:
    """The lease that a step was given with."""
    return StepLease(cascade_id=cascade.id, step=step.number, attempt=step.attempt)


async def lease(lineage: Lineage, cascade: Cascade) -> CascadeStep:
    """The next step, which must be there."""
    step, _ = await lineage.cascades.lease(cascade.id, "worker", LONG_S)
    assert step is not None
    return step


def commit_of(step: CascadeStep, position: int = 0) -> ModelCommit:
    """What a worker makes of a target."""
    target = step.targets[position]
    commit = make_commit(
        target.old.name, *target.parents, previous=Previous(uid=target.old.uid, automatic=False)
    )
    return replace(commit, uid=target.uid, creation=target.creation)


async def make(lineage: Lineage, cascade: Cascade, step: CascadeStep) -> list[Model]:
    """Stage all targets of a leased step."""
    return [
        await lineage.staging.stage(commit_of(step, position), lease_of(cascade, step))
        for position in range(len(step.targets))
    ]


async def finish(lineage: Lineage, cascade: Cascade) -> tuple[StepState, CascadeState]:
    """Lease, make and report the next step."""
    step = await lease(lineage, cascade)
    await make(lineage, cascade, step)
    return await lineage.cascades.report(lease_of(cascade, step), StepReport())


async def states(lineage: Lineage, cascade: Cascade) -> list[StepState]:
    """States of all steps."""
    return [step.state for step in (await lineage.cascades.get(cascade.id)).plan.steps]


async def start_and_stage(lineage: Lineage, old: Model, new: Model) -> Cascade:
    """A cascade whose first step has its models, staged."""
    cascade = await started(lineage, old, new)
    await make(lineage, cascade, await lease(lineage, cascade))
    return cascade
