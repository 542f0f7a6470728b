from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import (
    Dataset,
    Direction,
    EdgeOrigin,
    MetadataValue,
    Model,
    ModelState,
    ModelSummary,
    ParameterSet,
    ProvenanceEdge,
    Relation,
    RevisionEdge,
    Tag,
)
from mgit_core.ports.graph import DuplicateGroup, RelatedModel, TensorUse
from mgit_proto.v1 import lineage_pb2, types_pb2
from mgit_service.servicers import convert
from mgit_service.servicers.metadata import metadata_message, metadata_value

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False)
DIGESTS = st.binary(min_size=32, max_size=32)
UIDS = st.uuids().map(str)
METADATA = st.dictionaries(
    TEXTS, TEXTS | st.integers(-(2**63), 2**63 - 1) | NUMBERS | st.booleans(), max_size=4
)
SUMMARIES = st.builds(
    ModelSummary,
    uid=UIDS,
    name=TEXTS,
    version=st.integers(1, 2**31 - 1),
    state=st.sampled_from(ModelState),
    created_at=MOMENTS,
)
EDGES = st.builds(
    ProvenanceEdge,
    child_uid=UIDS,
    parent_uid=UIDS,
    relation=st.sampled_from(Relation),
    position=st.integers(0, 1000),
    weight=st.none() | NUMBERS,
    origin=st.sampled_from(EdgeOrigin),
    confidence=st.none() | st.floats(0, 1),
    created_at=MOMENTS,
)


def read_summary(message: types_pb2.ModelSummary) -> ModelSummary:
    state = types_pb2.ModelState.Name(message.state).removeprefix("MODEL_STATE_").lower()
    return ModelSummary(
        uid=message.uid,
        name=message.name,
        version=message.version,
        state=ModelState(state),
        created_at=convert.timestamp_value(message.created_at),
    )


def read_edge(message: types_pb2.ProvenanceEdge) -> ProvenanceEdge:
    origin = types_pb2.EdgeOrigin.Name(message.origin).removeprefix("EDGE_ORIGIN_").lower()
    relation = convert.relation_value(message.relation)
    assert relation is not None
    return ProvenanceEdge(
        child_uid=message.child_uid,
        parent_uid=message.parent_uid,
        relation=relation,
        position=message.position,
        weight=message.weight if message.HasField("weight") else None,
        origin=EdgeOrigin(origin),
        confidence=message.confidence if message.HasField("confidence") else None,
        created_at=convert.timestamp_value(message.created_at),
    )


@given(MOMENTS)
def test_a_moment_comes_back_to_the_microsecond(moment: datetime) -> None:
    assert convert.timestamp_value(convert.timestamp_message(moment)) == moment


@given(METADATA)
def test_metadata_come_back_with_their_types(metadata: dict[str, MetadataValue]) -> None:
    messages = {key: metadata_message(value) for key, value in metadata.items()}
    values = metadata_value(messages)
    assert values == metadata
    assert [type(value) for value in values.values()] == [type(value) for value in metadata.values()]


def test_metadata_without_a_value_are_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        metadata_value({"key": types_pb2.MetadataValue()})
    assert caught.value.reason is ErrorReason.INVALID_METADATA


@given(SUMMARIES)
def test_a_summary_comes_back(summary: ModelSummary) -> None:
    assert read_summary(convert.summary_message(summary)) == summary


@given(EDGES)
def test_an_edge_comes_back(edge: ProvenanceEdge) -> None:
    assert read_edge(convert.edge_message(edge)) == edge


@given(SUMMARIES, st.lists(st.tuples(EDGES, TEXTS), max_size=3), st.none() | SUMMARIES, METADATA)
def test_a_model_says_all_that_the_graph_knows(
    summary: ModelSummary,
    parents: list[tuple[ProvenanceEdge, str]],
    previous: ModelSummary | None,
    metadata: dict[str, MetadataValue],
) -> None:
    model = Model(
        uid=summary.uid,
        name=summary.name,
        version=summary.version,
        state=summary.state,
        created_at=summary.created_at,
        type="classifier",
        metadata=metadata,
        parameters=ParameterSet(digest=b"p" * 32, manifest_key="m", size_bytes=2**40, tensor_count=3),
        files=b"f" * 32,
        files_key="k",
        files_bytes=7,
        parents=tuple(edge for edge, _ in parents),
        parent_refs=tuple(reference for _, reference in parents),
        previous=previous,
        tags=("a", "b"),
        datasets=(Dataset(name="d"), Dataset(name="d", version="2")),
    )
    message = convert.model_message(model)
    assert read_summary(message.summary) == summary
    assert [(read_edge(edge), edge.parent_ref) for edge in message.parents] == parents
    assert (read_summary(message.previous) if message.HasField("previous") else None) == previous
    assert metadata_value(message.metadata) == metadata
    assert (message.type, list(message.tags)) == ("classifier", ["a", "b"])
    assert (message.parameters_digest, message.size_bytes, message.tensor_count) == (b"p" * 32, 2**40, 3)
    assert (message.files_digest, message.files_bytes) == (b"f" * 32, 7)
    assert [(one.name, one.version) for one in message.datasets] == [("d", ""), ("d", "2")]


