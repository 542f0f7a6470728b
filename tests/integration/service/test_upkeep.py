"""The upkeep of a real service over a real graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import neo4j
import numpy as np
import pytest
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import run_service, wait_until
from tests.uploads import add


@pytest.fixture
def empty_server(neo4j_server: TestServer) -> Iterator[TestServer]:
    empty_graph(neo4j_server)
    yield neo4j_server
    empty_graph(neo4j_server)


def sketched(server: TestServer) -> int:
    with neo4j.GraphDatabase.driver(server.uri, auth=(server.username, server.password)) as driver:
        found = driver.execute_query(
            "MATCH (p:ParameterSet) WHERE p.unsketched IS NULL RETURN count(p) AS sets"
        )
    return int(found.records[0]["sets"])


@pytest.mark.slow
def test_a_service_makes_sketches_after_commits_and_stops_quickly(
    empty_server: TestServer, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with run_service(empty_server, store, MGIT_UPKEEP="on") as service, service.stubs() as stubs:
        random = np.random.default_rng(0)
        for name in ("a", "b"):
            add(stubs, name, tensors={"weight": random.normal(0, 1, (64, 64)).astype(np.float32)})
        wait_until(lambda: sketched(empty_server) == 2, "both models have sketches")
        assert service.stop() == 0
        assert not [line for line in service.log_lines() if "upkeep" in line["message"]]
    assert len(list((store / "sketches").iterdir())) == 2


@pytest.mark.slow
def test_a_service_with_upkeep_turned_off_makes_none(empty_server: TestServer, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with run_service(empty_server, store, MGIT_UPKEEP="off") as service, service.stubs() as stubs:
        add(stubs, "a")
    assert sketched(empty_server) == 0
    assert not (store / "sketches").exists()
