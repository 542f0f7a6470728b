"""Diffs from the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mgit.diffing.values import ModelDiff
from mgit.wire import read_relation, read_summary
from mgit_core.diff.relationship import Relationship, RelationshipKind
from mgit_core.diff.values import (
    DiffState,
    FlowDiff,
    LayerDiff,
    ParameterChange,
    ParameterDiff,
    ParameterSide,
    StructuralDiff,
)
from mgit_core.layers.graph import AttributeValue, Layer, LayerGraphSource
from mgit_core.tensor import TensorSpec
from mgit_proto.v1 import diff_pb2 as pb
from mgit_proto.v1 import types_pb2

__all__ = ["read_diff"]

_KIND_OF = {pb.RelationshipKind.Value(f"RELATIONSHIP_KIND_{kind.name}"): kind for kind in RelationshipKind}
_STATE_OF = {pb.DiffState.Value(f"DIFF_STATE_{state.name}"): state for state in DiffState}


def read_diff(answers: Iterable[Any], tell: Callable[[int, int], None]) -> ModelDiff:
    """The diff that a stream of answers makes; ``tell(done_bytes, total_bytes)`` hears how far it is."""
    outline = pb.DiffOutline()
    layers: list[LayerDiff] = []
    flow: list[FlowDiff] = []
    parameters: list[ParameterDiff] = []
    for answer in answers:
        if answer.HasField("outline"):
            outline = answer.outline
        layers += map(_read_layer, answer.layers)
        flow += map(_read_flow, answer.flow)
        parameters += map(_read_parameter, answer.parameters)
        if outline.total_bytes:
            tell(answer.done_bytes, outline.total_bytes)
    return ModelDiff(
        before=read_summary(outline.before),
        after=read_summary(outline.after),
        relationship=_read_relationship(outline.relationship),
        structural=StructuralDiff(
            layers=tuple(layers),
            flow=tuple(flow),
            equal_layers=outline.equal_layers,
            equal_flow=outline.equal_flow,
            items=outline.items,
            least_items=outline.least_items,
            source=LayerGraphSource(outline.layer_source),
            note=outline.layer_note,
        ),
        contextual=tuple(parameters),
        equal_parameters=outline.equal_parameters,
    )


def _read_relationship(message: pb.Relationship) -> Relationship:
    return Relationship(
        kind=_KIND_OF[message.kind],
        relation=read_relation(message.relation) if message.relation else None,
        is_newer_version=message.is_newer_version,
        is_older_version=message.is_older_version,
        common_ancestors=tuple(map(read_summary, message.common_ancestors)),
    )


def _read_layer(message: pb.LayerDiff) -> LayerDiff:
    return LayerDiff(
        before=_read_layer_side(message.before) if message.HasField("before") else None,
        after=_read_layer_side(message.after) if message.HasField("after") else None,
        is_alike=_STATE_OF[message.state] is DiffState.EQUAL,
        before_at=message.before.position if message.HasField("before") else None,
        after_at=message.after.position if message.HasField("after") else None,
    )


def _read_layer_side(message: pb.LayerSide) -> Layer:
    return Layer(
        path=message.path,
        kind=message.kind,
        attributes={each.name: _read_attribute(each) for each in message.attributes},
        parameters=tuple(message.parameters),
        repeats=message.repeats,
    )


def _read_attribute(message: pb.LayerAttribute) -> AttributeValue:
    match message.WhichOneof("value"):
        case "text":
            return message.text
        case "integer":
            return message.integer
        case "flag":
            return message.flag
        case _:
            return tuple(message.lengths.values)


def _read_flow(message: pb.FlowDiff) -> FlowDiff:
    return FlowDiff(giver=message.giver, taker=message.taker, state=_STATE_OF[message.state])


def _read_parameter(message: pb.ParameterDiff) -> ParameterDiff:
    return ParameterDiff(
        before=_read_parameter_side(message.before) if message.HasField("before") else None,
        after=_read_parameter_side(message.after) if message.HasField("after") else None,
        change=_read_change(message.change) if message.HasField("change") else None,
    )


def _read_parameter_side(message: types_pb2.Parameter) -> ParameterSide:
    return ParameterSide(
        name=message.name, spec=TensorSpec(message.dtype, tuple(message.shape)), digest=message.digest
    )


def _read_change(message: pb.ParameterChange) -> ParameterChange:
    return ParameterChange(
        compared=message.compared,
        differing=message.differing,
        not_finite=message.not_finite,
        before_zeros=message.before_zeros,
        after_zeros=message.after_zeros,
        before_norm=message.before_norm,
        after_norm=message.after_norm,
        change_norm=message.change_norm,
        largest=message.largest,
        cosine=message.cosine if message.HasField("cosine") else None,
        rank=message.rank if message.HasField("rank") else None,
        rank_is_bound=message.rank_is_bound,
    )
