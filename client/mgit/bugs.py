"""``repo.bugs``: bugs of models, tensors and data sets, their fixes, and whom they reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from mgit.connection import Connection
from mgit.graph import list_pages, new_request_id
from mgit.values import Dataset, Identified, ModelReference, ModelSummary, Relation, reference_of
from mgit.wire import read_dataset, read_relation, read_summary, read_time, write_dataset, write_relation
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
from mgit_core.digest import digest_from_hex
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import audit_pb2 as pb

__all__ = [
    "AffectedModel",
    "AffectedReason",
    "Bug",
    "BugReach",
    "BugReference",
    "BugSeverity",
    "BugState",
    "BugSubject",
    "Bugs",
    "DatasetSubject",
    "ModelSubject",
    "TensorSubject",
    "WrittenSubject",
    "subject_text",
]

BugReference: TypeAlias = Bug | str
"""A bug, its id, or how the id begins, if no other bug's id begins so."""

WrittenSubject: TypeAlias = "Dataset | Identified | str"
"""What a bug affects: a model, ``tensor:DIGEST``, or a data set, which as text is ``dataset:NAME[@VERSION]``."""

_TENSOR = "tensor:"
_DATASET = "dataset:"
_SEVERITIES = {severity: pb.BugSeverity.Value(f"BUG_SEVERITY_{severity.name}") for severity in BugSeverity}
_SEVERITY_OF = {number: severity for severity, number in _SEVERITIES.items()}
_STATES = {state: pb.BugState.Value(f"BUG_STATE_{state.name}") for state in BugState}
_STATE_OF = {number: state for state, number in _STATES.items()}
_REASON_OF = {pb.AffectedReason.Value(f"AFFECTED_REASON_{reason.name}"): reason for reason in AffectedReason}


@dataclass(frozen=True, kw_only=True)
class BugReach:
    """Whom a bug reaches.

    Attributes:
        models: Affected models, by hops and then uid; the next one on the way of each comes before it.
        unknown: Newer versions of affected models that nothing ties to the bug, by uid: nobody knows.
        cleared: Models that the bug affects and would not with ``assumed_fixed``, by uid.
        truncated: Whether ``limit`` cut ``models``.
    """

    models: tuple[AffectedModel, ...]
    unknown: tuple[ModelSummary, ...]
    cleared: tuple[ModelSummary, ...]
    truncated: bool

    @property
    def tags(self) -> Mapping[str, ModelSummary]:
        """The tags that are hit, as ``NAME@TAG`` with the model of each: what is deployed."""
        return {
            f"{affected.model.name}@{tag}": affected.model
            for affected in self.models
            for tag in affected.tags
        }

    def witness(self, affected: AffectedModel) -> tuple[ModelSummary, ...]:
        """The models on the way from an affected one to a touched one, both ends included."""
        way = [affected.model]
        while affected.next_uid is not None:
            affected = self._by_uid[affected.next_uid]
            way.append(affected.model)
        return tuple(way)

    @cached_property
    def _by_uid(self) -> dict[str, AffectedModel]:
        return {affected.model.uid: affected for affected in self.models}


