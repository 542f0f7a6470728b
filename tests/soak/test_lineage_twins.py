"""Neo4j and its twin in memory, driven side by side for long."""

from __future__ import annotations

import pytest
from tests.neo4j_server import TestServer
from tests.stateful.lineage_twins import run_twins


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_neo4j_and_its_twin_give_the_same_answers_for_long(neo4j_server: TestServer) -> None:
    run_twins(neo4j_server, examples=300, steps=60)
