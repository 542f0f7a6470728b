"""Model tests and their results on the wire."""

from __future__ import annotations

from mgit.wire import read_dataset, read_metadata, read_summary, read_time, write_dataset, write_metadata
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    DEFAULT_TIMEOUT_S,
    ModelTest,
    ModelTestKind,
    ModelTestOutcome,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
)
from mgit_proto.v1 import model_tests_pb2, types_pb2

__all__ = ["read_result", "read_test", "write_key", "write_result", "write_test"]

_KINDS = {kind: model_tests_pb2.TestKind.Value(f"TEST_KIND_{kind.name}") for kind in ModelTestKind}
_KIND_OF = {number: kind for kind, number in _KINDS.items()}
_DIRECTIONS = {
    direction: model_tests_pb2.MetricDirection.Value(f"METRIC_DIRECTION_{direction.name}")
    for direction in MetricDirection
}
_DIRECTION_OF = {number: direction for direction, number in _DIRECTIONS.items()}
_OUTCOME_OF = {
    model_tests_pb2.TestOutcome.Value(f"TEST_OUTCOME_{outcome.name}"): outcome for outcome in ModelTestOutcome
}


def write_test(test: ModelTest) -> model_tests_pb2.ModelTest:
    """A test that is to be registered."""
    message = model_tests_pb2.ModelTest(
        name=test.name,
        kind=_KINDS[test.kind],
        code=test.code,
        code_digest=test.code_digest,
        arguments=write_metadata(test.arguments),
        dataset=None if test.dataset is None else write_dataset(test.dataset),
        inputs_uri=test.inputs_uri,
        inputs_digest=test.inputs_digest,
        metric=test.metric,
        direction=_DIRECTIONS[test.direction],
        threshold=test.threshold,
        tolerance=test.tolerance,
        timeout_s=test.timeout_s,
    )
    # Even an empty text would set the scope.
    if test.scope is ModelTestScope.MODEL:
        message.model = test.model_ref
    elif test.scope is ModelTestScope.TYPE:
        message.type = test.type or ""
    return message


def read_test(message: model_tests_pb2.ModelTest) -> ModelTest:
    """A registered test."""
    scope = {"model": ModelTestScope.MODEL, "type": ModelTestScope.TYPE}.get(
        message.WhichOneof("scope") or "", ModelTestScope.ALL
    )
    return ModelTest(
        uid=message.uid,
        name=message.name,
        scope=scope,
        kind=_KIND_OF[message.kind],
        code=message.code,
        metric=message.metric,
        created_at=read_time(message.created_at),
        updated_at=read_time(message.updated_at),
        model_ref=message.model if scope is ModelTestScope.MODEL else "",
        type=message.type if scope is ModelTestScope.TYPE else None,
        code_digest=message.code_digest,
        arguments=read_metadata(message.arguments),
        dataset=read_dataset(message.dataset) if message.HasField("dataset") else None,
        inputs_uri=message.inputs_uri,
        inputs_digest=message.inputs_digest,
        direction=_DIRECTION_OF.get(message.direction, MetricDirection.HIGHER),
        threshold=message.threshold if message.HasField("threshold") else None,
        tolerance=message.tolerance,
        timeout_s=message.timeout_s or DEFAULT_TIMEOUT_S,
        is_removed=message.is_removed,
    )


def write_key(key: ResultKey) -> model_tests_pb2.ResultKey:
    """What a known result is asked for by."""
    return model_tests_pb2.ResultKey(
        test_uid=key.test_uid,
        code_digest=key.code_digest,
        inputs_digest=key.inputs_digest,
        parameters_digest=key.parameters_digest,
    )


def write_result(result: ModelTestResult) -> model_tests_pb2.TestResult:
    """A result that is to be recorded."""
    message = model_tests_pb2.TestResult(
        test_uid=result.key.test_uid,
        model=types_pb2.ModelSummary(uid=result.model_uid),
        value=result.value,
        is_truth=result.is_truth,
        error=result.error,
        seconds=result.seconds,
        code_digest=result.key.code_digest,
        inputs_digest=result.key.inputs_digest,
        parameters_digest=result.key.parameters_digest,
    )
    message.run_at.FromDatetime(result.run_at)
    return message


def read_result(message: model_tests_pb2.TestResult) -> ModelTestResult:
    """A recorded result."""
    model = read_summary(message.model)
    return ModelTestResult(
        key=ResultKey(
            test_uid=message.test_uid,
            code_digest=message.code_digest,
            inputs_digest=message.inputs_digest,
            parameters_digest=message.parameters_digest,
        ),
        model_uid=model.uid,
        value=message.value if message.HasField("value") else None,
        is_truth=message.is_truth,
        outcome=_OUTCOME_OF[message.outcome],
        error=message.error,
        run_at=read_time(message.run_at),
        seconds=message.seconds,
        test_name=message.test_name,
        model=model,
    )
