"""A merge done again, to see whether it still gives the model that it made; no model is made."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from mgit_core.cascade.outlines import tell_spec
from mgit_core.creation import is_merge
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest, Parameter
from mgit_core.merge.planning import plan_merge
from mgit_core.merge.recording import merge_sides, read_merge_call
from mgit_core.merge.values import MergeClass
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.merging.making import Making, MergeMaterial, MergeWanted
from mgit_service.use_cases.merging.request import MergeOrder, MergeProgress
from mgit_service.use_cases.merging.sides import order_of_call, read_pinned, read_sides
from mgit_service.use_cases.transfer.reading import read_content

__all__ = ["MergeComparison", "rebuild_merge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeComparison:
    """How a merge that was done again compares with its model, by digest.

    Attributes:
        model: The model.
        parameter_count: How many parameters it has.
        different: Names of those that have other content now, of the same type and shape.
        missing: Names that the model has only.
        unexpected: Names that the merge makes only.
        reshaped: Name of those that have another type or shape now, with what they have and what they would have.
    """

    model: Model
    parameter_count: int
    different: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[tuple[str, str, str], ...] = ()


async def rebuild_merge(backend: Backend, reference: str) -> AsyncGenerator[MergeProgress | MergeComparison]:
    """Merge again what a model was merged from: how far it is, and last how the result compares.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: NO_CREATION_FUNCTION, if no merge was recorded; CREATION_FAILED, if there are conflicts
            now; MODEL_REMOVED or PARAMETERS_PROMISED.
        CorruptError: CHUNK_CORRUPT or MANIFEST_CORRUPT.
        ResourceExhaustedError: DISK_FULL.
    """
    content = await read_content(backend, reference)
    order = _order_of(content.model)
    contents = await read_pinned(backend, order)
    sides = await read_sides(backend, contents)
    plan = await in_thread(backend, plan_merge, sides, order.options)
    if plan.kind is MergeClass.CONFLICT:
        raise FailedPreconditionError(
            ErrorReason.CREATION_FAILED,
            f"Merged again with the choices that were recorded, {content.model.ref} has conflicts.",
        )
    wanted = MergeWanted(order=order, contents=contents)
    making = Making(backend, MergeMaterial(wanted=wanted, sides=sides, plan=plan))
    async with contextlib.aclosing(making.compute()) as steps:
        async for step in steps:
            yield step
    yield _compare(content.model, content.manifest, making.parameters)


def _order_of(model: Model) -> MergeOrder:
    """What is to be merged again.

    Raises:
        FailedPreconditionError: NO_CREATION_FUNCTION.
    """
    record = model.creation
    if record is None or not is_merge(record):
        raise FailedPreconditionError(
            ErrorReason.NO_CREATION_FUNCTION, f"That {model.ref} was merged is not recorded.", model=model.ref
        )
    return order_of_call(read_merge_call(record), merge_sides(model.parents), model.ref)


def _compare(model: Model, manifest: Manifest, parameters: Sequence[Parameter]) -> MergeComparison:
    then = {each.name: each for each in manifest.parameters}
    now = {each.name: each for each in parameters}
    common = [name for name in then if name in now]
    same = [name for name in common if then[name].spec == now[name].spec]
    return MergeComparison(
        model=model,
        parameter_count=len(then),
        different=tuple(name for name in same if then[name].digest != now[name].digest),
        missing=tuple(name for name in then if name not in now),
        unexpected=tuple(name for name in now if name not in then),
        reshaped=tuple(
            (name, tell_spec(then[name].spec), tell_spec(now[name].spec))
            for name in common
            if then[name].spec != now[name].spec
        ),
    )