@given(SUMMARIES)
def test_a_tombstone_has_empty_fields(summary: ModelSummary) -> None:
    model = Model(
        uid=summary.uid,
        name=summary.name,
        version=summary.version,
        state=ModelState.REMOVED,
        created_at=summary.created_at,
    )
    message = convert.model_message(model)
    assert (message.type, message.parameters_digest, message.files_digest) == ("", b"", b"")
    assert message.summary.state == types_pb2.MODEL_STATE_REMOVED
    assert not message.HasField("previous")


@given(SUMMARIES, DIGESTS, TEXTS, st.integers(1, 1000))
def test_answers_of_the_graph_keep_their_parts(
    summary: ModelSummary, digest: bytes, text: str, hops: int
) -> None:
    tag = convert.tag_message(Tag(model_name="n", tag=text, model=summary))
    use = convert.use_message(TensorUse(model=summary, parameter=text))
    relative = convert.related_message(RelatedModel(model=summary, hops=hops))
    group = convert.duplicate_message(DuplicateGroup(digest=digest, models=(summary, summary)))
    messages = (tag.model, use.model, relative.model, *group.models)
    assert [read_summary(message) for message in messages] == [summary] * 5
    assert (tag.model_name, tag.tag, use.parameter, relative.hops) == ("n", text, text, hops)
    assert group.parameters_digest == digest


def test_a_version_edge_keeps_its_ends() -> None:
    message = convert.revision_message(RevisionEdge(newer_uid="n", older_uid="o"))
    assert (message.newer_uid, message.older_uid) == ("n", "o")


@pytest.mark.parametrize("relation", list(Relation))
def test_every_relation_has_a_number(relation: Relation) -> None:
    number = types_pb2.Relation.Value(f"RELATION_{relation.name}")
    assert convert.relation_value(number) is relation
    assert convert.followed_relations([number, number]) == (relation,)


def test_an_unspecified_relation_is_none() -> None:
    assert convert.relation_value(types_pb2.RELATION_UNSPECIFIED) is None


def test_a_relation_of_a_later_version_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        convert.relation_value(99)
    assert caught.value.reason is ErrorReason.INVALID_RELATION


@pytest.mark.parametrize("number", [0, 99])
def test_a_traversal_follows_known_relations_only(number: int) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        convert.followed_relations([types_pb2.RELATION_CAST, number])
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


def test_every_direction_has_a_number() -> None:
    assert convert.direction_value(lineage_pb2.DIRECTION_ANCESTORS) is Direction.ANCESTORS
    assert convert.direction_value(lineage_pb2.DIRECTION_DESCENDANTS) is Direction.DESCENDANTS


@pytest.mark.parametrize("number", [0, 99])
def test_a_direction_must_be_given(number: int) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        convert.direction_value(number)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


def test_a_parent_is_declared_and_derived_unless_it_says_more() -> None:
    parent = convert.parent_request(types_pb2.ParentLink(parent="base"))
    assert (parent.reference, parent.relation, parent.origin) == (
        "base",
        Relation.DERIVED,
        EdgeOrigin.DECLARED,
    )
    assert (parent.weight, parent.confidence) == (None, None)


def test_a_parent_keeps_what_it_says() -> None:
    parent = convert.parent_request(
        types_pb2.ParentLink(
            parent="base@1",
            relation=types_pb2.RELATION_MERGED,
            weight=0.0,
            origin=types_pb2.EDGE_ORIGIN_INFERRED,
            confidence=0.5,
        )
    )
    assert (parent.relation, parent.weight) == (Relation.MERGED, 0.0)
    assert (parent.origin, parent.confidence) == (EdgeOrigin.INFERRED, 0.5)


@pytest.mark.parametrize(
    "link",
    [
        types_pb2.ParentLink(parent="a", relation=99),
        types_pb2.ParentLink(parent="a", origin=99),
        types_pb2.ParentLink(parent="a", weight=float("nan")),
        types_pb2.ParentLink(parent="a", weight=float("inf")),
        types_pb2.ParentLink(parent="a", confidence=0.5),
        types_pb2.ParentLink(parent="a", origin=types_pb2.EDGE_ORIGIN_INFERRED),
        types_pb2.ParentLink(parent="a", origin=types_pb2.EDGE_ORIGIN_INFERRED, confidence=1.5),
        types_pb2.ParentLink(parent="a", origin=types_pb2.EDGE_ORIGIN_INFERRED, confidence=float("nan")),
    ],
)
def test_a_parent_that_cannot_be_is_refused(link: types_pb2.ParentLink) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        convert.parent_request(link)
    assert caught.value.reason is ErrorReason.INVALID_RELATION
