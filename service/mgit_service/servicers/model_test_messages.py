"""Model tests and results as messages, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from google.protobuf.message import Message

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    DEFAULT_TIMEOUT_S,
    ApplicableTests,
    ModelTest,
    ModelTestKind,
    ModelTestOutcome,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
)
from mgit_proto.v1 import model_tests_pb2 as pb
from mgit_service.servicers.convert import (
    dataset_message,
    summary_message,
    timestamp_message,
    timestamp_value,
)
from mgit_service.servicers.metadata import metadata_message, metadata_value

__all__ = [
    "applicable_messages",
    "count_fitting",
    "key_value",
    "model_test_message",
    "model_test_value",
    "result_message",
    "result_value",
]

# An item may pass the half alone: the arguments of a test take up to 64 KiB, the uids of its tests make a model big.
_MESSAGE_BYTES = 512 << 10

_KINDS: dict[ModelTestKind, pb.TestKind.ValueType] = {
    kind: pb.TestKind.Value(f"TEST_KIND_{kind.name}") for kind in ModelTestKind
}
_DIRECTIONS: dict[MetricDirection, pb.MetricDirection.ValueType] = {
    direction: pb.MetricDirection.Value(f"METRIC_DIRECTION_{direction.name}") for direction in MetricDirection
}
_OUTCOMES: dict[ModelTestOutcome, pb.TestOutcome.ValueType] = {
    outcome: pb.TestOutcome.Value(f"TEST_OUTCOME_{outcome.name}") for outcome in ModelTestOutcome
}
_KIND_VALUES = {number: kind for kind, number in _KINDS.items()}
_DIRECTION_VALUES = {
    pb.METRIC_DIRECTION_UNSPECIFIED: MetricDirection.HIGHER,
    **{number: direction for direction, number in _DIRECTIONS.items()},
}
_SCOPES: Mapping[str | None, ModelTestScope] = {
    "model": ModelTestScope.MODEL,
    "type": ModelTestScope.TYPE,
    None: ModelTestScope.ALL,
}
# A run whose end was not told ended when it was recorded, as does every run that is said to end later.
_NOT_TOLD = datetime.max.replace(tzinfo=UTC)


def model_test_message(test: ModelTest) -> pb.ModelTest:
    """A test."""
    message = pb.ModelTest(
        uid=test.uid,
        name=test.name,
        kind=_KINDS[test.kind],
        code=test.code,
        code_digest=test.code_digest,
        arguments={key: metadata_message(value) for key, value in test.arguments.items()},
        dataset=None if test.dataset is None else dataset_message(test.dataset),
        inputs_uri=test.inputs_uri,
        inputs_digest=test.inputs_digest,
        metric=test.metric,
        direction=_DIRECTIONS[test.direction],
        threshold=test.threshold,
        tolerance=test.tolerance,
        timeout_s=test.timeout_s,
        created_at=timestamp_message(test.created_at),
        updated_at=timestamp_message(test.updated_at),
        is_removed=test.is_removed,
    )
    if test.scope is ModelTestScope.MODEL:
        message.model = test.model_ref
    elif test.scope is ModelTestScope.TYPE:
        message.type = test.type or ""
    return message


def model_test_value(message: pb.ModelTest) -> ModelTest:
    """A test as it is asked for: without uid and times, its model by reference; nothing else is checked.

    Raises:
        InvalidArgumentError: INVALID_TEST for a kind or direction that is not known, or a model that is not
            named; INVALID_METADATA.
    """
    kind = _KIND_VALUES.get(message.kind)
    if kind is None:
        raise _invalid(f"A test is of kind {', '.join(ModelTestKind)}; found number {message.kind}.")
    direction = _DIRECTION_VALUES.get(message.direction)
    if direction is None:
        raise _invalid(f"{' or '.join(MetricDirection)} is better; found number {message.direction}.")
    scope = _SCOPES[message.WhichOneof("scope")]
    if scope is ModelTestScope.MODEL and not message.model:
        raise _invalid(f"Test {message.name[:80]!r} is for one model, which it does not name.")
    has_dataset = message.HasField("dataset")
    return ModelTest(
        uid="",
        name=message.name,
        scope=scope,
        kind=kind,
        code=message.code,
        metric=message.metric,
        created_at=_NOT_TOLD,
        updated_at=_NOT_TOLD,
        model_ref=message.model,
        type=message.type if scope is ModelTestScope.TYPE else None,
        code_digest=message.code_digest,
        arguments=metadata_value(message.arguments),
        dataset=Dataset(name=message.dataset.name, version=message.dataset.version) if has_dataset else None,
        inputs_uri=message.inputs_uri,
        inputs_digest=message.inputs_digest,
        direction=direction,
        threshold=message.threshold if message.HasField("threshold") else None,
        tolerance=message.tolerance,
        timeout_s=message.timeout_s or DEFAULT_TIMEOUT_S,
    )


def result_message(result: ModelTestResult) -> pb.TestResult:
    """A result."""
    return pb.TestResult(
        test_uid=result.key.test_uid,
        test_name=result.test_name,
        model=None if result.model is None else summary_message(result.model),
        value=result.value,
        is_truth=result.is_truth,
        outcome=_OUTCOMES[result.outcome],
        error=result.error,
        run_at=timestamp_message(result.run_at),
        seconds=result.seconds,
        code_digest=result.key.code_digest,
        inputs_digest=result.key.inputs_digest,
        parameters_digest=result.key.parameters_digest,
    )


def result_value(message: pb.TestResult) -> ModelTestResult:
    """A result as it is recorded: not judged, its model by uid; nothing else is checked.

    Raises:
        InvalidArgumentError: INVALID_TEST for a time that is none.
    """
    value = message.value if message.HasField("value") else None
    return ModelTestResult(
        key=ResultKey(
            test_uid=message.test_uid,
            code_digest=message.code_digest,
            inputs_digest=message.inputs_digest,
            parameters_digest=message.parameters_digest,
        ),
        model_uid=message.model.uid,
        value=value,
        is_truth=message.is_truth,
        outcome=ModelTestOutcome.ERROR if value is None else ModelTestOutcome.MEASURED,
        error=message.error,
        run_at=_run_at(message) if message.HasField("run_at") else _NOT_TOLD,
        seconds=message.seconds,
    )


def _run_at(message: pb.TestResult) -> datetime:
    try:
        return timestamp_value(message.run_at)
    except (ValueError, OverflowError) as error:
        raise _invalid(
            f"The end of a run is a moment; found {message.run_at.seconds} s and {message.run_at.nanos} ns."
        ) from error


def key_value(message: pb.ResultKey) -> ResultKey:
    """What makes a result reusable."""
    return ResultKey(
        test_uid=message.test_uid,
        code_digest=message.code_digest,
        inputs_digest=message.inputs_digest,
        parameters_digest=message.parameters_digest,
    )


def applicable_messages(models: Iterable[ApplicableTests]) -> Iterator[pb.ListApplicableTestsResponse]:
    """Models with their tests in messages of at most 1 MiB, each test before or beside the first that has it."""
    told: set[str] = set()
    message, room = pb.ListApplicableTestsResponse(), _MESSAGE_BYTES
    for each in models:
        for item in _entries(each, told):
            size_bytes = item.ByteSize()
            if size_bytes > room and room < _MESSAGE_BYTES:
                yield message
                message, room = pb.ListApplicableTestsResponse(), _MESSAGE_BYTES
            if isinstance(item, pb.ModelTest):
                message.tests.append(item)
            else:
                message.models.append(item)
            room -= size_bytes
    yield message


def _entries(each: ApplicableTests, told: set[str]) -> Iterator[pb.ModelTest | pb.ApplicableTests]:
    for test in each.tests:
        if test.uid not in told:
            told.add(test.uid)
            yield model_test_message(test)
    yield pb.ApplicableTests(
        model=summary_message(each.model),
        parameters_digest=each.parameters_digest,
        test_uids=[test.uid for test in each.tests],
    )


def count_fitting(messages: Sequence[Message]) -> int:
    """How many of the messages, from the first on, go into one answer: at least one, if there is one."""
    room = _MESSAGE_BYTES
    for count, message in enumerate(messages):
        room -= message.ByteSize()
        if room < 0:
            return max(count, 1)
    return len(messages)


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_TEST, message)
