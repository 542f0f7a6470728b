"""What goes along with models as messages, and back. Tests and bugs name models by ``@`` and uid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mgit_core.bugs import Bug, BugSubject, ModelSubject
from mgit_core.digest import DIGEST_SIZE
from mgit_core.errors import ErrorReason, InvalidArgumentError, ResourceExhaustedError
from mgit_core.lineage import RevisionEdge, Tag
from mgit_core.model_tests import ModelTest, ModelTestScope
from mgit_core.names import check_model_name
from mgit_core.ports.exchange import ExchangeRecords, KeptResult
from mgit_proto.v1 import audit_pb2, lineage_pb2, model_tests_pb2, types_pb2
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_service.servicers import convert
from mgit_service.servicers.bug_messages import bug_message, bug_value, state_value
from mgit_service.servicers.exchange_messages import (
    MAX_REMOTE_LENGTH,
    edge_value,
    moment_value,
    summary_value,
    uid_value,
)
from mgit_service.servicers.model_test_messages import (
    model_test_message,
    model_test_value,
    result_message,
    result_value,
)

__all__ = ["MAX_RECORDS", "RecordAssembly", "record_parts", "remote_value"]

MAX_RECORDS = 20_000
"""Most records of one import: they are changed in one transaction."""
_MESSAGE_BYTES = 512 << 10


def record_parts(records: ExchangeRecords) -> Iterator[pb.Records]:
    """The records in messages of at most 1 MiB, tests before results."""
    part, room = pb.Records(), _MESSAGE_BYTES
    for record in _one_by_one(records):
        size_bytes = record.ByteSize()
        if size_bytes > room and room < _MESSAGE_BYTES:
            yield part
            part, room = pb.Records(), _MESSAGE_BYTES
        part.MergeFrom(record)
        room -= size_bytes
    if room < _MESSAGE_BYTES:
        yield part


def _one_by_one(records: ExchangeRecords) -> Iterator[pb.Records]:
    for edge in records.edges:
        yield pb.Records(edges=[convert.edge_message(edge)])
    for revision in records.revisions:
        yield pb.Records(revisions=[convert.revision_message(revision)])
    for tag in records.tags:
        yield pb.Records(tags=[convert.tag_message(tag)])
    for test in records.tests:
        yield pb.Records(tests=[_test_message(test)])
    for kept in records.results:
        message = result_message(kept.result)
        message.uid, message.measurement = kept.result.uid, kept.measurement
        yield pb.Records(results=[message])
    for bug in records.bugs:
        yield pb.Records(bugs=[_bug_message(bug)])


def _test_message(test: ModelTest) -> model_tests_pb2.ModelTest:
    message = model_test_message(test)
    if test.model_uid is not None:
        message.model = f"@{test.model_uid}"
    return message


def _bug_message(bug: Bug) -> audit_pb2.Bug:
    affects = [
        replace(each, ref=f"@{each.uid}") if isinstance(each, ModelSubject) else each for each in bug.affects
    ]
    return bug_message(replace(bug, affects=tuple(affects)))


def remote_value(text: str) -> str:
    """What the user calls the other side: tests are named by it where their own names are taken.

    Raises:
        InvalidArgumentError: INVALID_NAME.
    """
    if len(text) > MAX_REMOTE_LENGTH // 2 or "/" in check_model_name(text):
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME,
            f"A remote is called by one segment of a name, {MAX_REMOTE_LENGTH // 2} characters at most; found "
            f"{text[:80]!r}.",
            field="remote",
        )
    return text


class RecordAssembly:
    """Puts the parts of an import of records together."""

    def __init__(self) -> None:
        self._records = ExchangeRecords()
        self._count = 0

    def add(self, part: pb.Records) -> None:
        """Take a part.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, INVALID_REFERENCE, INVALID_RELATION, INVALID_TEST, INVALID_BUG or
                INVALID_METADATA.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        self._count += sum(len(field) for _, field in part.ListFields())
        if self._count > MAX_RECORDS:
            raise ResourceExhaustedError(
                ErrorReason.LIMIT_EXCEEDED,
                f"An import has at most {MAX_RECORDS} records; send them in several.",
                limit=MAX_RECORDS,
            )
        so_far = self._records
        self._records = ExchangeRecords(
            edges=(*so_far.edges, *map(edge_value, part.edges)),
            revisions=(*so_far.revisions, *map(_revision_value, part.revisions)),
            tags=(*so_far.tags, *map(_tag_value, part.tags)),
            tests=(*so_far.tests, *map(_test_value, part.tests)),
            results=(*so_far.results, *map(_result_value, part.results)),
            bugs=(*so_far.bugs, *map(_bug_value, part.bugs)),
        )

    def finish(self) -> ExchangeRecords:
        """All records."""
        return self._records


def _revision_value(message: types_pb2.RevisionEdge) -> RevisionEdge:
    return RevisionEdge(newer_uid=uid_value(message.newer_uid), older_uid=uid_value(message.older_uid))


def _tag_value(message: lineage_pb2.Tag) -> Tag:
    return Tag(model_name=message.model_name, tag=message.tag, model=summary_value(message.model))


def _test_value(message: model_tests_pb2.ModelTest) -> ModelTest:
    test = model_test_value(message)
    is_of_model = test.scope is ModelTestScope.MODEL
    return replace(
        test,
        uid=uid_value(message.uid),
        created_at=moment_value(message.created_at),
        updated_at=moment_value(message.updated_at),
        model_uid=_uid_of(message.model) if is_of_model else None,
        model_ref="",
        is_removed=message.is_removed,
    )


def _uid_of(reference: str) -> str:
    if not reference.startswith("@"):
        raise InvalidArgumentError(
            ErrorReason.INVALID_REFERENCE,
            f"Records name models by '@' and uid; found {reference[:80]!r}.",
        )
    return uid_value(reference[1:])


def _result_value(message: model_tests_pb2.TestResult) -> KeptResult:
    result = result_value(message)
    if len(message.measurement) != DIGEST_SIZE or not message.HasField("run_at"):
        raise InvalidArgumentError(
            ErrorReason.INVALID_TEST,
            f"A result of another store says when it ran and what it measured, {DIGEST_SIZE} bytes.",
        )
    result = replace(
        result,
        uid=uid_value(message.uid),
        model_uid=uid_value(result.model_uid),
        key=replace(result.key, test_uid=uid_value(result.key.test_uid)),
    )
    return KeptResult(result=result, measurement=message.measurement)


def _bug_value(message: audit_pb2.Bug) -> Bug:
    bug = bug_value(message)
    state = state_value(message.state)
    if state is None:
        raise InvalidArgumentError(ErrorReason.INVALID_BUG, "A bug of another store is open or closed.")
    return replace(
        bug,
        id=uid_value(message.id),
        affects=tuple(map(_subject_value, bug.affects)),
        created_at=moment_value(message.created_at),
        updated_at=moment_value(message.updated_at),
        state=state,
        fixed_in=tuple(map(summary_value, message.fixed_in)),
    )


def _subject_value(subject: BugSubject) -> BugSubject:
    return ModelSubject(_uid_of(subject.ref)) if isinstance(subject, ModelSubject) else subject
