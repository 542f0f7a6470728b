"""Claims as the client links and tells them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mgit.inference import Claim, Inference, InferenceCalls, Kinship, LinkedClaim, link_claims, tell_links
from mgit.values import EdgeOrigin, ModelState, ModelSummary
from mgit.wire import read_edge
from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorReason,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
    UnavailableError,
)
from mgit_proto.v1 import lineage_pb2, types_pb2


def summary(name: str) -> ModelSummary:
    return ModelSummary(
        uid=f"uid-{name}",
        name=name,
        version=1,
        state=ModelState.PRESENT,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def claim(kinship: Kinship = Kinship.FINETUNED, weight: float | None = None) -> Claim:
    return Claim(
        child=summary("child"),
        parent=summary("base"),
        kinship=kinship,
        weight=weight,
        confidence=0.9,
        evidence=("cosine 0.99", "no other comes near"),
    )


class Answering:
    """A connection whose service answers each link, or refuses it."""

    def __init__(self, error: MGitError | None = None) -> None:
        self.error = error
        self.requests: list[lineage_pb2.LinkModelsRequest] = []
        self.lineage: Any = self
        self.LinkModels = "link"

    def call(self, method: str, request: lineage_pb2.LinkModelsRequest) -> lineage_pb2.LinkModelsResponse:
        assert method == "link"
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        edge = types_pb2.ProvenanceEdge(
            child_uid="uid-child",
            parent_uid="uid-base",
            relation=request.parent.relation,
            origin=request.parent.origin,
            confidence=request.parent.confidence,
        )
        return lineage_pb2.LinkModelsResponse(edge=edge)


def test_a_claim_becomes_an_edge_of_inferred_origin_with_its_confidence() -> None:
    connection = Answering()
    (linked,) = link_claims(connection, [claim(Kinship.MERGED, 0.25)])  # type: ignore[arg-type]
    (request,) = connection.requests
    assert (request.child, request.parent.parent) == ("@uid-child", "@uid-base")
    assert request.parent.weight == 0.25
    assert linked.edge is not None
    assert (linked.edge.origin, linked.edge.confidence) == (EdgeOrigin.INFERRED, 0.9)
    assert linked.edge == read_edge(
        lineage_pb2.LinkModelsResponse(edge=connection.call("link", request).edge).edge
    )


def test_a_duplicate_is_not_sent() -> None:
    connection = Answering()
    (linked,) = link_claims(connection, [claim(Kinship.DUPLICATE)])  # type: ignore[arg-type]
    assert connection.requests == []
    assert linked.reason == "a duplicate gets no edge"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AlreadyExistsError(ErrorReason.EDGE_EXISTS, "There is one."), "the edge is there"),
        (ConflictError(ErrorReason.CYCLE, "A cycle."), "the edge would close a cycle"),
        (NotFoundError(ErrorReason.PARENT_NOT_FOUND, "Gone."), "the service refused (PARENT_NOT_FOUND)"),
    ],
)
def test_an_edge_that_is_refused_is_skipped_and_the_next_one_is_tried(error: MGitError, reason: str) -> None:
    connection = Answering(error)
    linked = list(link_claims(connection, [claim(), claim()]))  # type: ignore[arg-type]
    assert [each.reason for each in linked] == [reason, reason]
    assert len(connection.requests) == 2


def test_a_service_that_is_away_ends_it() -> None:
    connection = Answering(UnavailableError(ErrorReason.SERVICE_UNAVAILABLE, "Away."))
    with pytest.raises(UnavailableError):
        list(link_claims(connection, [claim()]))  # type: ignore[arg-type]


def test_what_was_linked_and_what_not_is_told_with_the_evidence() -> None:
    made = claim(Kinship.MERGED, 0.5)
    edge = next(iter(link_claims(Answering(), [made]))).edge  # type: ignore[arg-type]
    found = Inference(model=summary("child"), claims=(made,), note="")
    linked = [LinkedClaim(claim=made, edge=edge), LinkedClaim(claim=made, reason="the edge is there")]
    told = list(tell_links(found, linked))
    assert told == [
        "Linked to base@1 (merged, share 0.5, confidence 0.90): cosine 0.99; no other comes near.",
        (
            "Not linked to base@1 (merged, share 0.5, confidence 0.90), since the edge is there: "
            "cosine 0.99; no other comes near."
        ),
    ]


def test_why_nothing_was_found_is_told() -> None:
    found = Inference(model=summary("child"), claims=(), note="Nothing is related to it.")
    assert list(tell_links(found, ())) == ["No parent was found. Nothing is related to it."]


@pytest.mark.parametrize("confidence", [0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_least_confidence_that_is_none_is_refused_before_anything_is_sent(confidence: float) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        list(InferenceCalls().infer_lineage(min_confidence=confidence))
    assert error.value.reason is ErrorReason.INVALID_ARGUMENT
