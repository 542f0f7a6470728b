"""Neo4j and its twin in memory give the same answers about staged models and cascades, asked about little else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from tests.neo4j_server import TestServer
from tests.stateful.cascade_rules import CascadeRules, Creation
from tests.stateful.lineage_twins import run_twins
from tests.stateful.twins import Refused, models

from mgit_core.cascade.values import PublishMode
from mgit_storage.testing.values import make_commit


class CascadeTwins(CascadeRules):
    """A family with two bases, the second of which follows the first, under several updates."""

    @initialize(publish=st.sampled_from(PublishMode))
    def begin(self, publish: PublishMode) -> None:
        """A diamond below the first base, and an update that began, so that most of what is drawn concerns it."""
        self.commit("base")
        for name, parents in (("a", (0,)), ("b", (0,)), ("c/d", (1, 2))):
            self.create(drawn=Creation(name=name, content="x", parents=parents, group="", base=None))  # type: ignore[call-arg]
        self.commit("base")
        self.start(old=0, new=4, publish=publish, stops=True, request=None)  # type: ignore[call-arg]
        self.lease(index=0)  # type: ignore[call-arg]

    @rule(name=st.sampled_from(("base", "a", "b")))
    def commit(self, name: str) -> None:
        commit = replace(make_commit(name, content="plain"), epoch=self.epoch)
        answer = self.ask(lambda lineage: lineage.models.commit(commit))
        assert not isinstance(answer, Refused)
        self.uids.append(answer.model.uid)

    @rule(model=models)
    def remove(self, model: int) -> None:
        self.ask(lambda lineage: lineage.models.remove(self.uid(model)))


@pytest.mark.slow
def test_neo4j_and_its_twin_give_the_same_answers_about_cascades(neo4j_server: TestServer) -> None:
    run_twins(neo4j_server, examples=8, steps=30, machine=CascadeTwins)
