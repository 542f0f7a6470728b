"""Neo4j and its twin in memory give the same answers about models and records that come from another store."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.neo4j_server import TestServer
from tests.stateful.exchange_rules import ExchangeRules
from tests.stateful.lineage_twins import run_twins
from tests.stateful.twins import Refused, models

from mgit_core.lineage import ParentLink
from mgit_core.ports.graph import Page
from mgit_storage.testing.values import make_commit


class ExchangeTwins(ExchangeRules):
    """A small family that gets relatives from elsewhere."""

    @initialize()
    def begin(self) -> None:
        base = make_commit("a", content="x")
        for commit in (base, make_commit("b", ParentLink(parent_uid=base.uid)), make_commit("a")):
            self.commit_one(commit)

    def commit_one(self, commit: object) -> None:
        answer = self.ask(lambda lineage: lineage.models.commit(commit))  # type: ignore[arg-type]
        if not isinstance(answer, Refused):
            self.uids.append(answer.model.uid)

    @rule(name=st.sampled_from(("a", "b")), content=st.sampled_from(("x", "y", "z")), parent=models)
    def commit(self, name: str, content: str, parent: int) -> None:
        self.commit_one(make_commit(name, ParentLink(parent_uid=self.uid(parent)), content=content))

    @rule(model=models)
    def remove(self, model: int) -> None:
        self.ask(lambda lineage: lineage.models.remove(self.uid(model)))

    @rule()
    def look(self) -> None:
        self.ask(lambda lineage: lineage.models.list_latest(Page()))
        self.ask(lambda lineage: lineage.content.parameter_sets(Page()))
        self.ask(lambda lineage: lineage.content.counts())
        self.ask(lambda lineage: lineage.sketches.lacking(Page()))
        self.ask(lambda lineage: lineage.traversal.lineage([], max_models=1_000))


@pytest.mark.slow
def test_neo4j_and_its_twin_agree_about_another_store(neo4j_server: TestServer) -> None:
    run_twins(neo4j_server, examples=4, steps=15, machine=ExchangeTwins)
