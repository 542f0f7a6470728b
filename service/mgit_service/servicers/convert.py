"""Core values as messages, and messages as core values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from google.protobuf import timestamp_pb2

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import (
    Dataset,
    Direction,
    EdgeOrigin,
    Model,
    ModelState,
    ModelSummary,
    Promise,
    ProvenanceEdge,
    Relation,
    RevisionEdge,
    Tag,
)
from mgit_core.ports.graph import DuplicateGroup, RelatedModel, TensorUse
from mgit_proto.v1 import lineage_pb2, types_pb2
from mgit_service.servicers.creation_messages import creation_message
from mgit_service.servicers.loss import loss_message
from mgit_service.servicers.metadata import metadata_message
from mgit_service.use_cases.references import ParentRequest

__all__ = [
    "dataset_message",
    "direction_value",
    "duplicate_message",
    "edge_message",
    "followed_relations",
    "listed_model_message",
    "model_message",
    "origin_message",
    "parent_request",
    "related_message",
    "relation_message",
    "relation_value",
    "revision_message",
    "summary_message",
    "tag_message",
    "timestamp_message",
    "timestamp_value",
    "use_message",
]

_RELATIONS: dict[Relation, types_pb2.Relation.ValueType] = {
    relation: types_pb2.Relation.Value(f"RELATION_{relation.name}") for relation in Relation
}
_RELATION_VALUES = {number: relation for relation, number in _RELATIONS.items()}
_ORIGINS: dict[EdgeOrigin, types_pb2.EdgeOrigin.ValueType] = {
    origin: types_pb2.EdgeOrigin.Value(f"EDGE_ORIGIN_{origin.name}") for origin in EdgeOrigin
}
_ORIGIN_VALUES = {number: origin for origin, number in _ORIGINS.items()}
_STATES: dict[ModelState, types_pb2.ModelState.ValueType] = {
    state: types_pb2.ModelState.Value(f"MODEL_STATE_{state.name}") for state in ModelState
}
_DIRECTIONS: dict[lineage_pb2.Direction.ValueType, Direction] = {
    lineage_pb2.DIRECTION_ANCESTORS: Direction.ANCESTORS,
    lineage_pb2.DIRECTION_DESCENDANTS: Direction.DESCENDANTS,
}


def timestamp_message(moment: datetime) -> timestamp_pb2.Timestamp:
    """A moment; ``moment`` has a time zone."""
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(moment)
    return message


def timestamp_value(message: timestamp_pb2.Timestamp) -> datetime:
    """The moment, UTC, to the microsecond."""
    return message.ToDatetime(tzinfo=UTC)


def summary_message(model: ModelSummary) -> types_pb2.ModelSummary:
    """A model in a list; of a whole model only what a list shows."""
    return types_pb2.ModelSummary(
        uid=model.uid,
        name=model.name,
        version=model.version,
        state=_STATES[model.state],
        created_at=timestamp_message(model.created_at),
    )


def model_message(model: Model) -> types_pb2.Model:
    """A whole model."""
    parameters = model.parameters
    return types_pb2.Model(
        summary=summary_message(model),
        type=model.type or "",
        metadata={key: metadata_message(value) for key, value in model.metadata.items()},
        parameters_digest=b"" if parameters is None else parameters.digest,
        size_bytes=0 if parameters is None else parameters.size_bytes,
        tensor_count=0 if parameters is None else parameters.tensor_count,
        files_digest=model.files or b"",
        files_bytes=model.files_bytes,
        parents=[
            edge_message(edge, reference)
            for edge, reference in zip(model.parents, model.parent_refs, strict=True)
        ],
        previous=None if model.previous is None else summary_message(model.previous),
        tags=model.tags,
        datasets=[dataset_message(dataset) for dataset in model.datasets],
        loss=None if model.loss is None else loss_message(model.loss),
        creation=None if model.creation is None else creation_message(model.creation),
        layer_graph_digest=model.layer_graph or b"",
        promised_by=None if parameters is None else _promise_message(parameters.promised_by),
    )


def _promise_message(promise: Promise | None) -> types_pb2.Promise | None:
    if promise is None:
        return None
    return types_pb2.Promise(store_id=promise.store_id, remote=promise.remote)


def listed_model_message(model: Model) -> types_pb2.Model:
    """A model of a list: without the tensors of its record of loss, of which a list could hold too many."""
    if model.loss is not None:
        model = replace(model, loss=replace(model.loss, tensors=()))
    return model_message(model)


def dataset_message(dataset: Dataset) -> types_pb2.Dataset:
    """A data set."""
    return types_pb2.Dataset(name=dataset.name, version=dataset.version)


def edge_message(edge: ProvenanceEdge, parent_ref: str = "") -> types_pb2.ProvenanceEdge:
    """A provenance edge; ``parent_ref`` where the child is described."""
    return types_pb2.ProvenanceEdge(
        child_uid=edge.child_uid,
        parent_uid=edge.parent_uid,
        relation=_RELATIONS[edge.relation],
        position=edge.position,
        weight=edge.weight,
        origin=_ORIGINS[edge.origin],
        confidence=edge.confidence,
        created_at=timestamp_message(edge.created_at),
        parent_ref=parent_ref,
    )


def revision_message(edge: RevisionEdge) -> types_pb2.RevisionEdge:
    """A version edge."""
    return types_pb2.RevisionEdge(newer_uid=edge.newer_uid, older_uid=edge.older_uid)


def tag_message(tag: Tag) -> lineage_pb2.Tag:
    """A tag."""
    return lineage_pb2.Tag(model_name=tag.model_name, tag=tag.tag, model=summary_message(tag.model))


def related_message(relative: RelatedModel) -> lineage_pb2.Relative:
    """A relative with its hops."""
    return lineage_pb2.Relative(model=summary_message(relative.model), hops=relative.hops)


def use_message(use: TensorUse) -> lineage_pb2.TensorUse:
    """A model that holds a tensor."""
    return lineage_pb2.TensorUse(model=summary_message(use.model), parameter=use.parameter)


def duplicate_message(group: DuplicateGroup) -> lineage_pb2.DuplicateGroup:
    """Models with equal parameters."""
    return lineage_pb2.DuplicateGroup(
        parameters_digest=group.digest, models=[summary_message(model) for model in group.models]
    )


def origin_message(origin: EdgeOrigin) -> types_pb2.EdgeOrigin.ValueType:
    """The number of an origin."""
    return _ORIGINS[origin]


def relation_message(relation: Relation) -> types_pb2.Relation.ValueType:
    """The number of a relation."""
    return _RELATIONS[relation]


def relation_value(number: types_pb2.Relation.ValueType) -> Relation | None:
    """The relation; None if unspecified.

    Raises:
        InvalidArgumentError: INVALID_RELATION for a number that this version does not know.
    """
    if number == types_pb2.RELATION_UNSPECIFIED:
        return None
    relation = _RELATION_VALUES.get(number)
    if relation is None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_RELATION,
            f"A relation is one of {', '.join(Relation)}; found number {number}, which this service does not "
            "know.",
        )
    return relation


def followed_relations(numbers: Iterable[types_pb2.Relation.ValueType]) -> tuple[Relation, ...]:
    """The relations that a traversal follows, each once.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT for one that is unspecified or not known.
    """
    relations = [_RELATION_VALUES.get(number) for number in numbers]
    known = [relation for relation in relations if relation is not None]
    if len(known) < len(relations):
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"The relations of a traversal are of {', '.join(Relation)}; found one that is not.",
            field="relations",
        )
    return tuple(dict.fromkeys(known))


def direction_value(number: lineage_pb2.Direction.ValueType) -> Direction:
    """The direction of a traversal.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, if it is not given or not known.
    """
    direction = _DIRECTIONS.get(number)
    if direction is None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            "The direction of a traversal is ANCESTORS or DESCENDANTS; it was not given.",
            field="direction",
        )
    return direction


def parent_request(message: types_pb2.ParentLink) -> ParentRequest:
    """A provenance edge that a child asks for, its parent still by reference.

    Raises:
        InvalidArgumentError: INVALID_RELATION for a relation or origin that this version does not know.
    """
    origin = _ORIGIN_VALUES.get(message.origin)
    if origin is None and message.origin != types_pb2.EDGE_ORIGIN_UNSPECIFIED:
        raise InvalidArgumentError(
            ErrorReason.INVALID_RELATION,
            f"The origin of an edge is one of {', '.join(EdgeOrigin)}; found number {message.origin}.",
        )
    return ParentRequest(
        reference=message.parent,
        relation=relation_value(message.relation) or Relation.DERIVED,
        weight=message.weight if message.HasField("weight") else None,
        origin=origin or EdgeOrigin.DECLARED,
        confidence=message.confidence if message.HasField("confidence") else None,
    )
