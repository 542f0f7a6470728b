"""Neo4j and its twin in memory give the same answers about tests and results, asked about little else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.neo4j_server import TestServer
from tests.stateful.lineage_twins import run_twins
from tests.stateful.model_test_rules import TYPE, Definition, ModelTestRules, Run
from tests.stateful.twins import Refused, models

from mgit_core.model_tests import ModelTestScope
from mgit_storage.testing.values import make_commit


class ModelTestTwins(ModelTestRules):
    """A few models that come and go under many tests."""

    @initialize()
    def begin(self) -> None:
        """A test of each scope, each with results, so that most of what is drawn next concerns one."""
        for type_name in (TYPE, None, TYPE):
            self.commit(type_name, "x")
        for name, scope in (
            ("t", ModelTestScope.ALL),
            ("u", ModelTestScope.TYPE),
            ("v", ModelTestScope.MODEL),
        ):
            drawn = Definition(name=name, scope=scope, model=1, code="checks:one", threshold=0.75)
            self.register_test(definition=drawn, is_replaced=False, request=None)  # type: ignore[call-arg]
            for value in (0.5, 1.0):
                run = Run(test=0, tested=[0, 1], value=value, is_honest=True)
                self.record_results(run=run, request=None)  # type: ignore[call-arg]

    @rule(type_name=st.sampled_from((None, TYPE)), content=st.sampled_from(("x", "y")))
    def commit(self, type_name: str | None, content: str) -> None:
        commit = replace(make_commit("m", content=content), type=type_name)
        answer = self.ask(lambda lineage: lineage.models.commit(commit))
        assert not isinstance(answer, Refused)
        self.uids.append(answer.model.uid)

    @rule(model=models)
    def remove(self, model: int) -> None:
        self.ask(lambda lineage: lineage.models.remove(self.uid(model)))


@pytest.mark.slow
def test_neo4j_and_its_twin_give_the_same_answers_about_tests(neo4j_server: TestServer) -> None:
    run_twins(neo4j_server, examples=10, steps=25, machine=ModelTestTwins)
