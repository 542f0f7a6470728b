"""Model tests and results as values."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core import model_tests
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    MAX_ERROR_LENGTH,
    ModelTest,
    ModelTestKind,
    ModelTestOutcome,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
    check_model_test,
    check_result,
    judge,
    judge_value,
    make_result_uid,
    measurement_digest,
    redefined,
)

UID = "0190a1b2-0000-7000-8000-000000000001"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEST = ModelTest(
    uid=UID,
    name="checks/accuracy",
    scope=ModelTestScope.ALL,
    kind=ModelTestKind.ENTRY_POINT,
    code="checks:accuracy",
    metric="accuracy",
    created_at=NOW,
    updated_at=NOW,
    arguments={"k": 5},
    dataset=Dataset(name="glue", version="1"),
    threshold=0.5,
)
RESULT = ModelTestResult(
    key=ResultKey(test_uid=UID, code_digest=b"c" * 32, inputs_digest=b"", parameters_digest=b"p" * 32),
    model_uid=UID,
    value=0.5,
    is_truth=False,
    outcome=ModelTestOutcome.PASSED,
    error="",
    run_at=NOW,
    seconds=1.5,
)
ENDS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
HIGHER, LOWER = MetricDirection.HIGHER, MetricDirection.LOWER
PASSED, FAILED = ModelTestOutcome.PASSED, ModelTestOutcome.FAILED


@pytest.mark.parametrize(
    ("value", "is_truth", "threshold", "direction", "wanted"),
    [
        (0.5, False, 0.5, HIGHER, PASSED),
        (0.4, False, 0.5, HIGHER, FAILED),
        (0.5, False, 0.5, LOWER, PASSED),
        (0.6, False, 0.5, LOWER, FAILED),
        (0.6, False, None, HIGHER, ModelTestOutcome.MEASURED),
        (1.0, True, None, HIGHER, PASSED),
        (0.0, True, None, HIGHER, FAILED),
        (0.0, True, None, LOWER, FAILED),
        (0.0, True, 0.0, LOWER, PASSED),
        (None, False, 0.5, HIGHER, ModelTestOutcome.ERROR),
        (None, True, None, HIGHER, ModelTestOutcome.ERROR),
    ],
)
def test_a_value_is_judged_by_threshold_and_direction(
    value: float | None,
    is_truth: bool,  # noqa: FBT001 - a column of the table
    threshold: float | None,
    direction: MetricDirection,
    wanted: ModelTestOutcome,
) -> None:
    test = replace(TEST, threshold=threshold, direction=direction)
    assert judge(test, value, is_truth=is_truth) is wanted
    assert judge_value(value, is_truth=is_truth, threshold=threshold, direction=direction) is wanted


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"scope": ModelTestScope.MODEL, "model_uid": UID},
        {"scope": ModelTestScope.TYPE, "type": "bert"},
        {"kind": ModelTestKind.COMMAND, "code": "python -m checks --fast"},
        {"kind": ModelTestKind.BUILTIN, "code": "finite", "threshold": None, "dataset": None},
        {"tolerance": 0.0, "code_digest": b"c" * 32, "inputs_digest": b"i" * 32},
    ],
)
def test_a_good_test_passes_unchanged(changed: dict[str, Any]) -> None:
    test = replace(TEST, **changed)
    assert check_model_test(test) is test


@pytest.mark.parametrize(
    ("changed", "reason", "words"),
    [
        ({"name": "no name"}, ErrorReason.INVALID_NAME, "no name"),
        ({"arguments": {"k": math.inf}}, ErrorReason.INVALID_METADATA, "inf"),
        ({"arguments": {"no key": 1}}, ErrorReason.INVALID_METADATA, "no key"),
        ({"model_uid": UID}, ErrorReason.INVALID_TEST, "its scope says all"),
        ({"scope": ModelTestScope.MODEL}, ErrorReason.INVALID_TEST, "its scope says model"),
        ({"scope": ModelTestScope.TYPE, "type": ""}, ErrorReason.INVALID_TEST, "its scope says type"),
        ({"scope": ModelTestScope.TYPE, "type": "a/b"}, ErrorReason.INVALID_NAME, "one segment"),
        ({"scope": ModelTestScope.TYPE, "type": "a b"}, ErrorReason.INVALID_NAME, "a b"),
        ({"code": ""}, ErrorReason.INVALID_TEST, "code of a test has 1 to"),
        ({"code": "x:y" * 4_000}, ErrorReason.INVALID_TEST, "found 12000"),
        ({"code": "a:\0"}, ErrorReason.INVALID_TEST, "code"),
        ({"code": "checks"}, ErrorReason.INVALID_TEST, "MODULE:FUNCTION"),
        ({"code": ":accuracy"}, ErrorReason.INVALID_TEST, "MODULE:FUNCTION"),
        ({"code": "checks:"}, ErrorReason.INVALID_TEST, "MODULE:FUNCTION"),
        ({"metric": ""}, ErrorReason.INVALID_TEST, "metric"),
        ({"inputs_uri": "u" * 4_001}, ErrorReason.INVALID_TEST, "inputs"),
        ({"code_digest": b"c"}, ErrorReason.INVALID_TEST, "32 bytes, or none; found 1"),
        ({"inputs_digest": b"i" * 33}, ErrorReason.INVALID_TEST, "found 33"),
        ({"dataset": Dataset(name="a b")}, ErrorReason.INVALID_NAME, "a b"),
        ({"dataset": Dataset(name="a", version="\n")}, ErrorReason.INVALID_NAME, "printable"),
        ({"threshold": math.nan}, ErrorReason.INVALID_TEST, "nan"),
        ({"tolerance": -1.0}, ErrorReason.INVALID_TEST, "-1.0"),
        ({"tolerance": math.inf}, ErrorReason.INVALID_TEST, "inf"),
        ({"timeout_s": 0.0}, ErrorReason.INVALID_TEST, "more than 0 seconds"),
        ({"timeout_s": math.nan}, ErrorReason.INVALID_TEST, "nan"),
    ],
)
def test_a_bad_test_says_what_is_bad(changed: dict[str, Any], reason: ErrorReason, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as error:
        check_model_test(replace(TEST, **changed))
    assert error.value.reason is reason


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"value": None, "error": "it hung"},
        {"is_truth": True, "value": 1.0},
        {"is_truth": True, "value": 0.0},
        {"value": -1e300, "seconds": 0.0},
    ],
)
def test_a_good_result_passes_unchanged(changed: dict[str, Any]) -> None:
    result = replace(RESULT, **changed)
    assert check_result(result) is result


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"value": math.nan}, "finite number; found nan"),
        ({"value": -math.inf}, "finite number; found -inf"),
        ({"value": None}, "found neither"),
        ({"error": "it raised"}, "found both"),
        ({"value": 0.5, "is_truth": True}, "counts as 1 or 0; found 0.5"),
        ({"value": None, "error": "e" * (MAX_ERROR_LENGTH + 1)}, "found 4001"),
        ({"seconds": -1.0}, "found -1.0"),
        ({"seconds": math.nan}, "found nan"),
        ({"run_at": datetime(1969, 12, 31, tzinfo=UTC)}, "1969-12-31"),
    ],
)
def test_a_bad_result_says_what_is_bad(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as error:
        check_result(replace(RESULT, **changed))
    assert error.value.reason is ErrorReason.INVALID_TEST


@pytest.mark.parametrize("field", ["code_digest", "inputs_digest", "parameters_digest"])
def test_a_result_with_a_digest_that_is_none_is_refused(field: str) -> None:
    key = replace(RESULT.key, **{field: b"short"})
    with pytest.raises(InvalidArgumentError, match=r"32 bytes.*found 5"):
        check_result(replace(RESULT, key=key))


def test_a_result_tells_its_parameters() -> None:
    with pytest.raises(InvalidArgumentError, match="parameters has 32 bytes; found 0"):
        check_result(replace(RESULT, key=replace(RESULT.key, parameters_digest=b"")))


@given(st.text(max_size=40), st.integers(0, 6_000))
def test_an_error_is_cut_with_a_note_where_it_is_too_long(text: str, padding: int) -> None:
    long = text + "x" * padding
    fitted = model_tests.fitted_error(long)
    assert len(fitted) <= MAX_ERROR_LENGTH
    if len(long) <= MAX_ERROR_LENGTH:
        assert fitted == long
    else:
        assert fitted.endswith("... (cut)")
        assert long.startswith(fitted.removesuffix("... (cut)"))


@given(ENDS, ENDS, st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_results_sort_by_the_end_of_their_run(
    one: datetime, other: datetime, first: bytes, second: bytes
) -> None:
    uids = make_result_uid(one, first), make_result_uid(other, second)
    if one != other:
        assert (uids[0] < uids[1]) == (one < other)


@given(ENDS, st.binary(min_size=8, max_size=8))
def test_results_a_microsecond_apart_sort_too(end: datetime, random: bytes) -> None:
    later = end + timedelta(microseconds=1)
    assert make_result_uid(end, random) < make_result_uid(later, b"\0" * 8)
    assert make_result_uid(end, random)[14] == "7"


@pytest.mark.parametrize(
    "changed",
    [
        {"code": "checks:loss"},
        {"kind": ModelTestKind.COMMAND},
        {"arguments": {}},
        {"arguments": {"k": 5.0}},
        {"arguments": {"k": "5"}},
    ],
)
def test_another_measurement_has_another_digest(changed: dict[str, Any]) -> None:
    assert measurement_digest(replace(TEST, **changed)) != measurement_digest(TEST)


def test_what_only_judges_or_names_does_not_change_the_measurement() -> None:
    changed = replace(
        TEST,
        name="other",
        threshold=None,
        direction=LOWER,
        tolerance=1.0,
        scope=ModelTestScope.TYPE,
        type="t",
    )
    assert measurement_digest(changed) == measurement_digest(TEST)
    many = {"b": 1, "a": 2}
    in_order = replace(TEST, arguments=dict(sorted(many.items())))
    assert measurement_digest(replace(TEST, arguments=many)) == measurement_digest(in_order)


def test_a_redefined_test_keeps_who_it_is() -> None:
    later = NOW + timedelta(days=1)
    new = replace(TEST, uid="other", threshold=0.75, created_at=later, updated_at=later)
    assert redefined(TEST, new) == replace(TEST, threshold=0.75, updated_at=later)


def test_the_same_definition_is_no_change() -> None:
    later = NOW + timedelta(days=1)
    known = replace(TEST, scope=ModelTestScope.MODEL, model_uid=UID, model_ref="m@1")
    again = replace(known, uid="other", model_ref="", created_at=later, updated_at=later)
    assert redefined(known, again) is known
    assert redefined(known, replace(again, arguments={"k": 5.0})).updated_at == later
