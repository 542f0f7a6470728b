"""A merge as a step of a cascade: who asks for it says which step, and its plan says what is merged with what."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mgit_core.cascade.outlines import Outline, outline_of, tell_difference
from mgit_core.creation import merge_base_of
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from mgit_core.lineage import Model
from mgit_core.merge.planning import MergePlan
from mgit_core.merge.recording import merge_sides, read_merge_call
from mgit_core.names import Reference
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.draft_header import DraftHeader, StepDraft
from mgit_service.use_cases.merging.recipe import RECIPE_KEY
from mgit_service.use_cases.merging.request import MergeOrder
from mgit_service.use_cases.merging.sides import MergeContents, order_of_call
from mgit_service.use_cases.transfer.reading import read_content
from mgit_service.use_cases.transfer.resolution import settle_header

__all__ = ["StepMerge", "check_outline", "find_step_merge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMerge:
    """A merge that a step of a cascade is.

    Attributes:
        order: What is merged, as the plan says.
        header: What is said of the model; its metadata lacks.
        old: The model that it replaces.
        made: The model, if this attempt staged it before.
    """

    order: MergeOrder
    header: DraftHeader
    old: Model
    made: Model | None


async def find_step_merge(backend: Backend, draft: StepDraft) -> StepMerge:
    """What a step merges. Whoever holds the step may ask again: what is staged already is not merged twice.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
        InvalidArgumentError: INVALID_CREATION, for a target that is not the step's, or is no merge of two models.
    """
    header = await settle_header(backend, DraftHeader(name="", step=draft))
    target = None if header.step is None else header.step.target
    assert target is not None  # noqa: S101 - a settled header of a step has its target
    call = read_merge_call(target.creation)
    order = order_of_call(call, merge_sides(target.parents), target.old.ref)
    old = await backend.lineage.models.get(Reference(uid=target.old.uid))
    order = replace(order, name=header.name, step=header.step)
    return StepMerge(order=order, header=header, old=old, made=await _find_made(backend, target.uid))


async def _find_made(backend: Backend, uid: str) -> Model | None:
    try:
        made = await backend.lineage.staging.get(uid)
    except NotFoundError:
        return None
    if RECIPE_KEY not in made.metadata:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION, f"The target @{uid} is a merge, but was sent as a model.", uid=uid
        )
    return made


async def check_outline(backend: Backend, merge: StepMerge, contents: MergeContents, plan: MergePlan) -> None:
    """Refuses parameters that the replaced model does not have, values aside, unless a side or the base has others now.

    Raises:
        FailedPreconditionError: CREATION_FAILED.
        CorruptError: MANIFEST_CORRUPT.
    """
    found = {
        each.name: source.spec for each in plan.parameters if (source := each.source or each.ours) is not None
    }
    wanted = await _outline(backend, merge.old.uid)
    difference = "" if wanted is None else tell_difference(wanted, found)
    if difference and not await _is_reshaped(backend, merge.old, contents):
        raise FailedPreconditionError(
            ErrorReason.CREATION_FAILED,
            f"The merge makes other parameters than {merge.old.ref} has, though its sides and its base have theirs as "
            f"before: {difference}.",
        )


async def _is_reshaped(backend: Backend, old: Model, contents: MergeContents) -> bool:
    """Whether a side or the base has other parameters, values aside, than the one before; if that is gone, it may."""
    base_uid = None if old.creation is None else merge_base_of(old.creation)
    before = [*merge_sides(old.parents), base_uid or contents.base.model.uid]
    for uid, now in zip(before, (contents.ours, contents.theirs, contents.base), strict=False):
        if uid != now.model.uid:
            outline = await _outline(backend, uid)
            if outline is None or tell_difference(outline, outline_of(now.manifest)):
                return True
    return False


async def _outline(backend: Backend, uid: str) -> Outline | None:
    """Of a model; None if it was removed."""
    try:
        return outline_of((await read_content(backend, f"@{uid}")).manifest)
    except (FailedPreconditionError, NotFoundError):
        return None