class Bugs:
    """The bugs of a repository.

    Every method raises besides its own errors: UnavailableError, UnauthenticatedError, DeadlineExceededError. One
    that takes a bug raises NotFoundError BUG_NOT_FOUND, and InvalidArgumentError INVALID_ARGUMENT where the ids of
    several bugs begin so.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def report(  # noqa: PLR0913 - one call says all of a bug; all but two by keyword
        self,
        title: str,
        affects: WrittenSubject | Iterable[WrittenSubject],
        *,
        description: str = "",
        severity: BugSeverity | str = BugSeverity.MEDIUM,
        carried_by: Iterable[Relation | str] = (),
        request_id: str | None = None,
    ) -> Bug:
        """Report a bug: ``repo.bugs.report("NaN in half precision", "base@2", severity="high")``.

        Args:
            title: One line.
            affects: What is wrong: models, tensors or data sets, 1 to 1,000. A data set without a version means all
                its versions, later ones too.
            description: What is wrong, how it was found.
            severity: ``low``, ``medium``, ``high`` or ``critical``.
            carried_by: Relations that carry it from parent to child; empty means all.
            request_id: The same id with the same bug gives the first answer again; None means a new one.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND, TENSOR_NOT_FOUND or DATASET_NOT_FOUND.
            InvalidArgumentError: INVALID_BUG, INVALID_RELATION, or what is wrong with a reference or digest.
        """
        relations = [carried_by] if isinstance(carried_by, str) else carried_by
        bug = pb.Bug(
            title=title,
            description=description,
            severity=_SEVERITIES[_severity(severity)],
            affects=map(_write_subject, _as_subjects(affects)),
            carried_by=map(write_relation, relations),
        )
        request = pb.ReportBugRequest(bug=bug, request_id=request_id or new_request_id())
        return _read_bug(self._connection.call(self._connection.audit.ReportBug, request).bug)

    def fix(self, bug: BugReference, model: ModelReference, *, force: bool = False) -> Bug:
        """Record that a model, and what was made from it, does not have the bug any more.

        Args:
            bug: The bug.
            model: The model in which it is fixed.
            force: Whether to record it also where the bug does not reach the model.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            FailedPreconditionError: MODEL_NOT_AFFECTED.
        """
        request = pb.FixBugRequest(
            id=_id_of(bug), model=reference_of(model), force=force, request_id=new_request_id()
        )
        return _read_bug(self._connection.call(self._connection.audit.FixBug, request).bug)

    def close(self, bug: BugReference) -> Bug:
        """Close a bug; nothing happens if it is closed. It can still be asked for."""
        return self._set_state(bug, reopen=False)

    def reopen(self, bug: BugReference) -> Bug:
        """Open a closed bug again; nothing happens if it is open."""
        return self._set_state(bug, reopen=True)

    def get(self, bug: BugReference) -> Bug:
        """A bug as it is now."""
        request = pb.GetBugRequest(id=_id_of(bug))
        return _read_bug(self._connection.call(self._connection.audit.GetBug, request).bug)

    def list(
        self, *, state: BugState | str | None = None, model: ModelReference | None = None
    ) -> Iterator[Bug]:
        """Bugs, newest first.

        Args:
            state: ``open`` or ``closed``; None means both.
            model: Only bugs that were reported on this model itself.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND; when the iteration begins.
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        wanted = pb.BUG_STATE_UNSPECIFIED if state is None else _STATES[_state(state)]
        reference = "" if model is None else reference_of(model)

        def ask(token: str) -> tuple[Iterable[Bug], str]:
            request = pb.ListBugsRequest(state=wanted, model=reference, page_token=token)
            answer = self._connection.call(self._connection.audit.ListBugs, request)
            return map(_read_bug, answer.bugs), answer.next_page_token

        return list_pages(ask)

    def affected(
        self,
        bug: BugReference,
        *,
        assumed_fixed: Iterable[ModelReference] = (),
        declared_only: bool = False,
        limit: int | None = None,
    ) -> BugReach:
        """Every model that has the bug, with the reason and one way to where it comes from.

        Args:
            bug: The bug.
            assumed_fixed: Models that are taken as fixed besides: what would a fix clear?
            declared_only: Whether edges that were inferred from weights are left out.
            limit: Largest number of models, the nearest first; None means all.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        if limit is not None and not 1 <= limit < 2**31:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"limit is a whole number from 1, or None; found {limit!r}."
            )
        request = pb.ListAffectedRequest(
            id=_id_of(bug),
            assumed_fixed=map(reference_of, assumed_fixed),
            declared_only=declared_only,
            limit=limit or 0,
        )
        answers = self._connection.collect(self._connection.audit.ListAffected, request)
        return BugReach(
            models=tuple(_read_affected(each) for answer in answers for each in answer.affected),
            unknown=tuple(read_summary(model) for answer in answers for model in answer.unknown),
            cleared=tuple(read_summary(model) for answer in answers for model in answer.cleared),
            truncated=any(answer.truncated for answer in answers),
        )

    def count_affected(
        self,
        bug: BugReference,
        *,
        assumed_fixed: Iterable[ModelReference] = (),
        declared_only: bool = False,
    ) -> int:
        """How many models have the bug; otherwise as ``affected``."""
        request = pb.CountAffectedRequest(
            id=_id_of(bug), assumed_fixed=map(reference_of, assumed_fixed), declared_only=declared_only
        )
        return self._connection.call(self._connection.audit.CountAffected, request).count

    def _set_state(self, bug: BugReference, *, reopen: bool) -> Bug:
        request = pb.CloseBugRequest(id=_id_of(bug), reopen=reopen, request_id=new_request_id())
        return _read_bug(self._connection.call(self._connection.audit.CloseBug, request).bug)


def subject_text(subject: BugSubject) -> str:
    """What a bug affects as it is written: a reference, ``tensor:DIGEST``, or ``dataset:NAME[@VERSION]``."""
    match subject:
        case ModelSubject():
            return subject.ref
        case TensorSubject():
            return f"{_TENSOR}{subject.digest.hex()}"
        case DatasetSubject():
            return f"{_DATASET}{subject.dataset.name}@{subject.dataset.version}".rstrip("@")


def _id_of(bug: BugReference) -> str:
    return bug.id if isinstance(bug, Bug) else bug


def _severity(severity: BugSeverity | str) -> BugSeverity:
    try:
        return BugSeverity(severity)
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_BUG,
            f"The severity of a bug is one of {', '.join(BugSeverity)}; found {severity[:80]!r}.",
        ) from None


def _state(state: BugState | str) -> BugState:
    try:
        return BugState(state)
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"The state of a bug is one of {', '.join(BugState)}; found {state[:80]!r}.",
        ) from None


def _as_subjects(affects: WrittenSubject | Iterable[WrittenSubject]) -> Iterable[WrittenSubject]:
    if isinstance(affects, Iterable) and not isinstance(affects, str):
        return affects
    return [affects]


def _write_subject(subject: WrittenSubject) -> pb.BugSubject:
    if isinstance(subject, Dataset):
        return pb.BugSubject(dataset=write_dataset(subject))
    if isinstance(subject, str) and subject.startswith(_TENSOR):
        return pb.BugSubject(tensor=digest_from_hex(subject.removeprefix(_TENSOR)))
    if isinstance(subject, str) and subject.startswith(_DATASET):
        return pb.BugSubject(dataset=write_dataset(subject.removeprefix(_DATASET)))
    return pb.BugSubject(model=reference_of(subject))


def _read_subject(subject: pb.BugSubject) -> BugSubject:
    match subject.WhichOneof("kind"):
        case "tensor":
            return TensorSubject(subject.tensor)
        case "dataset":
            return DatasetSubject(read_dataset(subject.dataset))
        case _:
            return ModelSubject("", subject.model)


def _read_bug(bug: pb.Bug) -> Bug:
    return Bug(
        id=bug.id,
        title=bug.title,
        affects=tuple(map(_read_subject, bug.affects)),
        created_at=read_time(bug.created_at),
        updated_at=read_time(bug.updated_at),
        description=bug.description,
        severity=_SEVERITY_OF[bug.severity],
        state=_STATE_OF[bug.state],
        carried_by=tuple(map(read_relation, bug.carried_by)),
        fixed_in=tuple(map(read_summary, bug.fixed_in)),
    )


def _read_affected(affected: pb.AffectedModel) -> AffectedModel:
    return AffectedModel(
        model=read_summary(affected.model),
        reason=_REASON_OF[affected.reason],
        next_uid=affected.next_uid or None,
        hops=affected.hops,
        is_inferred=affected.is_inferred,
        tags=tuple(affected.tags),
    )
