"""The three models of a merge: found, and fit to be merged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit_core.lineage import Model, ModelState, ModelSummary
from mgit_core.merge.recording import MergeCall
from mgit_core.merge.values import MergeSide, MergeSides
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.layer_graphs import read_layer_graph
from mgit_service.use_cases.merging.request import MergeOrder
from mgit_service.use_cases.promises import check_whole
from mgit_service.use_cases.references import find_model
from mgit_service.use_cases.transfer.reading import ModelContent, read_content

__all__ = ["MergeContents", "order_of_call", "read_contents", "read_pinned", "read_sides"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeContents:
    """The three models with what they are made of.

    Attributes:
        base: What both sides are compared with.
        ours: One side.
        theirs: The other.
        notes: What a person should know of the base.
    """

    base: ModelContent
    ours: ModelContent
    theirs: ModelContent
    notes: tuple[str, ...] = ()

    @property
    def is_fast_forward(self) -> bool:
        """Whether one side is what the other was made from."""
        return self.base.model.uid in {self.ours.model.uid, self.theirs.model.uid}


async def read_contents(backend: Backend, order: MergeOrder) -> MergeContents:
    """The sides that an order names, and their base.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT for one model as both sides; INVALID_REFERENCE or INVALID_NAME.
        FailedPreconditionError: MODEL_REMOVED; MODEL_STAGED; PARAMETERS_PROMISED, for a side; NO_MERGE_BASE or
            MERGE_BASE_AMBIGUOUS.
        CorruptError: MANIFEST_CORRUPT.
    """
    ours, theirs = await asyncio.gather(
        find_model(backend.lineage, order.ours), find_model(backend.lineage, order.theirs)
    )
    if ours.uid == theirs.uid:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A merge is of two models; {order.ours} and {order.theirs} are both {ours.ref}.",
            field="theirs",
        )
    for side in (ours, theirs):
        _check_side(side)
    common = await backend.lineage.traversal.merge_bases(ours.uid, theirs.uid)
    base, notes = await _find_base(backend, order, (ours, theirs), common)
    contents = await asyncio.gather(*(read_content(backend, f"@{each.uid}") for each in (ours, theirs)))
    return MergeContents(
        base=await _read_base(backend, base, is_named=bool(order.base)),
        ours=contents[0],
        theirs=contents[1],
        notes=notes,
    )


def order_of_call(call: MergeCall, sides: Sequence[str], of: str) -> MergeOrder:
    """A recorded merge as an order: base and sides by uid.

    Args:
        call: What was asked for.
        sides: UIDs of the sides.
        of: Reference of the model that was merged, for messages.

    Raises:
        InvalidArgumentError: INVALID_CREATION, if there are not two sides.
    """
    if len(set(sides)) < 2:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION,
            f"The sides of a merge are the first two parents with relation 'merged'; {of} has {len(set(sides))}.",
        )
    ours, theirs = sides
    return MergeOrder(
        ours=f"@{ours}",
        theirs=f"@{theirs}",
        base=f"@{call.base_uid}",
        options=call.options,
        is_accepted=call.is_accepted,
    )


async def read_pinned(backend: Backend, order: MergeOrder) -> MergeContents:
    """The sides and the base of a recorded merge, published or staged; the lineage is not asked whether they fit.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED; PARAMETERS_PROMISED, for a side.
        CorruptError: MANIFEST_CORRUPT.
    """
    base, ours, theirs = await asyncio.gather(
        *(read_content(backend, reference) for reference in (order.base, order.ours, order.theirs))
    )
    for side in (ours, theirs):
        check_whole(side.model)
    return MergeContents(base=base, ours=ours, theirs=theirs)


async def read_sides(backend: Backend, contents: MergeContents) -> MergeSides:
    """The models as the plan wants them, with their layers.

    Raises:
        CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    base, ours, theirs = await asyncio.gather(
        *(_side(backend, content) for content in (contents.base, contents.ours, contents.theirs))
    )
    return MergeSides(base=base, ours=ours, theirs=theirs)


async def _side(backend: Backend, content: ModelContent) -> MergeSide:
    graph = await read_layer_graph(backend, content.model, content.manifest)
    return MergeSide(manifest=content.manifest, graph=graph, files=content.files)


def _check_side(model: Model) -> None:
    if model.state is ModelState.STAGED:
        raise FailedPreconditionError(
            ErrorReason.MODEL_STAGED,
            f"Model @{model.uid} is staged; only published models are merged.",
            model=model.uid,
        )
    check_whole(model)


async def _find_base(
    backend: Backend, order: MergeOrder, sides: tuple[Model, Model], common: Sequence[ModelSummary]
) -> tuple[ModelSummary, tuple[str, ...]]:
    refs = " and ".join(side.ref for side in sides)
    if order.base:
        base = await find_model(backend.lineage, order.base)
        known = {each.uid for each in common}
        if base.uid in known or await _is_common(backend, base, sides):
            return base, ()
        return base, (
            f"{base.ref} is no common ancestor of {refs} in the lineage; it was named as the base.",
        )
    if not common:
        raise FailedPreconditionError(
            ErrorReason.NO_MERGE_BASE,
            f"{refs} have no common ancestor in the lineage, so that nothing says what each of them changed. "
            "'--base REF' names a model to compare both with; 'mgit link' records where a model comes from.",
        )
    if len(common) > 1:
        candidates = ", ".join(each.ref for each in common)
        raise FailedPreconditionError(
            ErrorReason.MERGE_BASE_AMBIGUOUS,
            f"{refs} have {len(common)} merge bases: {candidates}. '--base REF' chooses one of them.",
            candidates=candidates,
        )
    return common[0], ()


async def _is_common(backend: Backend, base: Model, sides: Sequence[Model]) -> bool:
    """Whether both sides descend from ``base``, or are it."""
    for side in sides:
        found = await backend.lineage.traversal.merge_bases(base.uid, side.uid)
        if [each.uid for each in found] != [base.uid]:
            return False
    return True


async def _read_base(backend: Backend, base: ModelSummary, *, is_named: bool) -> ModelContent:
    try:
        return await read_content(backend, f"@{base.uid}")
    except FailedPreconditionError as error:
        if is_named or error.reason is not ErrorReason.MODEL_REMOVED:
            raise
        raise FailedPreconditionError(
            error.reason,
            f"The merge base is {base.ref}, which was removed. '--base REF' names another model to compare both "
            "sides with.",
            model=base.ref,
        ) from error
