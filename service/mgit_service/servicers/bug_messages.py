"""Bugs as messages, and messages as bugs."""

from __future__ import annotations

from datetime import UTC, datetime

from mgit_core.bugs import (
    AffectedModel,
    AffectedReason,
    Bug,
    BugSeverity,
    BugState,
    BugSubject,
    DatasetSubject,
    ModelSubject,
    TensorSubject,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset, Relation
from mgit_proto.v1 import audit_pb2 as pb
from mgit_proto.v1 import types_pb2
from mgit_service.servicers.convert import (
    dataset_message,
    relation_message,
    relation_value,
    summary_message,
    timestamp_message,
)
from mgit_service.use_cases.bugs.reach import AffectedPart

__all__ = ["affected_part_message", "bug_message", "bug_value", "state_value"]

_SEVERITIES = {severity: pb.BugSeverity.Value(f"BUG_SEVERITY_{severity.name}") for severity in BugSeverity}
_SEVERITY_VALUES = {number: severity for severity, number in _SEVERITIES.items()}
_STATES = {state: pb.BugState.Value(f"BUG_STATE_{state.name}") for state in BugState}
_STATE_VALUES = {number: state for state, number in _STATES.items()}
_REASONS = {reason: pb.AffectedReason.Value(f"AFFECTED_REASON_{reason.name}") for reason in AffectedReason}
# Replaced when the bug is reported.
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def bug_message(bug: Bug) -> pb.Bug:
    """A bug."""
    return pb.Bug(
        id=bug.id,
        title=bug.title,
        description=bug.description,
        severity=_SEVERITIES[bug.severity],
        state=_STATES[bug.state],
        affects=map(_subject_message, bug.affects),
        carried_by=map(relation_message, bug.carried_by),
        fixed_in=map(summary_message, bug.fixed_in),
        created_at=timestamp_message(bug.created_at),
        updated_at=timestamp_message(bug.updated_at),
    )


def _subject_message(subject: BugSubject) -> pb.BugSubject:
    match subject:
        case ModelSubject():
            return pb.BugSubject(model=subject.ref)
        case TensorSubject():
            return pb.BugSubject(tensor=subject.digest)
        case DatasetSubject():
            return pb.BugSubject(dataset=dataset_message(subject.dataset))


def bug_value(message: pb.Bug) -> Bug:
    """A bug that is to be reported, its models by ``ref``; what is output only is not heeded.

    Raises:
        InvalidArgumentError: INVALID_BUG or INVALID_RELATION.
    """
    severity = _SEVERITY_VALUES.get(message.severity)
    if severity is None and message.severity != pb.BUG_SEVERITY_UNSPECIFIED:
        raise _invalid(
            f"The severity of a bug is one of {', '.join(BugSeverity)}; found number {message.severity}."
        )
    return Bug(
        id="",
        title=message.title,
        affects=tuple(map(_subject_value, message.affects)),
        created_at=_NO_TIME,
        updated_at=_NO_TIME,
        description=message.description,
        severity=severity or BugSeverity.MEDIUM,
        carried_by=tuple(dict.fromkeys(map(_carrying_value, message.carried_by))) or tuple(Relation),
    )


def _carrying_value(number: types_pb2.Relation.ValueType) -> Relation:
    relation = relation_value(number)
    if relation is None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_RELATION,
            f"The relations that carry a bug are of {', '.join(Relation)}; found one that is unspecified.",
        )
    return relation


def _subject_value(message: pb.BugSubject) -> BugSubject:
    match message.WhichOneof("kind"):
        case "model":
            return ModelSubject(uid="", ref=message.model)
        case "tensor":
            return TensorSubject(message.tensor)
        case "dataset":
            return DatasetSubject(Dataset(name=message.dataset.name, version=message.dataset.version))
        case _:
            raise _invalid(
                "A bug affects models, tensors or data sets; found a subject that is none of them."
            )


def state_value(number: pb.BugState.ValueType) -> BugState | None:
    """The state that bugs of a list have; None for any.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT for a number that this version does not know.
    """
    state = _STATE_VALUES.get(number)
    if state is None and number != pb.BUG_STATE_UNSPECIFIED:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"The state of a bug is one of {', '.join(BugState)}; found number {number}.",
            field="state",
        )
    return state


def affected_part_message(part: AffectedPart) -> pb.ListAffectedResponse:
    """A part of whom a bug reaches."""
    return pb.ListAffectedResponse(
        affected=map(_affected_message, part.affected),
        unknown=map(summary_message, part.unknown),
        cleared=map(summary_message, part.cleared),
        truncated=part.is_truncated,
    )


def _affected_message(affected: AffectedModel) -> pb.AffectedModel:
    return pb.AffectedModel(
        model=summary_message(affected.model),
        reason=_REASONS[affected.reason],
        next_uid=affected.next_uid or "",
        hops=affected.hops,
        is_inferred=affected.is_inferred,
        tags=affected.tags,
    )


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_BUG, message)
