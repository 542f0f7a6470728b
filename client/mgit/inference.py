"""Where models belong, as the service finds it from their weights; and edges for what it claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mgit.connection import Connection
from mgit.graph import new_request_id
from mgit.progress import Progress, open_count
from mgit.values import Edge, EdgeOrigin, ModelReference, ModelSummary, Parent, reference_of
from mgit.wire import read_edge, read_summary, write_parent
from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorReason,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)
from mgit_core.inference.kinship import Claim, Kinship
from mgit_proto.v1 import compare_pb2, lineage_pb2, types_pb2

__all__ = [
    "Claim",
    "Inference",
    "InferenceCalls",
    "Kinship",
    "LinkedClaim",
    "add_inferred_parents",
    "infer_parents",
    "link_claims",
    "tell_links",
]

_KINSHIP_OF = {compare_pb2.Kinship.Value(f"KINSHIP_{kinship.name}"): kinship for kinship in Kinship}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What was found for one model.

    Attributes:
        model: The model.
        claims: What it was made from, surest first; none for a root.
        note: Why nothing is claimed; empty if something is.
    """

    model: ModelSummary
    claims: tuple[Claim, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedClaim:
    """What became of a claim.

    Attributes:
        claim: The claim.
        edge: The edge that it got; None if it got none.
        reason: Why not; empty for one that did.
    """

    claim: Claim
    edge: Edge | None = None
    reason: str = ""


class InferenceCalls:
    """The part of a repository that asks where models belong. Only ``link_claims`` changes the graph."""

    _connection: Connection

    def infer(
        self, model: ModelReference, *, min_confidence: float | None = None, any_time: bool = False
    ) -> Inference:
        """What a model was made from, found from its weights.

        Args:
            model: The model.
            min_confidence: Only claims at least so sure; None means the service's own threshold.
            any_time: Whether later models count as parents too, where the weights alone say so.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED.
            InvalidArgumentError: INVALID_ARGUMENT, for a confidence that is none.
            CorruptError: CHUNK_CORRUPT or MANIFEST_CORRUPT.
        """
        asked = lineage_pb2.GetModelRequest(model=reference_of(model))
        summary = self._connection.call(self._connection.lineage.GetModel, asked).model.summary
        return infer_parents(
            self._connection,
            read_summary(summary),
            compare_pb2.InferParentsRequest(min_confidence=_confidence(min_confidence), any_time=any_time),
        )

    def infer_lineage(
        self,
        models: Iterable[ModelReference] = (),
        *,
        min_confidence: float | None = None,
        only_orphans: bool = False,
        any_time: bool = False,
        progress: Progress = True,
    ) -> Iterator[Inference]:
        """As ``infer`` for many models, by creation time, as answers arrive; an interrupt ends the call.

        Args:
            models: Which models, at most 10,000; empty means all. One of many that cannot be read gets a note.
            min_confidence: As in ``infer``.
            only_orphans: Whether models with declared parents are left out.
            any_time: As in ``infer``.
            progress: ``progress(done, total)`` in models; True for a bar on a terminal; None for none.

        Raises:
            MGitError: As ``infer``, when the iteration begins.
        """
        request = compare_pb2.InferLineageRequest(
            models=map(reference_of, models),
            min_confidence=_confidence(min_confidence),
            only_orphans=only_orphans,
            any_time=any_time,
        )
        method = self._connection.compare.InferLineage
        with (
            open_count(progress, "infer", "models") as tell,
            self._connection.stream(method, request) as answers,
        ):
            for answer in answers:
                tell(answer.done, answer.total)
                yield _read_inference(answer)

    def link_claims(self, claims: Iterable[Claim]) -> tuple[LinkedClaim, ...]:
        """Record claims as edges of inferred origin with their confidence, each by itself.

        A duplicate gets no edge, nor does a claim whose edge is there or would close a cycle, or whose models
        have gone.
        """
        return tuple(link_claims(self._connection, claims))

    def backfill_sketches(self, *, progress: Progress = True) -> int:
        """Make the sketches that models lack, by which near ones are found; gives how many parameter sets had none.

        The service makes them by itself too, by and by.

        Args:
            progress: ``progress(done, total)`` in parameter sets; True for a bar on a terminal; None for none.

        Raises:
            CorruptError: CHUNK_CORRUPT or MANIFEST_CORRUPT, after all other sketches were made.
        """
        total = 0
        method = self._connection.compare.BackfillSketches
        with (
            open_count(progress, "sketch", "models") as tell,
            self._connection.stream(method, compare_pb2.BackfillSketchesRequest()) as answers,
        ):
            for answer in answers:
                total = answer.total
                tell(answer.done, total)
        return total


def infer_parents(
    connection: Connection, model: ModelSummary, request: compare_pb2.InferParentsRequest
) -> Inference:
    """What a model was made from; ``request`` says all but the model."""
    request.model = f"@{model.uid}"
    answer = connection.call(connection.compare.InferParents, request, is_bounded=False)
    return Inference(model=model, claims=tuple(map(_read_claim, answer.claims)), note=answer.note)


def add_inferred_parents(
    connection: Connection, model: types_pb2.Model
) -> tuple[types_pb2.Model, tuple[str, ...]]:
    """Link what the service claims of a model that was just added; gives it anew, and what to tell a person.

    The model is stored already, so nothing that goes wrong here is an error of adding it: it is told.
    """
    reference = f"@{model.summary.uid}"
    try:
        found = infer_parents(connection, read_summary(model.summary), compare_pb2.InferParentsRequest())
        notes = tuple(tell_links(found, link_claims(connection, found.claims)))
        asked = lineage_pb2.GetModelRequest(model=reference)
        return connection.call(connection.lineage.GetModel, asked).model, notes
    except MGitError as error:
        return model, (
            f"Its parents could not be looked for: {error.message} 'mgit infer --apply' tries again.",
        )


def link_claims(connection: Connection, claims: Iterable[Claim]) -> Iterator[LinkedClaim]:
    """Record claims; says of each what became of it."""
    for claim in claims:
        relation = claim.relation
        if relation is None:
            yield LinkedClaim(claim=claim, reason="a duplicate gets no edge")
            continue
        parent = Parent(
            f"@{claim.parent.uid}",
            relation,
            claim.weight,
            origin=EdgeOrigin.INFERRED,
            confidence=claim.confidence,
        )
        request = lineage_pb2.LinkModelsRequest(
            child=f"@{claim.child.uid}", parent=write_parent(parent), request_id=new_request_id()
        )
        try:
            answer = connection.call(connection.lineage.LinkModels, request)
        except (AlreadyExistsError, ConflictError, NotFoundError) as error:
            yield LinkedClaim(claim=claim, reason=_reason(error.reason))
        else:
            yield LinkedClaim(claim=claim, edge=read_edge(answer.edge))


def tell_links(inference: Inference, linked: Iterable[LinkedClaim]) -> Iterator[str]:
    """What was found and linked, a line each, for a person."""
    if not inference.claims:
        yield f"No parent was found. {inference.note}"
    for each in linked:
        claim = each.claim
        share = "" if claim.weight is None else f", share {claim.weight:.3g}"
        told = f"{claim.parent.ref} ({claim.kinship}{share}, confidence {claim.confidence:.2f})"
        why = "; ".join(claim.evidence)
        if each.edge is None:
            yield f"Not linked to {told}, since {each.reason}: {why}."
        else:
            yield f"Linked to {told}: {why}."


def _reason(reason: ErrorReason) -> str:
    reasons = {
        ErrorReason.EDGE_EXISTS: "the edge is there",
        ErrorReason.CYCLE: "the edge would close a cycle",
    }
    return reasons.get(reason, f"the service refused ({reason.value})")


def _confidence(value: float | None) -> float:
    """A threshold for the wire, where 0 means the service's own."""
    if value is None:
        return 0.0
    if not 0 < value <= 1:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"A least confidence is above 0 and at most 1; found {value!r}."
        )
    return value


def _read_inference(answer: Any) -> Inference:
    return Inference(
        model=read_summary(answer.model),
        claims=tuple(map(_read_claim, answer.claims)),
        note=answer.note,
    )


def _read_claim(claim: compare_pb2.Claim) -> Claim:
    return Claim(
        child=read_summary(claim.child),
        parent=read_summary(claim.parent),
        kinship=_KINSHIP_OF[claim.kinship],
        weight=claim.weight if claim.HasField("weight") else None,
        confidence=claim.confidence,
        evidence=tuple(claim.evidence),
    )
