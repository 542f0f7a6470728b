from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mgit.values import Dataset, EdgeOrigin, ModelState, Parent, Relation
from mgit.wire import (
    read_edge,
    read_lineage,
    read_metadata,
    read_model_statistics,
    read_summary,
    write_dataset,
    write_metadata,
    write_parent,
    write_relation,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import lineage_pb2, maintenance_pb2, types_pb2

SUMMARY = types_pb2.ModelSummary(
    uid="0190",
    name="m",
    version=2,
    state=types_pb2.MODEL_STATE_REMOVED,
    created_at=Timestamp(seconds=1_700_000_000, nanos=250_000_000),
)


@pytest.mark.parametrize("relation", list(Relation))
def test_every_relation_is_on_the_wire(relation: Relation) -> None:
    assert types_pb2.Relation.Name(write_relation(relation)) == f"RELATION_{relation.name}"
    assert write_relation(relation.value.upper()) == write_relation(relation)


def test_a_word_that_is_no_relation_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        write_relation("cousin")
    assert caught.value.reason is ErrorReason.INVALID_RELATION


@pytest.mark.parametrize("value", ["text", "", 3, -(2**63), 2.5, True, False])
def test_metadata_keeps_its_type(value: object) -> None:
    found = read_metadata(write_metadata({"key": value}))["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), ([1, "a"], '[1, "a"]'), ({"a": {"b": 1}}, '{"a": {"b": 1}}'), ((), "[]")],
)
def test_nested_metadata_becomes_json(value: object, text: str) -> None:
    assert read_metadata(write_metadata({"key": value})) == {"key": text}


@pytest.mark.parametrize("metadata", [{"": 1}, {"a b": 1}, {"k": 2**63}, {"k": object()}, {"k": [object()]}])
def test_metadata_that_cannot_be_kept_is_refused(metadata: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        write_metadata(metadata)
    assert caught.value.reason is ErrorReason.INVALID_METADATA


def test_a_parent_has_only_what_is_known() -> None:
    bare = write_parent(Parent("m@1"))
    assert (bare.parent, bare.relation) == ("m@1", types_pb2.RELATION_DERIVED)
    assert not bare.HasField("weight")
    full = write_parent(Parent("m", Relation.MERGED, 0.0, EdgeOrigin.INFERRED, 0.5))
    assert full.HasField("weight")
    assert (full.origin, full.confidence) == (types_pb2.EDGE_ORIGIN_INFERRED, 0.5)


@pytest.mark.parametrize(
    ("given", "name", "version"),
    [("glue", "glue", ""), ("glue@1.0", "glue", "1.0"), (Dataset(name="a", version="b"), "a", "b")],
)
def test_a_data_set_may_be_text(given: Dataset | str, name: str, version: str) -> None:
    assert write_dataset(given) == types_pb2.Dataset(name=name, version=version)


def test_a_summary_has_its_moment_in_utc() -> None:
    summary = read_summary(SUMMARY)
    assert summary.created_at == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert (summary.ref, summary.state) == ("m@2", ModelState.REMOVED)


def test_an_edge_has_none_where_nothing_is_known() -> None:
    message = types_pb2.ProvenanceEdge(
        child_uid="c",
        parent_uid="p",
        relation=types_pb2.RELATION_CAST,
        origin=types_pb2.EDGE_ORIGIN_DECLARED,
    )
    edge = read_edge(message)
    assert (edge.weight, edge.confidence) == (None, None)
    message.weight = 0.0
    assert read_edge(message).weight == 0.0


def test_the_messages_of_a_lineage_are_joined() -> None:
    revision = types_pb2.RevisionEdge(newer_uid="n", older_uid="o")
    lineage = read_lineage(
        [
            lineage_pb2.GetLineageResponse(models=[SUMMARY]),
            lineage_pb2.GetLineageResponse(models=[SUMMARY], revisions=[revision]),
            lineage_pb2.GetLineageResponse(truncated=True),
        ]
    )
    assert (len(lineage.models), len(lineage.revisions), lineage.truncated) == (2, 1, True)


def test_the_messages_of_statistics_are_joined() -> None:
    tensors = [maintenance_pb2.TensorStatistics(name=name, digest=b"x" * 32) for name in "ab"]
    found = read_model_statistics(
        [
            maintenance_pb2.GetModelStatisticsResponse(model=SUMMARY, logical_bytes=7, tensors=tensors[:1]),
            maintenance_pb2.GetModelStatisticsResponse(tensors=tensors[1:]),
        ]
    )
    assert found.logical_bytes == 7
    assert [tensor.name for tensor in found.tensors] == ["a", "b"]
