"""Laws of results of model tests: kept whole, judged when they are read, reused where nothing changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mgit_core.errors import (
    ConflictError,
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)
from mgit_core.lineage import Model, ModelState, RequestKey
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import ModelTest, ModelTestOutcome, ModelTestResult
from mgit_core.ports.graph import Lineage, Page
from mgit_core.ports.model_tests import ResultQuery
from mgit_storage.testing.lineage.steps import add, find, refused
from mgit_storage.testing.values import fresh_uid, make_model_test, make_result

__all__ = ["ResultLaws"]

_OTHER = b"o" * 32


def _key(name: str, content: int = 1) -> RequestKey:
    return RequestKey(id=name, arguments_digest=bytes([content]) * 32)


async def _setting(lineage: Lineage) -> tuple[Model, ModelTest]:
    return await add(lineage, "m"), await lineage.model_tests.register(make_model_test("t"))


async def _listed(lineage: Lineage, query: ResultQuery | None = None) -> list[ModelTestResult]:
    return await lineage.model_tests.results(query or ResultQuery(), Page())


def _uids(results: Iterable[ModelTestResult]) -> list[str]:
    return [result.uid for result in results]


class ResultLaws:
    """A value is kept and its judgement is not; what is kept is found again by what was tested with what."""

    async def test_a_result_is_kept_as_it_was_recorded(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        result = make_result(test, model, 0.1 + 0.2, seconds=1 / 3, at=1)
        key = replace(result.key, code_digest=b"c" * 32, inputs_digest=b"i" * 32)
        [kept] = await lineage.model_tests.record([replace(result, key=key)])
        assert kept.model is not None
        assert (kept.model.uid, kept.model.ref, kept.test_name) == (model.uid, "m@1", "t")
        wanted = replace(result, key=key, outcome=ModelTestOutcome.FAILED, test_name="t", model=kept.model)
        assert kept == wanted
        assert await _listed(lineage) == [kept]

    async def test_an_error_is_kept_and_is_no_value(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        [kept] = await lineage.model_tests.record([make_result(test, model, None, error="it hung")])
        assert (kept.value, kept.error, kept.outcome) == (None, "it hung", ModelTestOutcome.ERROR)
        assert await lineage.model_tests.reusable([kept.key]) == []

    async def test_a_result_is_judged_by_the_threshold_of_today(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        [kept] = await lineage.model_tests.record([make_result(test, model, 0.75)])
        judged: dict[ModelTestOutcome, dict[str, Any]] = {
            ModelTestOutcome.PASSED: {"threshold": 0.75},
            ModelTestOutcome.FAILED: {"threshold": 0.5, "direction": MetricDirection.LOWER},
            ModelTestOutcome.MEASURED: {"threshold": None},
        }
        for outcome, changed in judged.items():
            await lineage.model_tests.register(make_model_test("t", **changed), replace=True)
            assert await _listed(lineage) == [replace(kept, outcome=outcome)]
            assert await lineage.model_tests.reusable([kept.key]) == [replace(kept, outcome=outcome)]

    async def test_a_truth_value_is_judged_without_a_threshold(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        test = await lineage.model_tests.register(make_model_test("t", threshold=None))
        kept = await lineage.model_tests.record(
            [make_result(test, model, value, is_truth=True) for value in (1.0, 0.0)]
        )
        assert [result.outcome for result in kept] == [ModelTestOutcome.PASSED, ModelTestOutcome.FAILED]

    async def test_the_newest_value_of_a_key_is_reused(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        old, new, broken = (
            make_result(test, model, 0.25, at=1),
            make_result(test, model, 0.75, at=2),
            make_result(test, model, None, at=3),
        )
        for result in (new, broken, old):
            await lineage.model_tests.record([result])
        [found] = await lineage.model_tests.reusable([old.key])
        assert (found.uid, found.outcome) == (new.uid, ModelTestOutcome.PASSED)

    async def test_a_key_finds_only_what_agrees_in_all_of_it(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        other = await lineage.model_tests.register(make_model_test("other"))
        [kept] = await lineage.model_tests.record([make_result(test, model, 1.0)])
        strangers = [
            replace(kept.key, test_uid=other.uid),
            replace(kept.key, test_uid=fresh_uid()),
            replace(kept.key, code_digest=_OTHER),
            replace(kept.key, inputs_digest=_OTHER),
            replace(kept.key, parameters_digest=_OTHER),
        ]
        assert await lineage.model_tests.reusable(strangers) == []
        assert await lineage.model_tests.reusable([]) == []
        keys = [strangers[0], kept.key, strangers[3], kept.key]
        assert await lineage.model_tests.reusable(keys) == [kept, kept]

    async def test_keys_are_answered_in_their_order(self, lineage: Lineage) -> None:
        models = [await add(lineage, "m") for _ in range(4)]
        test = await lineage.model_tests.register(make_model_test("t"))
        kept = await lineage.model_tests.record([make_result(test, model, 1.0) for model in models])
        found = await lineage.model_tests.reusable([result.key for result in reversed(kept)])
        assert found == kept[::-1]

    async def test_models_with_one_parameter_set_share_results(self, lineage: Lineage) -> None:
        first, second = [await add(lineage, name, content="same") for name in ("one", "two")]
        test = await lineage.model_tests.register(make_model_test("t"))
        [kept] = await lineage.model_tests.record([make_result(test, first, 1.0)])
        assert await lineage.model_tests.reusable([make_result(test, second, 0.0).key]) == [kept]

    async def test_a_value_is_not_reused_when_its_test_measures_something_else(
        self, lineage: Lineage
    ) -> None:
        """A digest of code that nobody could take is empty before and after."""
        model, test = await _setting(lineage)
        [kept] = await lineage.model_tests.record([make_result(test, model, 1.0)])
        others: tuple[dict[str, Any], ...] = ({"code": "checks:loss"}, {"arguments": {"k": 2}})
        for changed in others:
            await lineage.model_tests.register(make_model_test("t", **changed), replace=True)
            assert await lineage.model_tests.reusable([kept.key]) == []
            assert _uids(await _listed(lineage)) == [kept.uid]
        await lineage.model_tests.register(make_model_test("t"), replace=True)
        assert await lineage.model_tests.reusable([kept.key]) == [kept]

    async def test_results_come_newest_first_in_pages(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        results = [make_result(test, model, 1.0, at=at) for at in (3, 1, 4, 0, 2, 1_000_000)]
        await lineage.model_tests.record(results)
        found: list[str] = []
        page = Page(size=4)
        while part := await lineage.model_tests.results(ResultQuery(), page):
            found += _uids(part)
            page = Page(size=4, after=part[-1].uid)
        assert found == _uids(sorted(results, key=lambda result: result.run_at, reverse=True))

    async def test_results_are_listed_by_test_and_by_model(self, lineage: Lineage) -> None:
        models = [await add(lineage, name) for name in ("a", "b")]
        tests = [await lineage.model_tests.register(make_model_test(name)) for name in ("t", "u")]
        kept = {
            (test.uid, model.uid): make_result(test, model, 1.0, at=at)
            for at, (test, model) in enumerate((test, model) for test in tests for model in models)
        }
        await lineage.model_tests.record(list(kept.values()))
        for test_uid in (None, tests[0].uid, fresh_uid()):
            for model_uid in (None, models[1].uid, fresh_uid()):
                wanted = [
                    result.uid
                    for key, result in reversed(kept.items())
                    if test_uid in (None, key[0]) and model_uid in (None, key[1])
                ]
                query = ResultQuery(test_uid=test_uid, model_uid=model_uid)
                assert _uids(await _listed(lineage, query)) == wanted

    async def test_results_outlive_test_and_model(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        [kept] = await lineage.model_tests.record([make_result(test, model, 1.0)])
        await lineage.model_tests.remove(test.uid)
        await lineage.models.remove(model.uid)
        assert (await find(lineage, "m@1")).state is ModelState.REMOVED
        [left] = await _listed(lineage, ResultQuery(test_uid=test.uid, model_uid=model.uid))
        assert kept.model is not None
        assert left == replace(kept, model=replace(kept.model, state=ModelState.REMOVED))
        assert await lineage.model_tests.reusable([kept.key]) == [left]

    async def test_a_deregistered_test_takes_what_was_running(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        await lineage.model_tests.remove(test.uid)
        [kept] = await lineage.model_tests.record([make_result(test, model, 1.0)])
        assert _uids(await _listed(lineage)) == [kept.uid]

    async def test_a_removed_model_takes_no_result(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        await add(lineage, "child", model)
        await lineage.models.remove(model.uid)
        with refused(FailedPreconditionError, ErrorReason.MODEL_REMOVED):
            await lineage.model_tests.record([make_result(test, model, 1.0)])
        assert await _listed(lineage) == []

    async def test_results_are_kept_all_or_none(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        good = make_result(test, model, 1.0)
        no_test = replace(good, uid=fresh_uid(), key=replace(good.key, test_uid=fresh_uid()))
        no_model = replace(good, uid=fresh_uid(), model_uid=fresh_uid())
        with refused(NotFoundError, ErrorReason.TEST_NOT_FOUND):
            await lineage.model_tests.record([good, no_test])
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.model_tests.record([good, no_model])
        assert await _listed(lineage) == []
        assert await lineage.model_tests.record([]) == []

    async def test_a_result_on_other_parameters_is_refused(self, lineage: Lineage) -> None:
        """It would be reused for models that were never tested."""
        model, test = await _setting(lineage)
        result = make_result(test, model, 1.0)
        with refused(InvalidArgumentError, ErrorReason.INVALID_TEST):
            await lineage.model_tests.record(
                [replace(result, key=replace(result.key, parameters_digest=_OTHER))]
            )

    async def test_a_record_request_returns_the_first_answer(self, lineage: Lineage) -> None:
        model, test = await _setting(lineage)
        first = await lineage.model_tests.record([make_result(test, model, 0.75)], _key("r"))
        await lineage.model_tests.register(make_model_test("t", threshold=1.0), replace=True)
        await lineage.models.remove(model.uid)
        again = make_result(test, model, 0.75)
        assert await lineage.model_tests.record([again], _key("r")) == first
        assert _uids(await _listed(lineage)) == _uids(first)
        with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
            await lineage.model_tests.record([again], _key("r", 2))

    async def test_recording_and_removing_at_once_leaves_no_result_of_a_removed_model(
        self, lineage: Lineage
    ) -> None:
        """Either the result came first, and the model left a tombstone; or it was refused."""
        test = await lineage.model_tests.register(make_model_test("t"))
        for _ in range(6):
            model = await add(lineage, "m")
            recorded, removed = await asyncio.gather(
                lineage.model_tests.record([make_result(test, model, 1.0)]),
                lineage.models.remove(model.uid),
                return_exceptions=True,
            )
            assert isinstance(removed, Model)
            left = _uids(await _listed(lineage, ResultQuery(model_uid=model.uid)))
            if isinstance(recorded, MGitError):
                assert recorded.reason in {ErrorReason.MODEL_REMOVED, ErrorReason.MODEL_NOT_FOUND}
                assert left == []
            else:
                assert (await find(lineage, model.ref)).state is ModelState.REMOVED
                assert len(left) == 1

    async def test_many_record_at_once(self, lineage: Lineage) -> None:
        models = [await add(lineage, f"m{at}") for at in range(4)]
        test = await lineage.model_tests.register(make_model_test("t"))
        batches = [
            [make_result(test, model, 1.0, at=at) for model in models[shift:] + models[:shift]]
            for at, shift in enumerate((0, 1, 2, 3, 0, 1))
        ]
        await asyncio.gather(*(lineage.model_tests.record(batch) for batch in batches))
        assert len(await _listed(lineage)) == 24
