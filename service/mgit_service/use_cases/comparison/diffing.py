"""What differs between two models: from manifests first, then from the values of what differs."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace

from mgit_core.diff.measuring import common_items
from mgit_core.diff.pairing import PairedParameter, pair_parameters
from mgit_core.diff.relationship import (
    MAX_COMMON_ANCESTORS,
    Relationship,
    RelationshipKind,
    direct_relationship,
)
from mgit_core.diff.structural import LayeredModel, diff_structure
from mgit_core.diff.values import DiffState, ParameterDiff, StructuralDiff
from mgit_core.errors import NotFoundError
from mgit_core.lineage import Model
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.comparison.measuring import bytes_to_read, measure_change
from mgit_service.use_cases.layer_graphs import read_layer_graph
from mgit_service.use_cases.transfer.reading import ModelContent, read_content

__all__ = ["DiffJob", "DiffOutline", "MeasuredParameter", "diff_models"]

# Each holds some windows; two keep the cores of a small machine at work while chunks are read.
_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffJob:
    """What is wanted.

    Attributes:
        with_values: Whether parameters that differ are read, to tell by how much.
        with_equal: Whether equal layers, data flow and parameters are told too.
    """

    with_values: bool = True
    with_equal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOutline:
    """What manifests and layer graphs tell.

    Attributes:
        before: The model that is compared from.
        after: The model that is compared to.
        relationship: How they stand to each other in the lineage.
        structural: Layers and data flow.
        equal_parameters: Parameters with equal bits, renamed ones included.
        differing_parameters: Parameters that were added or removed, or have other bits.
        renamed_parameters: Parameters under another name.
        total_bytes: Bytes of raw content that have to be read to tell by how much parameters differ.
    """

    before: Model
    after: Model
    relationship: Relationship
    structural: StructuralDiff
    equal_parameters: int
    differing_parameters: int
    renamed_parameters: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredParameter:
    """A parameter that differs.

    Attributes:
        diff: How.
        read_bytes: Bytes of raw content that were read for it.
    """

    diff: ParameterDiff
    read_bytes: int = 0


async def diff_models(
    backend: Backend, before: str, after: str, job: DiffJob
) -> AsyncGenerator[DiffOutline | MeasuredParameter]:
    """The outline, then each parameter that differs: in the order of before, added ones last.

    Memory grows with the manifests, not with the tensors.

    Args:
        backend: Store and graph.
        before: Reference of the model that is compared from.
        after: Reference of the model that is compared to.
        job: What is wanted.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND; CHUNK_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED; PARAMETERS_PROMISED, where values are wanted that another store has.
        CorruptError: MANIFEST_CORRUPT or CHUNK_CORRUPT.
    """
    contents = await read_content(backend, before), await read_content(backend, after)
    structural, pairs = await _compare(backend, contents, job)
    wanted = [pair for pair in pairs if _is_measured(pair)] if job.with_values else []
    diffs = [pair.as_diff() for pair in pairs]
    yield DiffOutline(
        before=contents[0].model,
        after=contents[1].model,
        relationship=await _find_relationship(backend, contents[0].model, contents[1].model),
        structural=structural,
        equal_parameters=sum(diff.state is DiffState.EQUAL for diff in diffs),
        differing_parameters=sum(diff.state is not DiffState.EQUAL for diff in diffs),
        renamed_parameters=sum(diff.is_renamed for diff in diffs),
        total_bytes=sum(map(bytes_to_read, wanted)),
    )
    told = [pair for pair, diff in zip(pairs, diffs, strict=True) if diff or job.with_equal]
    async with contextlib.aclosing(_measured(backend, contents, told, job)) as measured:
        async for each in measured:
            yield each


async def _compare(
    backend: Backend, contents: Sequence[ModelContent], job: DiffJob
) -> tuple[StructuralDiff, list[PairedParameter]]:
    before, after = [
        LayeredModel(
            graph=await read_layer_graph(backend, content.model, content.manifest),
            parameters=content.manifest.parameters,
        )
        for content in contents
    ]
    return await in_thread(backend, _diff, before, after, job)


def _diff(
    before: LayeredModel, after: LayeredModel, job: DiffJob
) -> tuple[StructuralDiff, list[PairedParameter]]:
    whole = diff_structure(before, after, whole=True)
    pairs = pair_parameters(before.parameters, after.parameters, whole.layers)
    if job.with_equal:
        return whole, pairs
    layers = tuple(layer for layer in whole.layers if layer)
    flow = tuple(each for each in whole.flow if each.state is not DiffState.EQUAL)
    return replace(whole, layers=layers, flow=flow), pairs


def _is_measured(pair: PairedParameter) -> bool:
    if pair.before is None or pair.after is None or pair.before.digest == pair.after.digest:
        return False
    return common_items(pair.before.spec, pair.after.spec) > 0


async def _measured(
    backend: Backend, contents: Sequence[ModelContent], pairs: Sequence[PairedParameter], job: DiffJob
) -> AsyncGenerator[MeasuredParameter]:
    """Each pair in order; a few are measured at once."""
    ahead: deque[asyncio.Task[MeasuredParameter]] = deque()
    rest = _tasks(backend, contents, pairs, job)
    try:
        while True:
            while len(ahead) < _AT_ONCE and (task := next(rest, None)) is not None:
                ahead.append(task)
            if not ahead:
                return
            yield await ahead[0]
            ahead.popleft()
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


def _tasks(
    backend: Backend, contents: Sequence[ModelContent], pairs: Sequence[PairedParameter], job: DiffJob
) -> Iterator[asyncio.Task[MeasuredParameter]]:
    for pair in pairs:
        yield asyncio.ensure_future(_measure(backend, contents, pair, job))


async def _measure(
    backend: Backend, contents: Sequence[ModelContent], pair: PairedParameter, job: DiffJob
) -> MeasuredParameter:
    diff = pair.as_diff()
    if not job.with_values or not _is_measured(pair):
        return MeasuredParameter(diff=diff)
    models = [content.model for content in contents]
    change = await measure_change(backend, models, pair)
    return MeasuredParameter(diff=replace(diff, change=change), read_bytes=bytes_to_read(pair))


async def _find_relationship(backend: Backend, before: Model, after: Model) -> Relationship:
    direct = direct_relationship(before, after)
    if direct is not None:
        return direct
    try:
        bases = await backend.lineage.traversal.merge_bases(before.uid, after.uid)
    except NotFoundError:  # One was removed since it was read.
        bases = []
    uids = {base.uid for base in bases}
    kind = RelationshipKind.RELATED if bases else RelationshipKind.UNRELATED
    if before.uid in uids:
        kind = RelationshipKind.DESCENDANT
    elif after.uid in uids:
        kind = RelationshipKind.ANCESTOR
    is_related = kind is RelationshipKind.RELATED
    return Relationship(
        kind=kind,
        is_newer_version=after.previous is not None and after.previous.uid == before.uid,
        is_older_version=before.previous is not None and before.previous.uid == after.uid,
        common_ancestors=tuple(bases[:MAX_COMMON_ANCESTORS]) if is_related else (),
    )
