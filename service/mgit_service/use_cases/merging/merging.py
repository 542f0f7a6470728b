"""A merge from end to end: what differs is found, conflicts are named or resolved, and a model is made or staged."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace

from mgit_core.creation import CreationRecord
from mgit_core.errors import InvalidArgumentError
from mgit_core.lineage import Model, RequestKey
from mgit_core.merge.planning import MergePlan, plan_merge
from mgit_core.merge.recording import MergeCall, record_merge
from mgit_core.merge.values import MergeClass
from mgit_core.names import check_model_name
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.draft_header import StepDraft
from mgit_service.use_cases.merging.making import Making, MergeMaterial, MergeWanted
from mgit_service.use_cases.merging.recipe import earlier_steps
from mgit_service.use_cases.merging.request import (
    MergeEnd,
    MergeFindings,
    MergeOrder,
    MergeOutcome,
    MergeStep,
)
from mgit_service.use_cases.merging.sides import MergeContents, read_contents, read_pinned, read_sides
from mgit_service.use_cases.merging.steps import check_outline, find_step_merge

__all__ = ["decide_merge", "merge_models"]

_NOT_RECORDED = "Its choices take too much room to be kept with the model: an update of what it was made from leaves it out."


async def merge_models(
    backend: Backend, order: MergeOrder, request: RequestKey | None = None
) -> AsyncGenerator[MergeStep]:
    """Merge two models: first what was found, then how far it is, and last how it ended.

    Nothing is visible before the last step. Cut off, it leaves chunks that the next try finds.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND; CASCADE_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, INVALID_NAME or INVALID_REFERENCE; INVALID_CREATION, for a step that is
            no merge, or has no such target.
        FailedPreconditionError: MODEL_REMOVED, MODEL_STAGED, PARAMETERS_PROMISED, NO_MERGE_BASE,
            MERGE_BASE_AMBIGUOUS or MODELS_UNLIKE; CREATION_FAILED, for a step whose model would have other parameters
            than the one that it replaces.
        ConflictError: REQUEST_ID_REUSED; STEP_LEASE_LOST.
        CorruptError: CHUNK_CORRUPT or MANIFEST_CORRUPT.
        UnavailableError: UPLOAD_STALE: a collection began meanwhile; the same call may be repeated.
        ResourceExhaustedError: DISK_FULL.
    """
    merge = _merge(backend, order, request) if order.step is None else _merge_step(backend, order.step)
    async with contextlib.aclosing(merge) as steps:
        async for step in steps:
            yield step


async def _merge(
    backend: Backend, order: MergeOrder, request: RequestKey | None
) -> AsyncGenerator[MergeStep]:
    check_model_name(order.name)
    earlier = None if request is None else await backend.lineage.models.find_commit(request)
    if earlier is not None:
        for told in await earlier_steps(backend, earlier.model):
            yield told
        return
    contents = await read_contents(backend, order)
    creation = _record(contents, order)
    if creation is None:
        contents = replace(contents, notes=(*contents.notes, _NOT_RECORDED))
    wanted = MergeWanted(order=order, contents=contents, creation=creation)
    async with contextlib.aclosing(_carry_out(backend, wanted, request)) as steps:
        async for step in steps:
            yield step


async def _merge_step(backend: Backend, draft: StepDraft) -> AsyncGenerator[MergeStep]:
    """The same for a step of a cascade: the result is staged in the transaction that tells the step so."""
    merge = await find_step_merge(backend, draft)
    if merge.made is not None:
        for told in await earlier_steps(backend, merge.made):
            yield told
        return
    wanted = MergeWanted(order=merge.order, contents=await read_pinned(backend, merge.order), step=merge)
    async with contextlib.aclosing(_carry_out(backend, wanted, None)) as steps:
        async for step in steps:
            yield step


async def _carry_out(
    backend: Backend, wanted: MergeWanted, request: RequestKey | None
) -> AsyncGenerator[MergeStep]:
    contents = wanted.contents
    sides = await read_sides(backend, contents)
    plan = await in_thread(backend, plan_merge, sides, wanted.order.options)
    yield _findings(contents, plan)
    if plan.kind is MergeClass.CONFLICT:
        yield MergeEnd(outcome=MergeOutcome.CONFLICTED)
        return
    if wanted.step is not None:
        await check_outline(backend, wanted.step, contents, plan)
    making = Making(backend, MergeMaterial(wanted=wanted, sides=sides, plan=plan))
    async with contextlib.aclosing(making.make(request)) as steps:
        async for step in steps:
            yield step


def _record(contents: MergeContents, order: MergeOrder) -> CreationRecord | None:
    """How the model is created; None if its choices are too many to be kept."""
    call = MergeCall(base_uid=contents.base.model.uid, options=order.options, is_accepted=order.is_accepted)
    try:
        return record_merge(call)
    except InvalidArgumentError:
        return None


async def decide_merge(
    backend: Backend, uid: str, *, is_published: bool, request: RequestKey | None
) -> Model | None:
    """Publish a staged merge, or discard it; gives the published model.

    Raises:
        NotFoundError: MODEL_NOT_FOUND; PARENT_NOT_FOUND.
        FailedPreconditionError: MODEL_STAGED, if it belongs to a cascade.
        ConflictError: REQUEST_ID_REUSED.
    """
    if not is_published:
        await backend.lineage.staging.discard([uid], request)
        return None
    [published] = await backend.lineage.staging.publish([uid], request)
    backend.committed.set()
    return published.model


def _findings(contents: MergeContents, plan: MergePlan) -> MergeFindings:
    return MergeFindings(
        base=contents.base.model,
        ours=contents.ours.model,
        theirs=contents.theirs.model,
        counts=plan.counts,
        notes=(*contents.notes, *plan.notes),
        conflicts=plan.conflicts,
        possible=plan.possible,
    )
