"""Diffs as messages, in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeAlias

from mgit_core.diff.relationship import Relationship, RelationshipKind
from mgit_core.diff.values import (
    DiffState,
    FlowDiff,
    LayerDiff,
    ParameterChange,
    ParameterDiff,
    ParameterSide,
)
from mgit_core.layers.graph import AttributeValue, Layer
from mgit_proto.v1 import diff_pb2 as pb
from mgit_proto.v1 import types_pb2
from mgit_service.servicers import convert
from mgit_service.use_cases.comparison.diffing import DiffJob, DiffOutline, MeasuredParameter

__all__ = ["diff_job", "diff_messages"]

_PAGE_BYTES = 512 << 10
_NAMES_BYTES = 64 << 10
# What takes longer to read is told at once, so that a caller sees how far it is.
_TOLD_BYTES = 16 << 20

_KINDS = {kind: pb.RelationshipKind.Value(f"RELATIONSHIP_KIND_{kind.name}") for kind in RelationshipKind}
_STATES = {state: pb.DiffState.Value(f"DIFF_STATE_{state.name}") for state in DiffState}

Entry: TypeAlias = pb.LayerDiff | pb.FlowDiff | pb.ParameterDiff


def diff_job(request: pb.DiffModelsRequest) -> DiffJob:
    """What a request asks for."""
    return DiffJob(with_values=request.with_values, with_equal=request.with_equal)


async def diff_messages(
    parts: AsyncIterator[DiffOutline | MeasuredParameter],
) -> AsyncIterator[pb.DiffModelsResponse]:
    """A diff in messages of at most 1 MiB: outline, layers, data flow, parameters."""
    page = _Page()
    async for part in parts:
        if isinstance(part, DiffOutline):
            yield pb.DiffModelsResponse(outline=_outline_message(part))
            for entry in _structure_entries(part):
                if not page.has_room(entry):
                    yield page.turn()
                page.add(entry)
            continue
        entry = _parameter_message(part.diff)
        if not page.has_room(entry):
            yield page.turn()
        page.add(entry)
        if page.read(part.read_bytes):
            yield page.turn()
    yield page.turn()


class _Page:
    """The message that is being filled."""

    def __init__(self) -> None:
        self._message = pb.DiffModelsResponse()
        self._size_bytes = 0
        self._done_bytes = 0
        self._told_bytes = 0

    def has_room(self, entry: Entry) -> bool:
        """Whether an entry fits; into an empty page everything does."""
        return not self._size_bytes or self._size_bytes + entry.ByteSize() + 8 <= _PAGE_BYTES

    def add(self, entry: Entry) -> None:
        """Put an entry behind the others."""
        self._size_bytes += entry.ByteSize() + 8
        if isinstance(entry, pb.LayerDiff):
            self._message.layers.append(entry)
        elif isinstance(entry, pb.FlowDiff):
            self._message.flow.append(entry)
        else:
            self._message.parameters.append(entry)

    def read(self, read_bytes: int) -> bool:
        """Count bytes as read; gives whether it is time to tell."""
        self._done_bytes += read_bytes
        return self._done_bytes - self._told_bytes >= _TOLD_BYTES

    def turn(self) -> pb.DiffModelsResponse:
        """The page; a new one begins."""
        message, self._message = self._message, pb.DiffModelsResponse()
        message.done_bytes = self._told_bytes = self._done_bytes
        self._size_bytes = 0
        return message


def _structure_entries(outline: DiffOutline) -> Iterator[Entry]:
    yield from map(_layer_message, outline.structural.layers)
    yield from map(_flow_message, outline.structural.flow)


def _outline_message(outline: DiffOutline) -> pb.DiffOutline:
    structural = outline.structural
    return pb.DiffOutline(
        before=convert.summary_message(outline.before),
        after=convert.summary_message(outline.after),
        relationship=_relationship_message(outline.relationship),
        layer_source=structural.source.value,
        layer_note=structural.note,
        equal_layers=structural.equal_layers,
        equal_flow=structural.equal_flow,
        items=structural.items,
        least_items=structural.least_items,
        equal_parameters=outline.equal_parameters,
        differing_parameters=outline.differing_parameters,
        renamed_parameters=outline.renamed_parameters,
        total_bytes=outline.total_bytes,
    )


def _relationship_message(relationship: Relationship) -> pb.Relationship:
    message = pb.Relationship(
        kind=_KINDS[relationship.kind],
        is_newer_version=relationship.is_newer_version,
        is_older_version=relationship.is_older_version,
        common_ancestors=map(convert.summary_message, relationship.common_ancestors),
    )
    if relationship.relation is not None:
        message.relation = convert.relation_message(relationship.relation)
    return message


def _layer_message(layer: LayerDiff) -> pb.LayerDiff:
    return pb.LayerDiff(
        before=None if layer.before is None else _side_message(layer.before, layer.before_at),
        after=None if layer.after is None else _side_message(layer.after, layer.after_at),
        state=_STATES[layer.state],
    )


def _side_message(layer: Layer, position: int | None) -> pb.LayerSide:
    return pb.LayerSide(
        path=layer.path,
        kind=layer.kind,
        attributes=[_attribute_message(name, value) for name, value in layer.attributes.items()],
        parameters=_fitting(layer.parameters),
        repeats=layer.repeats,
        position=position or 0,
    )


def _attribute_message(name: str, value: AttributeValue) -> pb.LayerAttribute:
    message = pb.LayerAttribute(name=name)
    match value:
        case bool():
            message.flag = value
        case int():
            message.integer = value
        case str():
            message.text = value
        case _:
            message.lengths.values.extend(value)
            message.lengths.SetInParent()
    return message


def _fitting(names: Iterable[str]) -> Iterator[str]:
    room = _NAMES_BYTES
    for name in names:
        room -= len(name.encode()) + 4
        if room < 0:
            return
        yield name


def _flow_message(flow: FlowDiff) -> pb.FlowDiff:
    return pb.FlowDiff(giver=flow.giver, taker=flow.taker, state=_STATES[flow.state])


def _parameter_message(diff: ParameterDiff) -> pb.ParameterDiff:
    return pb.ParameterDiff(
        before=None if diff.before is None else _parameter_side(diff.before),
        after=None if diff.after is None else _parameter_side(diff.after),
        change=None if diff.change is None else _change_message(diff.change),
    )


def _parameter_side(side: ParameterSide) -> types_pb2.Parameter:
    return types_pb2.Parameter(
        name=side.name, dtype=side.spec.dtype, shape=side.spec.shape, digest=side.digest
    )


def _change_message(change: ParameterChange) -> pb.ParameterChange:
    return pb.ParameterChange(
        compared=change.compared,
        differing=change.differing,
        not_finite=change.not_finite,
        before_zeros=change.before_zeros,
        after_zeros=change.after_zeros,
        before_norm=change.before_norm,
        after_norm=change.after_norm,
        change_norm=change.change_norm,
        largest=change.largest,
        cosine=change.cosine,
        rank=change.rank,
        rank_is_bound=change.rank_is_bound,
    )
