"""Model tests and their results in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed

from mgit_core.lineage import RequestKey
from mgit_core.model_tests import (
    ApplicableTests,
    ModelTest,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
    judge,
    measurement_digest,
    redefined,
)
from mgit_core.ports.model_tests import ModelTests, ResultQuery
from mgit_core.ports.paging import Page
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.state import MemoryGraph, State, summary_of

__all__ = ["MemoryModelTests", "judged"]


class MemoryModelTests(ModelTests):
    """Tests and results."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def register(
        self, test: ModelTest, *, replace: bool = False, request: RequestKey | None = None
    ) -> ModelTest:
        return self._graph.write(lambda state: _register(state, test, is_replaced=replace), request)[0]

    async def remove(self, uid: str, request: RequestKey | None = None) -> ModelTest:
        return self._graph.write(lambda state: _remove(state, uid), request)[0]

    async def get(self, name_or_uid: str) -> ModelTest:
        state = self._graph.state
        if name_or_uid.startswith("@"):
            found = state.tests.get(name_or_uid[1:])
        else:
            found = _registered(state).get(name_or_uid.lower())
        if found is None:
            raise checks.test_not_found(name_or_uid)
        return _described(state, found)

    async def list_page(self, page: Page) -> list[ModelTest]:
        state = self._graph.state
        registered = _registered(state)
        found = [registered[name] for name in sorted(registered) if name > (page.after or "").lower()]
        return [_described(state, test) for test in found[: page.size]]

    async def applicable(self, model_uids: Sequence[str]) -> list[ApplicableTests]:
        state = self._graph.state
        models = [state.testable(uid) for uid in dict.fromkeys(model_uids)]
        registered = _registered(state)
        return [
            ApplicableTests(
                model=summary_of(model),
                parameters_digest=model.parameters.digest,
                tests=tuple(
                    _described(state, registered[name])
                    for name in sorted(registered)
                    if _applies(registered[name], model.uid, model.type)
                ),
            )
            for model in models
            if model.parameters is not None and state.sets[model.parameters.digest].promised_by is None
        ]

    async def record(
        self, results: Sequence[ModelTestResult], request: RequestKey | None = None
    ) -> list[ModelTestResult]:
        return self._graph.write(lambda state: _record(state, results), request)[0]

    async def reusable(self, keys: Sequence[ResultKey]) -> list[ModelTestResult]:
        state = self._graph.state
        newest: dict[ResultKey, ModelTestResult] = {}
        for uid in sorted(state.results):
            result = state.results[uid]
            is_same = state.measurements[uid] == measurement_digest(state.tests[result.key.test_uid])
            if result.value is not None and is_same:
                newest[result.key] = result
        return [judged(state, newest[key]) for key in keys if key in newest]

    async def results(self, query: ResultQuery, page: Page) -> list[ModelTestResult]:
        state = self._graph.state
        found = [
            state.results[uid]
            for uid in sorted(state.results, reverse=True)
            if (page.after is None or uid < page.after)
            and query.test_uid in (None, state.results[uid].key.test_uid)
            and query.model_uid in (None, state.results[uid].model_uid)
            and (query.model_uid is not None or state.results[uid].model_uid not in state.staged)
        ]
        return [judged(state, result) for result in found[: page.size]]


def _registered(state: State) -> dict[str, ModelTest]:
    """Registered tests by name in lower case."""
    return {test.name.lower(): test for test in state.tests.values() if not test.is_removed}


def _applies(test: ModelTest, model_uid: str, type_name: str | None) -> bool:
    return {
        ModelTestScope.MODEL: test.model_uid == model_uid,
        ModelTestScope.TYPE: test.type == type_name,
        ModelTestScope.ALL: True,
    }[test.scope]


def _described(state: State, test: ModelTest) -> ModelTest:
    return test if test.model_uid is None else changed(test, model_ref=state.models[test.model_uid].ref)


def _register(state: State, test: ModelTest, *, is_replaced: bool) -> ModelTest:
    if test.model_uid is not None:
        checks.check_present(state.model(test.model_uid))
    known = _registered(state).get(test.name.lower())
    if known is not None:
        if not is_replaced:
            raise checks.test_exists(known.name)
        test = redefined(known, changed(test, model_ref=known.model_ref))
    state.tests[test.uid] = test
    return _described(state, test)


def _remove(state: State, uid: str) -> ModelTest:
    if uid not in state.tests:
        raise checks.test_not_found(f"@{uid}")
    before = state.tests[uid]
    state.tests[uid] = changed(before, is_removed=True)
    return _described(state, before)


def _record(state: State, results: Sequence[ModelTestResult]) -> list[ModelTestResult]:
    models = [state.testable(uid) for uid in sorted({result.model_uid for result in results})]
    for model in models:
        checks.check_present(model)
    for result in results:
        parameters = state.testable(result.model_uid).parameters
        if parameters is not None:
            checks.check_tested_parameters(result, parameters.digest.hex())
    for result in results:
        if result.key.test_uid not in state.tests:
            raise checks.test_not_found(f"@{result.key.test_uid}")
        state.results[result.uid] = result
        state.measurements[result.uid] = measurement_digest(state.tests[result.key.test_uid])
    return [judged(state, result) for result in results]


def judged(state: State, result: ModelTestResult) -> ModelTestResult:
    """The result with what is known of its test and its model now."""
    test = state.tests[result.key.test_uid]
    return changed(
        result,
        test_name=test.name,
        model=summary_of(state.testable(result.model_uid)),
        outcome=judge(test, result.value, is_truth=result.is_truth),
    )
