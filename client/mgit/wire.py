"""Between the messages of the wire and the values of the lineage graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from mgit.values import (
    Dataset,
    DuplicateGroup,
    Edge,
    EdgeOrigin,
    Lineage,
    ModelFacts,
    ModelState,
    ModelStatistics,
    ModelSummary,
    Parent,
    Relation,
    RevisionEdge,
    ServiceStatus,
    Statistics,
    Tag,
    TensorStatistics,
    TensorUse,
    reference_of,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import MetadataValue, Promise, check_metadata, parse_relation
from mgit_proto.v1 import lineage_pb2, maintenance_pb2, types_pb2

__all__ = [
    "read_dataset",
    "read_duplicates",
    "read_edge",
    "read_facts",
    "read_lineage",
    "read_metadata",
    "read_model_statistics",
    "read_promise",
    "read_relation",
    "read_revision",
    "read_statistics",
    "read_status",
    "read_summary",
    "read_tag",
    "read_time",
    "read_use",
    "write_dataset",
    "write_metadata",
    "write_parent",
    "write_relation",
]

JsonValue: TypeAlias = object

_RELATIONS = {relation: types_pb2.Relation.Value(f"RELATION_{relation.name}") for relation in Relation}
_RELATION_OF = {number: relation for relation, number in _RELATIONS.items()}
_ORIGINS = {origin: types_pb2.EdgeOrigin.Value(f"EDGE_ORIGIN_{origin.name}") for origin in EdgeOrigin}
_ORIGIN_OF = {number: origin for origin, number in _ORIGINS.items()}
_STATE_OF = {types_pb2.ModelState.Value(f"MODEL_STATE_{state.name}"): state for state in ModelState}


def write_relation(relation: Relation | str) -> types_pb2.Relation.ValueType:
    """The relation on the wire.

    Raises:
        InvalidArgumentError: INVALID_RELATION, for a text that is none.
    """
    return _RELATIONS[relation if isinstance(relation, Relation) else parse_relation(relation)]


def read_relation(number: types_pb2.Relation.ValueType) -> Relation:
    """The relation that a number of the wire means."""
    return _RELATION_OF[number]


def write_parent(parent: Parent) -> types_pb2.ParentLink:
    """The edge that a new child asks for."""
    return types_pb2.ParentLink(
        parent=reference_of(parent.parent),
        relation=_RELATIONS[parent.relation],
        weight=parent.weight,
        origin=_ORIGINS[parent.origin],
        confidence=parent.confidence,
    )


def write_dataset(dataset: Dataset | str) -> types_pb2.Dataset:
    """A data set, or the text ``NAME[@VERSION]`` of one."""
    if isinstance(dataset, str):
        name, _, version = dataset.partition("@")
        return types_pb2.Dataset(name=name, version=version)
    return types_pb2.Dataset(name=dataset.name, version=dataset.version)


def write_metadata(metadata: Mapping[str, JsonValue]) -> dict[str, types_pb2.MetadataValue]:
    """Metadata; nested values and None become JSON text.

    Raises:
        InvalidArgumentError: INVALID_METADATA.
    """
    plain = {
        key: _nested_text(key, value) if value is None or isinstance(value, dict | list | tuple) else value
        for key, value in metadata.items()
    }
    return {key: _write_metadata_value(value) for key, value in check_metadata(plain).items()}


def _nested_text(key: str, value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA, f"Metadata {key!r} cannot be kept as JSON: {error}."
        ) from error


def _write_metadata_value(value: MetadataValue) -> types_pb2.MetadataValue:
    if isinstance(value, bool):  # Before int, of which it is a kind.
        return types_pb2.MetadataValue(flag=value)
    if isinstance(value, int):
        return types_pb2.MetadataValue(integer=value)
    if isinstance(value, float):
        return types_pb2.MetadataValue(number=value)
    return types_pb2.MetadataValue(text=value)


def read_metadata(metadata: Mapping[str, types_pb2.MetadataValue]) -> dict[str, MetadataValue]:
    """Metadata as plain values, by key."""
    found: dict[str, MetadataValue] = {}
    for key in sorted(metadata):
        kind = metadata[key].WhichOneof("kind")
        if kind is not None:
            value: Any = getattr(metadata[key], kind)
            found[key] = value
    return found


def read_time(time: Timestamp) -> datetime:
    """The moment, UTC."""
    return time.ToDatetime(tzinfo=UTC)


def read_summary(summary: types_pb2.ModelSummary) -> ModelSummary:
    """A model in a list."""
    return ModelSummary(
        uid=summary.uid,
        name=summary.name,
        version=summary.version,
        state=_STATE_OF[summary.state],
        created_at=read_time(summary.created_at),
    )


def read_edge(edge: types_pb2.ProvenanceEdge) -> Edge:
    """A provenance edge."""
    return Edge(
        child_uid=edge.child_uid,
        parent_uid=edge.parent_uid,
        parent_ref=edge.parent_ref,
        relation=_RELATION_OF[edge.relation],
        position=edge.position,
        weight=edge.weight if edge.HasField("weight") else None,
        origin=_ORIGIN_OF[edge.origin],
        confidence=edge.confidence if edge.HasField("confidence") else None,
        created_at=read_time(edge.created_at),
    )


def read_dataset(dataset: types_pb2.Dataset) -> Dataset:
    """A data set."""
    return Dataset(name=dataset.name, version=dataset.version)


def read_promise(promise: types_pb2.Promise) -> Promise:
    """Who has the parameters that a store lacks."""
    return Promise(store_id=promise.store_id, remote=promise.remote)


def read_revision(edge: types_pb2.RevisionEdge) -> RevisionEdge:
    """A version edge."""
    return RevisionEdge(newer_uid=edge.newer_uid, older_uid=edge.older_uid)


def read_tag(tag: lineage_pb2.Tag) -> Tag:
    """A tag."""
    return Tag(model_name=tag.model_name, tag=tag.tag, model=read_summary(tag.model))


def read_use(use: lineage_pb2.TensorUse) -> TensorUse:
    """A model that holds a tensor."""
    return TensorUse(read_summary(use.model), use.parameter)


def read_duplicates(group: lineage_pb2.DuplicateGroup) -> DuplicateGroup:
    """Models with equal parameters."""
    return DuplicateGroup(group.parameters_digest.hex(), tuple(map(read_summary, group.models)))


def read_lineage(answers: Sequence[lineage_pb2.GetLineageResponse]) -> Lineage:
    """A part of the graph, its messages joined."""
    return Lineage(
        models=tuple(read_summary(model) for answer in answers for model in answer.models),
        edges=tuple(read_edge(edge) for answer in answers for edge in answer.edges),
        revisions=tuple(read_revision(edge) for answer in answers for edge in answer.revisions),
        truncated=any(answer.truncated for answer in answers),
        facts=tuple(read_facts(facts) for answer in answers for facts in answer.facts),
    )


def read_facts(facts: lineage_pb2.ModelFacts) -> ModelFacts:
    """What is known of a model."""
    return ModelFacts(
        uid=facts.uid,
        type=facts.type or None,
        metadata=read_metadata(facts.metadata),
        tags=tuple(facts.tags),
        size_bytes=facts.size_bytes,
        passed_tests=tuple(facts.passed_tests),
        failed_tests=tuple(facts.failed_tests),
        bug_ids=tuple(facts.bug_ids),
        datasets=tuple(map(read_dataset, facts.datasets)),
    )


def read_status(answer: maintenance_pb2.GetStatusResponse) -> ServiceStatus:
    """How a service is."""
    return ServiceStatus(
        healthy=answer.healthy,
        problems=tuple(answer.problems),
        service_version=answer.service_version,
        store_id=answer.store_id,
        epoch=answer.epoch,
        neo4j_version=answer.neo4j_version,
        neo4j_edition=answer.neo4j_edition,
        digest_algorithm=answer.digest_algorithm,
    )


def read_statistics(answer: maintenance_pb2.GetStatisticsResponse) -> Statistics:
    """Sums over the store."""
    return Statistics(
        models=answer.models,
        edges=answer.edges,
        tensors=answer.tensors,
        logical_bytes=answer.logical_bytes,
        stored_bytes=answer.stored_bytes,
        pack_bytes=answer.pack_bytes,
        index_bytes=answer.index_bytes,
        manifest_bytes=answer.manifest_bytes,
        other_bytes=answer.other_bytes,
        reclaimable_bytes=answer.reclaimable_bytes,
        chunks=answer.chunks,
        promised=answer.promised,
        promised_bytes=answer.promised_bytes,
    )


def read_model_statistics(answers: Sequence[maintenance_pb2.GetModelStatisticsResponse]) -> ModelStatistics:
    """Sums over a model, its messages joined; the first has the sums."""
    head = answers[0]
    return ModelStatistics(
        model=read_summary(head.model),
        logical_bytes=head.logical_bytes,
        unique_bytes=head.unique_bytes,
        shared_bytes=head.shared_bytes,
        stored_bytes=head.stored_bytes,
        delta_bytes=head.delta_bytes,
        tensors=tuple(
            TensorStatistics(
                name=tensor.name,
                digest=tensor.digest.hex(),
                logical_bytes=tensor.logical_bytes,
                stored_bytes=tensor.stored_bytes,
                encodings=dict(tensor.encodings),
                predictors=dict(tensor.predictors),
                shared_with=tensor.shared_with,
            )
            for answer in answers
            for tensor in answer.tensors
        ),
    )
