"""Neo4j and its twin in memory give the same answers."""

from __future__ import annotations

import pytest
from tests.neo4j_server import TestServer
from tests.stateful.lineage_twins import run_twins


@pytest.mark.slow
def test_neo4j_and_its_twin_give_the_same_answers(neo4j_server: TestServer) -> None:
    run_twins(neo4j_server, examples=10, steps=30)
