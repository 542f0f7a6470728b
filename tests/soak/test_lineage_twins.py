"""Neo4j and its twin in memory, driven side by side for long."""

from __future__ import annotations

import pytest
from tests.neo4j_server import TestServer
from tests.stateful.lineage_twins import LineageTwins, run_twins
from tests.stateful.whole_twins import WholeTwins


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("machine", "examples"), [(LineageTwins, 300), (WholeTwins, 150)])
def test_neo4j_and_its_twin_give_the_same_answers_for_long(
    neo4j_server: TestServer, machine: type[LineageTwins], examples: int
) -> None:
    run_twins(neo4j_server, examples=examples, steps=60, machine=machine)
