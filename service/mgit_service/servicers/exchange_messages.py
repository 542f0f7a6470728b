"""Models and records of other stores as messages, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from google.protobuf import timestamp_pb2

from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import (
    Model,
    ModelState,
    ModelSummary,
    ParameterSet,
    Promise,
    ProvenanceEdge,
)
from mgit_core.names import parse_reference
from mgit_core.ports.exchange import ModelIdentity, ModelStanding
from mgit_core.standings import Standing
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import parameters_pb2, types_pb2
from mgit_service.servicers import convert
from mgit_service.servicers.messages import MAX_DIGESTS, check_digests, header_value
from mgit_service.use_cases.draft_header import DraftHeader

__all__ = [
    "MAX_REMOTE_LENGTH",
    "check_uids",
    "edge_value",
    "header_of",
    "identity_value",
    "model_messages",
    "model_value",
    "moment_value",
    "promise_value",
    "standing_message",
    "summary_value",
    "uid_value",
]

_STANDINGS = {standing: pb.Standing.Value(f"STANDING_{standing.name}") for standing in Standing}
_LARGEST_VERSION = 2**31 - 1
MAX_REMOTE_LENGTH = 200
"""Characters of what a user calls another store."""
# An item may pass the half alone: the record of loss of a model takes up to 512 KiB.
_MESSAGE_BYTES = 512 << 10


def check_uids(uids: Iterable[str]) -> list[str]:
    """Each uid once, in order.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE.
        ResourceExhaustedError: LIMIT_EXCEEDED for more than 10,000.
    """
    found = list(dict.fromkeys(map(uid_value, uids)))
    check_digests(len(found))
    return found


def uid_value(text: str) -> str:
    """A uid, in lower case with hyphens.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE.
    """
    return parse_reference(f"@{text}").uid or ""


def identity_value(message: pb.ModelIdentity) -> ModelIdentity:
    """What tells a model apart; its name is not checked: a name that cannot be is nobody's.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE or INVALID_ARGUMENT.
    """
    return ModelIdentity(
        uid=uid_value(message.uid),
        name=message.name,
        version=message.version,
        parameters=_digest_value(message.parameters_digest, "parameters_digest"),
        files=_digest_value(message.files_digest, "files_digest"),
    )


def _digest_value(digest: Digest, field: str) -> Digest | None:
    if len(digest) not in {0, DIGEST_SIZE}:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A digest has {DIGEST_SIZE} bytes; found {len(digest)}.",
            field=field,
        )
    return digest or None


def standing_message(standing: ModelStanding) -> pb.ModelStanding:
    """How a model stands."""
    return pb.ModelStanding(
        standing=_STANDINGS[standing.standing],
        model=None if standing.model is None else convert.summary_message(standing.model),
    )


def header_of(start: pb.ImportStart) -> DraftHeader:
    """What an import says of a model as a whole, checked as that of a draft.

    Raises:
        InvalidArgumentError: As ``header_value``.
    """
    model = start.model
    return header_value(
        parameters_pb2.ModelHeader(
            name=model.summary.name,
            previous=parameters_pb2.Previous(none=True),
            type=model.type,
            metadata=model.metadata,
            datasets=model.datasets,
            source_format=start.source_format,
            ties=start.ties,
            loss=model.loss if model.HasField("loss") else None,
            creation=model.creation if model.HasField("creation") else None,
            layer_graph=start.layer_graph,
        )
    )


def model_value(message: types_pb2.Model, header: DraftHeader) -> Model:
    """A model of another store; of its documents only the digests are known yet.

    Args:
        message: As ExportModels gave it.
        header: What ``header_of`` made of it.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, INVALID_REFERENCE or INVALID_RELATION.
    """
    summary = summary_value(message.summary)
    parameters = _digest_value(message.parameters_digest, "parameters_digest")
    if (parameters is None) != (summary.state is ModelState.REMOVED):
        raise _invalid(f"A model has parameters unless it was removed; {summary.ref} is {summary.state}.")
    return Model(
        uid=summary.uid,
        name=summary.name,
        version=summary.version,
        state=summary.state,
        created_at=summary.created_at,
        type=header.type,
        metadata=header.metadata,
        parameters=None if parameters is None else _unstored(parameters, message),
        files=_digest_value(message.files_digest, "files_digest"),
        parents=_parents_value(message, summary.uid),
        previous=summary_value(message.previous) if message.HasField("previous") else None,
        datasets=header.datasets,
        loss=header.loss,
        layer_graph=_digest_value(message.layer_graph_digest, "layer_graph_digest"),
        creation=header.creation,
    )


def _unstored(digest: Digest, message: types_pb2.Model) -> ParameterSet:
    return ParameterSet(
        digest=digest,
        manifest_key="",
        size_bytes=message.size_bytes,
        tensor_count=message.tensor_count,
        promised_by=promise_value(message),
    )


def promise_value(message: types_pb2.Model) -> Promise | None:
    """Who has chunks of a model, if somebody has.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE for the id of a store that is none.
    """
    if not message.HasField("promised_by"):
        return None
    promise = message.promised_by
    if len(promise.remote) > MAX_REMOTE_LENGTH or not promise.remote.isprintable():
        raise _invalid(f"What a remote is called has at most {MAX_REMOTE_LENGTH} printable characters.")
    return Promise(store_id=uid_value(promise.store_id), remote=promise.remote)


def summary_value(message: types_pb2.ModelSummary) -> ModelSummary:
    """A model as a list shows it; its name is not checked.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT or INVALID_REFERENCE.
    """
    state = {
        types_pb2.MODEL_STATE_PRESENT: ModelState.PRESENT,
        types_pb2.MODEL_STATE_REMOVED: ModelState.REMOVED,
    }.get(message.state)
    if state is None or not 1 <= message.version <= _LARGEST_VERSION:
        raise _invalid(
            f"A model that is exchanged is present or removed and has a number from 1; found state {message.state} "
            f"and number {message.version}."
        )
    return ModelSummary(
        uid=uid_value(message.uid),
        name=message.name,
        version=message.version,
        state=state,
        created_at=moment_value(message.created_at),
    )


def moment_value(message: timestamp_pb2.Timestamp) -> datetime:
    """A moment.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT for one that cannot be.
    """
    try:
        return convert.timestamp_value(message)
    except (ValueError, OverflowError) as error:
        raise _invalid(
            f"A moment was wanted; found {message.seconds} s and {message.nanos} ns since 1970."
        ) from error


def _parents_value(message: types_pb2.Model, uid: str) -> tuple[ProvenanceEdge, ...]:
    edges = tuple(sorted(map(edge_value, message.parents), key=lambda edge: edge.position))
    keys = {(edge.parent_uid, edge.relation) for edge in edges}
    positions = {edge.position for edge in edges}
    is_own = all(edge.child_uid == uid for edge in edges)
    if not is_own or len(keys) < len(edges) or len(positions) < len(edges):
        raise InvalidArgumentError(
            ErrorReason.INVALID_RELATION,
            f"The edges of @{uid} lead from it, each parent and relation once and each at a position of its own.",
            uid=uid,
        )
    return edges


def edge_value(message: types_pb2.ProvenanceEdge) -> ProvenanceEdge:
    """A provenance edge of another store.

    Raises:
        InvalidArgumentError: INVALID_RELATION, INVALID_REFERENCE or INVALID_ARGUMENT.
    """
    if not 0 <= message.position < MAX_DIGESTS:
        raise _invalid(f"A parent has a position from 0 to {MAX_DIGESTS - 1}; found {message.position}.")
    # The same checks as where a draft names a parent.
    asked = convert.parent_request(
        types_pb2.ParentLink(
            parent=message.parent_uid,
            relation=message.relation,
            weight=message.weight if message.HasField("weight") else None,
            origin=message.origin,
            confidence=message.confidence if message.HasField("confidence") else None,
        )
    )
    return ProvenanceEdge(
        child_uid=uid_value(message.child_uid),
        parent_uid=uid_value(message.parent_uid),
        relation=asked.relation,
        position=message.position,
        weight=asked.weight,
        origin=asked.origin,
        confidence=asked.confidence,
        created_at=moment_value(message.created_at),
    )


def model_messages(models: Iterable[Model]) -> Iterator[pb.ExportModelsResponse]:
    """Models in messages that are small enough."""
    part = pb.ExportModelsResponse()
    room = _MESSAGE_BYTES
    for item in map(convert.model_message, models):
        size_bytes = item.ByteSize() + 8
        if part.models and size_bytes > room:
            yield part
            part, room = pb.ExportModelsResponse(), _MESSAGE_BYTES
        part.models.append(item)
        room -= size_bytes
    if part.models:
        yield part


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, message)
