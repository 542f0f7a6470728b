"""Laws of facts about many models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mgit_core.facts import ModelFacts
from mgit_core.lineage import Dataset, Model
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    ModelTest,
    ModelTestKind,
    ModelTestOutcome,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
    make_result_uid,
)
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.steps import add
from mgit_storage.testing.values import fresh_uid, make_commit, make_loss

__all__ = ["FactLaws", "facts_of"]


_START = datetime(2026, 3, 1, tzinfo=UTC)
_JUDGED: dict[str, dict[str, Any]] = {
    "good": {"threshold": 0.5},
    "bad": {"threshold": 0.5},
    "low": {"threshold": 0.5, "direction": MetricDirection.LOWER},
    "kept": {},
    "true": {},
    "broken": {"threshold": 0.5},
    "gone": {"threshold": 0.5},
}


def _test(name: str, **judged: Any) -> ModelTest:
    return ModelTest(
        uid=fresh_uid(),
        name=name,
        scope=ModelTestScope.ALL,
        kind=ModelTestKind.COMMAND,
        code="true",
        metric="share",
        created_at=_START,
        updated_at=_START,
        **judged,
    )


def _result(test: ModelTest, model: Model, value: float | None, *, at: int) -> ModelTestResult:
    """A result, ``at`` microseconds after the others; of the test named so a truth value."""
    assert model.parameters is not None
    run_at = _START + timedelta(microseconds=at)
    return ModelTestResult(
        key=ResultKey(
            test_uid=test.uid,
            code_digest=b"",
            inputs_digest=b"",
            parameters_digest=model.parameters.digest,
        ),
        model_uid=model.uid,
        value=value,
        is_truth=test.name == "true",
        outcome=ModelTestOutcome.MEASURED,
        error="" if value is not None else "it raised",
        run_at=run_at,
        seconds=0.1,
        uid=make_result_uid(run_at, os.urandom(8)),
    )


async def facts_of(lineage: Lineage, uids: Sequence[str]) -> list[ModelFacts]:
    """Facts about the models, their slices joined."""
    return [each async for part in lineage.facts.of_models(uids) for each in part]


class FactLaws:
    """Facts tell of each model what describing it alone tells."""

    async def test_facts_tell_what_the_model_tells(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        commit = replace(
            make_commit("rich"),
            type="encoder",
            metadata={"license": "mit", "accuracy": 0.5, "epochs": 3, "is_final": True, "a.b": "dotted"},
            datasets=(Dataset(name="glue", version="2"), Dataset(name="glue"), Dataset(name="docs")),
            loss=make_loss(base.uid),
        )
        rich = (await lineage.models.commit(commit)).model
        for tag in ("prod", "best"):
            await lineage.tags.put(rich.uid, tag)
        assert rich.parameters is not None
        assert await facts_of(lineage, [rich.uid]) == [
            ModelFacts(
                uid=rich.uid,
                type="encoder",
                metadata={"a.b": "dotted", "accuracy": 0.5, "epochs": 3, "is_final": True, "license": "mit"},
                tags=("best", "prod"),
                size_bytes=rich.parameters.size_bytes,
                datasets=(Dataset(name="docs"), Dataset(name="glue"), Dataset(name="glue", version="2")),
            )
        ]

    async def test_facts_come_in_the_order_of_the_question_each_model_once(self, lineage: Lineage) -> None:
        models = [await add(lineage, name) for name in "abc"]
        asked = [models[2].uid, models[0].uid, fresh_uid(), models[2].uid, models[1].uid]
        found = await facts_of(lineage, asked)
        assert [each.uid for each in found] == [models[number].uid for number in (2, 0, 1)]
        assert await facts_of(lineage, []) == []

    async def test_a_removed_model_keeps_its_metadata_and_has_no_bytes(self, lineage: Lineage) -> None:
        gone = (await lineage.models.commit(replace(make_commit("gone"), metadata={"license": "mit"}))).model
        await lineage.tags.put(gone.uid, "prod")
        await add(lineage, "child", gone)
        await lineage.models.remove(gone.uid)
        assert await facts_of(lineage, [gone.uid]) == [ModelFacts(uid=gone.uid, metadata={"license": "mit"})]

    async def test_the_newest_result_of_each_registered_test_counts(self, lineage: Lineage) -> None:
        model, other = await add(lineage, "m"), await add(lineage, "other")
        tests = {
            name: await lineage.model_tests.register(_test(name, **judged))
            for name, judged in _JUDGED.items()
        }
        values = (
            ("good", 0.4, 0.9),
            ("bad", 0.9, 0.4),
            ("low", 0.9, 0.4),
            ("kept", 0.1, 0.2),
            ("true", 0.0, 1.0),
            ("broken", 0.9, None),
            ("gone", 0.9, 0.4),
        )
        results = [
            _result(tests[name], model, value, at=position)
            for name, *both in values
            for position, value in enumerate(both)
        ]
        await lineage.model_tests.record(results)
        await lineage.model_tests.remove(tests["gone"].uid)
        [found, none] = await facts_of(lineage, [model.uid, other.uid])
        assert found.passed_tests == ("good", "low", "true")
        assert found.failed_tests == ("bad", "broken")
        assert (none.passed_tests, none.failed_tests) == ((), ())

    async def test_another_threshold_judges_anew(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        test = _test("accuracy", threshold=0.5)
        registered = await lineage.model_tests.register(test)
        await lineage.model_tests.record([_result(registered, model, 0.7, at=0)])
        [before] = await facts_of(lineage, [model.uid])
        await lineage.model_tests.register(replace(test, threshold=0.8), replace=True)
        [after] = await facts_of(lineage, [model.uid])
        assert (before.passed_tests, before.failed_tests) == (("accuracy",), ())
        assert (after.passed_tests, after.failed_tests) == ((), ("accuracy",))

    async def test_more_models_than_one_slice_are_told_whole(self, lineage: Lineage) -> None:
        made = await lineage.models.commit_batch([make_commit(f"m-{number}") for number in range(600)])
        uids = [each.model.uid for each in made]
        assert [each.uid for each in await facts_of(lineage, uids)] == uids
