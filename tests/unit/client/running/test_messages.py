"""Tests and results go over the wire and come back the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mgit.running.messages import read_result, read_test, write_key, write_result, write_test
from mgit_core.lineage import Dataset, ModelState, ModelSummary
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    ModelTest,
    ModelTestKind,
    ModelTestOutcome,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
)
from mgit_proto.v1 import model_tests_pb2

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
TEST = ModelTest(
    uid="",
    name="check",
    scope=ModelTestScope.ALL,
    kind=ModelTestKind.COMMAND,
    code="check --fast",
    metric="loss",
    created_at=datetime(1970, 1, 1, tzinfo=UTC),
    updated_at=datetime(1970, 1, 1, tzinfo=UTC),
    code_digest=b"c" * 32,
    arguments={"a": 1, "b": 1.0, "c": True, "d": "text"},
    dataset=Dataset(name="glue", version="2"),
    inputs_uri="/inputs",
    inputs_digest=b"i" * 32,
    direction=MetricDirection.LOWER,
    threshold=0.0,
    tolerance=0.0,
    timeout_s=7.0,
)
RESULT = ModelTestResult(
    key=ResultKey(test_uid="t", code_digest=b"c" * 32, inputs_digest=b"", parameters_digest=b"p" * 32),
    model_uid="m",
    value=0.0,
    is_truth=True,
    outcome=ModelTestOutcome.FAILED,
    error="",
    run_at=NOW,
    seconds=1.5,
)


@pytest.mark.parametrize(
    "test",
    [
        TEST,
        replace(TEST, threshold=None, dataset=None, inputs_uri="", inputs_digest=b"", arguments={}),
        replace(TEST, scope=ModelTestScope.TYPE, type="encoder", kind=ModelTestKind.BUILTIN),
        replace(TEST, scope=ModelTestScope.MODEL, model_ref="m@1", kind=ModelTestKind.ENTRY_POINT),
    ],
)
def test_a_test_comes_back_the_same(test: ModelTest) -> None:
    assert read_test(write_test(test)) == test


def test_kinds_of_arguments_come_back() -> None:
    found = read_test(write_test(TEST)).arguments
    assert [type(found[key]) for key in "abcd"] == [int, float, bool, str]


def test_a_result_comes_back_as_the_service_judged_it() -> None:
    message = write_result(RESULT)
    assert message.HasField("value")
    message.outcome = model_tests_pb2.TEST_OUTCOME_FAILED
    message.test_name = "check"
    message.model.name, message.model.version = "model", 3
    message.model.state = 1
    message.model.created_at.FromDatetime(NOW)
    summary = ModelSummary(uid="m", name="model", version=3, state=ModelState.PRESENT, created_at=NOW)
    assert read_result(message) == replace(RESULT, test_name="check", model=summary)


def test_a_result_without_a_value_has_none() -> None:
    assert not write_result(replace(RESULT, value=None, error="why")).HasField("value")


def test_a_key_is_what_a_result_is_known_by() -> None:
    message = write_key(RESULT.key)
    assert (message.test_uid, message.code_digest) == ("t", b"c" * 32)
    assert (message.inputs_digest, message.parameters_digest) == (b"", b"p" * 32)
