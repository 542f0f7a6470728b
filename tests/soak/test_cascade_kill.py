"""SIGKILL of client, worker or service at fifty random moments of updates of one family."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.cascade_kills import CascadeSeries, after_seconds
from tests.neo4j_server import TestServer, empty_graph

KILLS = 50
SEED = 20260202


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_kills_at_random_moments_of_updates(neo4j_server: TestServer, tmp_path: Path) -> None:
    empty_graph(neo4j_server)
    generator = random.Random(SEED)
    with CascadeSeries(neo4j_server, tmp_path) as series:
        longest_s = series.run("client", lambda attack: attack.is_over)
        for _ in range(KILLS):
            victim = generator.choice(("client", "worker", "service"))
            series.run(victim, after_seconds(generator.uniform(0, longest_s)))
