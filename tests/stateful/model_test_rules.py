"""Rules that register model tests and record results."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.stateful.twins import NOBODY, Refused, Twins, models, requests

from mgit_core.lineage import Model, ModelCommit
from mgit_core.model_tests import ModelTest, ModelTestResult, ModelTestScope
from mgit_core.names import Reference
from mgit_core.ports.graph import Page
from mgit_core.ports.model_tests import ResultQuery
from mgit_storage.testing.values import make_commit, make_model_test, make_result

__all__ = ["TYPE", "ModelTestRules"]

TYPE = "bert"
_NAMES = ("t", "u", "T")
_SCOPES = (ModelTestScope.ALL, ModelTestScope.TYPE, ModelTestScope.MODEL, ModelTestScope.MODEL)


@dataclass(frozen=True)
class Definition:
    """A test before its model is known."""

    name: str
    scope: ModelTestScope
    model: int
    code: str
    threshold: float | None


@dataclass(frozen=True)
class Run:
    """Runs of one test on some models, all with one value; ``is_honest`` if on the parameters of the models."""

    test: int
    tested: list[int]
    value: float | None
    is_honest: bool


definitions = st.builds(
    Definition,
    name=st.sampled_from(_NAMES),
    scope=st.sampled_from(_SCOPES),
    model=models,
    code=st.sampled_from(("checks:one", "checks:two")),
    threshold=st.sampled_from((None, 0.25, 0.75)),
)
runs = st.builds(
    Run,
    test=models,
    tested=st.lists(models, min_size=1, max_size=3),
    value=st.sampled_from((None, 0.5, 1.0)),
    is_honest=st.sampled_from((True, True, True, False)),
)


class ModelTestRules(Twins):
    """Definitions, results, and the questions about both."""

    def __init__(self) -> None:
        super().__init__()
        self.tests: list[ModelTest] = []
        self.recorded = 0

    @rule(definition=definitions, is_replaced=st.booleans(), request=requests)
    def register_test(
        self,
        definition: Definition,
        is_replaced: bool,  # noqa: FBT001 - drawn
        request: int | None,
    ) -> None:
        scope = definition.scope
        test = make_model_test(
            definition.name,
            scope=scope,
            model_uid=self.uid(definition.model) if scope is ModelTestScope.MODEL else None,
            type=TYPE if scope is ModelTestScope.TYPE else None,
            code=definition.code,
            threshold=definition.threshold,
        )
        key = self.key(request, "register test", definition, is_replaced)
        answer = self.ask(
            lambda lineage: lineage.model_tests.register(test, replace=is_replaced, request=key)
        )
        if not isinstance(answer, Refused):
            self.tests.append(answer)

    def test(self, index: int) -> ModelTest:
        """One of the tests that were ever registered, often the last one; nobody's if there is none."""
        return self.tests[-1 - index % len(self.tests)] if self.tests else make_model_test("t", uid=NOBODY)

    @rule(index=models, request=requests)
    def deregister_test(self, index: int, request: int | None) -> None:
        uid = self.test(index).uid
        self.ask(lambda lineage: lineage.model_tests.remove(uid, self.key(request, "deregister", uid)))

    @rule(run=runs, request=requests)
    def record_results(self, run: Run, request: int | None) -> None:
        results = [self._result(run, self.uid(index)) for index in run.tested]
        key = self.key(request, "record", run)
        self.ask(lambda lineage: lineage.model_tests.record(results, key))
        keys = [result.key for result in results]
        self.ask(lambda lineage: lineage.model_tests.reusable(keys))

    def _result(self, run: Run, uid: str) -> ModelTestResult:
        self.recorded += 1
        return make_result(self.test(run.test), self._tested(run, uid), run.value, at=self.recorded)

    def _tested(self, run: Run, uid: str) -> Model | ModelCommit:
        """The model with its own parameters, or with others where it has none or they are not told."""
        answer = self.ask(lambda lineage: lineage.models.get(Reference(uid=uid)))
        if run.is_honest and isinstance(answer, Model) and answer.parameters is not None:
            return answer
        return replace(make_commit("m"), uid=uid)

    @rule(index=models, model=models, size=st.integers(min_value=1, max_value=4))
    def look_up_tests(self, index: int, model: int, size: int) -> None:
        uid, test_uid = self.uid(model), self.test(index).uid
        self.ask(lambda lineage: lineage.model_tests.applicable([uid]))
        self.ask(lambda lineage: lineage.model_tests.get(f"@{test_uid}"))
        self.ask(lambda lineage: lineage.model_tests.get("t"))
        self.ask(lambda lineage: lineage.model_tests.list_page(Page(size=size)))
        for query in (
            ResultQuery(),
            ResultQuery(model_uid=uid),
            ResultQuery(test_uid=test_uid),
            ResultQuery(test_uid=test_uid, model_uid=uid),
        ):
            self.ask(lambda lineage, query=query: lineage.model_tests.results(query, Page(size=size)))  # type: ignore[misc]
