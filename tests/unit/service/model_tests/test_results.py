"""Recording, finding and listing results, over the graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mgit_core.errors import ErrorReason, MGitError
from mgit_core.lineage import Model, RequestKey
from mgit_core.model_tests import MAX_ERROR_LENGTH, ModelTest, ModelTestOutcome, ModelTestResult
from mgit_core.ports.graph import Lineage, Page
from mgit_service.use_cases.model_tests import results
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.lineage.steps import add
from mgit_storage.testing.values import UNKNOWN_UID, make_model_test, make_result

STORE_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def lineage() -> AsyncIterator[Lineage]:
    graph = open_memory_graph()
    await graph.binding.bind(STORE_ID, store_is_empty=True)
    yield graph
    await graph.binding.close()


@pytest.fixture
async def model(lineage: Lineage) -> Model:
    return await add(lineage, "m")


@pytest.fixture
async def test(lineage: Lineage) -> ModelTest:
    return await lineage.model_tests.register(make_model_test("t"))


def given(test: ModelTest, model: Model, value: float | None, **changed: Any) -> ModelTestResult:
    return make_result(test, model, value, uid="", **changed)


async def record(lineage: Lineage, *given_results: ModelTestResult) -> list[ModelTestResult]:
    return await results.record_results(lineage, given_results, None)


async def test_results_are_judged_and_listed(lineage: Lineage, model: Model, test: ModelTest) -> None:
    recorded = await record(lineage, given(test, model, 0.75, at=1), given(test, model, 0.25, at=2))
    assert [each.outcome for each in recorded] == [ModelTestOutcome.PASSED, ModelTestOutcome.FAILED]
    for of_test in ("", "t", "T", f"@{test.uid}"):
        for of_model in ("", "m", "m@1", f"@{model.uid}"):
            found = await results.list_results(lineage, Page(), test=of_test, model=of_model)
            assert found == recorded[::-1]


async def test_a_run_that_ends_in_the_future_ended_now(
    lineage: Lineage, model: Model, test: ModelTest
) -> None:
    """A clock that is ahead would keep its result the newest for long."""
    before = datetime.now(UTC)
    ahead = given(test, model, 1.0, run_at=before + timedelta(days=400))
    [recorded] = await record(lineage, ahead)
    assert before <= recorded.run_at <= datetime.now(UTC)
    [later] = await record(lineage, replace(ahead, value=0.0))
    assert await results.find_results(lineage, [ahead.key]) == [later]


async def test_a_long_error_is_cut(lineage: Lineage, model: Model, test: ModelTest) -> None:
    [recorded] = await record(lineage, given(test, model, None, error="é" * 1_000_000))
    assert len(recorded.error) == MAX_ERROR_LENGTH
    assert recorded.error.endswith("é... (cut)")


async def test_uids_are_read_in_any_form(lineage: Lineage, model: Model, test: ModelTest) -> None:
    result = given(test, model, 1.0)
    loud = replace(result.key, test_uid=test.uid.upper())
    [recorded] = await record(lineage, replace(result, key=loud, model_uid=model.uid.replace("-", "")))
    assert (recorded.key.test_uid, recorded.model_uid) == (test.uid, model.uid)
    assert await results.find_results(lineage, [loud]) == [recorded]


@pytest.mark.parametrize(
    ("changed", "key", "reason"),
    [
        ({"value": float("nan")}, {}, ErrorReason.INVALID_TEST),
        ({"value": float("inf")}, {}, ErrorReason.INVALID_TEST),
        ({"value": None, "error": ""}, {}, ErrorReason.INVALID_TEST),
        ({"error": "and an error"}, {}, ErrorReason.INVALID_TEST),
        ({"run_at": datetime(1960, 1, 1, tzinfo=UTC)}, {}, ErrorReason.INVALID_TEST),
        ({"model_uid": "m"}, {}, ErrorReason.INVALID_REFERENCE),
        ({"model_uid": ""}, {}, ErrorReason.INVALID_REFERENCE),
        ({"model_uid": UNKNOWN_UID}, {}, ErrorReason.MODEL_NOT_FOUND),
        ({}, {"test_uid": "t"}, ErrorReason.INVALID_REFERENCE),
        ({}, {"test_uid": UNKNOWN_UID}, ErrorReason.TEST_NOT_FOUND),
        ({}, {"parameters_digest": b""}, ErrorReason.INVALID_TEST),
        ({}, {"parameters_digest": b"p" * 32}, ErrorReason.INVALID_TEST),
        ({}, {"code_digest": b"c"}, ErrorReason.INVALID_TEST),
    ],
)
async def test_one_bad_result_keeps_all_out(  # noqa: PLR0917 - a table and its fixtures
    lineage: Lineage,
    model: Model,
    test: ModelTest,
    changed: dict[str, Any],
    key: dict[str, Any],
    reason: ErrorReason,
) -> None:
    good = given(test, model, 1.0)
    bad = replace(replace(good, **changed), key=replace(good.key, **key))
    with pytest.raises(MGitError) as error:
        await record(lineage, good, bad)
    assert error.value.reason is reason
    assert await results.list_results(lineage, Page(), test="", model="") == []


async def test_too_many_at_once_are_refused(lineage: Lineage, model: Model, test: ModelTest) -> None:
    result = given(test, model, 1.0)
    for call in (
        results.record_results(lineage, [result] * 1_001, None),
        results.find_results(lineage, [result.key] * 1_001),
    ):
        with pytest.raises(MGitError, match=r"At most 1000 .* at once; found 1001") as error:
            await call
        assert error.value.reason is ErrorReason.INVALID_ARGUMENT
    assert len(await record(lineage, *[result] * 1_000)) == 1_000
    assert len(await results.find_results(lineage, [result.key] * 1_000)) == 1_000


async def test_a_repeated_request_records_once(lineage: Lineage, model: Model, test: ModelTest) -> None:
    key = RequestKey(id="r", arguments_digest=b"a" * 32)
    wanted = [given(test, model, 1.0)]
    first = await results.record_results(lineage, wanted, key)
    assert await results.record_results(lineage, wanted, key) == first
    assert await results.list_results(lineage, Page(), test="", model="") == first


async def test_nothing_is_done_for_nothing(lineage: Lineage) -> None:
    assert await record(lineage) == await results.find_results(lineage, []) == []


@pytest.mark.parametrize(
    ("test_name", "model_name", "reason"),
    [
        ("none", "", ErrorReason.TEST_NOT_FOUND),
        (f"@{UNKNOWN_UID}", "", ErrorReason.TEST_NOT_FOUND),
        ("@t", "", ErrorReason.INVALID_REFERENCE),
        ("", "none", ErrorReason.MODEL_NOT_FOUND),
        ("", f"@{UNKNOWN_UID}", ErrorReason.MODEL_NOT_FOUND),
        ("", "m@prod", ErrorReason.TAG_NOT_FOUND),
        ("a b", "", ErrorReason.INVALID_NAME),
    ],
)
@pytest.mark.usefixtures("model")
async def test_results_of_nobody_are_refused(
    lineage: Lineage, test_name: str, model_name: str, reason: ErrorReason
) -> None:
    with pytest.raises(MGitError) as error:
        await results.list_results(lineage, Page(), test=test_name, model=model_name)
    assert error.value.reason is reason
