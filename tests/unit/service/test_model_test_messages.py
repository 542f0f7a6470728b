"""Model tests and results between messages and values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset, ModelState, ModelSummary
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
from mgit_proto.v1 import types_pb2
from mgit_service.servicers import model_test_messages as messages
from mgit_service.servicers.convert import timestamp_value
from mgit_storage.testing.values import fresh_uid, make_model_test

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
DIGESTS = st.just(b"") | st.binary(min_size=32, max_size=32)
UIDS = st.uuids().map(str)
SCOPES = st.one_of(
    st.just({"scope": ModelTestScope.ALL}),
    st.fixed_dictionaries({"scope": st.just(ModelTestScope.TYPE), "type": TEXTS}),
    st.fixed_dictionaries({"scope": st.just(ModelTestScope.MODEL), "model_ref": TEXTS.filter(bool)}),
)
FIELDS = st.fixed_dictionaries(
    {
        "uid": UIDS,
        "name": TEXTS,
        "kind": st.sampled_from(ModelTestKind),
        "code": TEXTS,
        "metric": TEXTS,
        "created_at": MOMENTS,
        "updated_at": MOMENTS,
        "code_digest": DIGESTS,
        "arguments": st.dictionaries(
            TEXTS, TEXTS | NUMBERS | st.booleans() | st.integers(-(2**63), 2**63 - 1)
        ),
        "dataset": st.none() | st.builds(Dataset, name=TEXTS, version=TEXTS),
        "inputs_uri": TEXTS,
        "inputs_digest": DIGESTS,
        "direction": st.sampled_from(MetricDirection),
        "threshold": st.none() | NUMBERS,
        "tolerance": NUMBERS,
        "timeout_s": st.floats(1e-3, 1e9),
        "is_removed": st.booleans(),
    }
)
SUMMARIES = st.builds(
    ModelSummary,
    uid=UIDS,
    name=TEXTS,
    version=st.integers(1, 2**31 - 1),
    state=st.sampled_from(ModelState),
    created_at=MOMENTS,
)


@given(FIELDS, SCOPES)
def test_a_test_comes_back_but_for_what_the_service_chooses(
    fields: dict[str, Any], scope: dict[str, Any]
) -> None:
    test = ModelTest(**fields, **scope)
    message = messages.model_test_message(test)
    assert (message.uid, message.is_removed) == (test.uid, test.is_removed)
    assert timestamp_value(message.created_at) == test.created_at
    assert timestamp_value(message.updated_at) == test.updated_at
    read = messages.model_test_value(pb.ModelTest.FromString(message.SerializeToString()))
    chosen = {"uid": "", "created_at": read.created_at, "updated_at": read.updated_at, "is_removed": False}
    assert read == ModelTest(**{**fields, **scope, **chosen})


@given(
    st.builds(
        ModelTestResult,
        key=st.builds(
            ResultKey, test_uid=UIDS, code_digest=DIGESTS, inputs_digest=DIGESTS, parameters_digest=DIGESTS
        ),
        model_uid=UIDS,
        value=st.none() | NUMBERS,
        is_truth=st.booleans(),
        outcome=st.sampled_from(ModelTestOutcome),
        error=TEXTS,
        run_at=MOMENTS,
        seconds=NUMBERS,
        test_name=TEXTS,
        model=SUMMARIES,
    )
)
def test_a_result_comes_back_but_for_what_the_graph_tells(result: ModelTestResult) -> None:
    assert result.model is not None
    message = messages.result_message(result)
    assert (message.test_name, message.model.name) == (result.test_name, result.model.name)
    assert pb.TestOutcome.Name(message.outcome) == f"TEST_OUTCOME_{result.outcome.name}"
    read = messages.result_value(pb.TestResult.FromString(message.SerializeToString()))
    for field in ("key", "value", "is_truth", "error", "run_at", "seconds"):
        assert getattr(read, field) == getattr(result, field)
    assert (read.model_uid, read.uid, read.test_name, read.model) == (result.model.uid, "", "", None)


def good(**changed: Any) -> pb.ModelTest:
    return pb.ModelTest(**{"name": "t", "kind": pb.TEST_KIND_COMMAND, "code": "true", **changed})


def test_what_is_not_given_has_its_documented_meaning() -> None:
    test = messages.model_test_value(good())
    assert (test.scope, test.direction, test.threshold) == (ModelTestScope.ALL, MetricDirection.HIGHER, None)
    assert (test.timeout_s, test.tolerance, test.dataset) == (DEFAULT_TIMEOUT_S, 0.0, None)
    result = messages.result_value(pb.TestResult())
    assert (result.value, result.run_at) == (None, datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (good(kind=pb.TEST_KIND_UNSPECIFIED), ErrorReason.INVALID_TEST),
        (good(kind=99), ErrorReason.INVALID_TEST),
        (good(direction=99), ErrorReason.INVALID_TEST),
        (good(model=""), ErrorReason.INVALID_TEST),
        (good(arguments={"k": types_pb2.MetadataValue()}), ErrorReason.INVALID_METADATA),
    ],
)
def test_a_test_that_cannot_be_read_is_refused(message: pb.ModelTest, reason: ErrorReason) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        messages.model_test_value(message)
    assert error.value.reason is reason


@pytest.mark.parametrize(("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (0, -1), (0, 2**31 - 1)])
def test_a_moment_that_is_none_is_refused(seconds: int, nanos: int) -> None:
    message = pb.TestResult(run_at=timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos))
    with pytest.raises(InvalidArgumentError, match="The end of a run is a moment") as error:
        messages.result_value(message)
    assert error.value.reason is ErrorReason.INVALID_TEST


def applicable(number: int, *tests: ModelTest) -> ApplicableTests:
    model = ModelSummary(
        uid=fresh_uid(),
        name=f"m{number}",
        version=1,
        state=ModelState.PRESENT,
        created_at=tests[0].created_at if tests else datetime(2026, 1, 1, tzinfo=UTC),
    )
    return ApplicableTests(model=model, parameters_digest=b"p" * 32, tests=tests)


def test_each_test_is_told_once_before_or_beside_its_first_model() -> None:
    tests = [make_model_test(f"t{at}", arguments={"a": "x" * 60_000}) for at in range(40)]
    models = [applicable(at, *tests[at : at + 3]) for at in range(38)]
    told: list[str] = []
    shown: list[str] = []
    answers = list(messages.applicable_messages(models))
    for answer in answers:
        assert answer.ByteSize() < 1 << 20
        told += [test.uid for test in answer.tests]
        for each in answer.models:
            assert set(each.test_uids) <= set(told)
            shown.append(each.model.name)
    assert told == [test.uid for test in tests]
    assert shown == [each.model.name for each in models]
    assert len(answers) > 3


def test_no_models_make_one_empty_answer() -> None:
    assert list(messages.applicable_messages([])) == [pb.ListApplicableTestsResponse()]


def test_an_item_larger_than_a_message_goes_alone() -> None:
    large = applicable(0, *(make_model_test(f"t{at}") for at in range(20_000)))
    answers = list(messages.applicable_messages([large, applicable(1)]))
    assert [len(answer.models) for answer in answers].count(0) == len(answers) - 2
    assert sum(len(answer.tests) for answer in answers) == 20_000


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [([], 0), ([100], 1), ([600_000], 1), ([400_000, 100_000, 100_000], 2), ([10] * 50, 50)],
)
def test_a_part_holds_what_fits_and_one_at_least(sizes: list[int], wanted: int) -> None:
    answers = [pb.TestResult(error="x" * size) for size in sizes]
    assert messages.count_fitting(answers) == wanted
