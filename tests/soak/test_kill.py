"""SIGKILL of the service at fifty random moments of each of its works, over one store and one graph."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.kill_series import (
    KillSeries,
    Work,
    adding,
    after_seconds,
    at_the_end,
    collecting,
    repacking,
)
from tests.neo4j_server import TestServer, empty_graph

KILLS = 50
SEED = 20260101

WORKS: dict[str, Callable[[str], Sequence[Work]]] = {
    "ingest": lambda name: [adding(name)],
    "repack": lambda _: [repacking],
    "collection": lambda _: [collecting],
    "ingest and repack": lambda name: [repacking, adding(name)],
    "ingest and collection": lambda name: [adding(name), collecting],
    "repack and collection": lambda _: [repacking, collecting],
}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("works", WORKS.values(), ids=WORKS)
def test_fifty_kills_at_random_moments(
    neo4j_server: TestServer, tmp_path: Path, works: Callable[[str], Sequence[Work]]
) -> None:
    empty_graph(neo4j_server)
    generator = random.Random(SEED)
    with KillSeries(neo4j_server, tmp_path) as series:
        series.add("base")
        series.add("gone", "base")
        series.remove("gone")
        longest_s = series.run(works("undisturbed"), at_the_end)
        for number in range(KILLS):
            series.add(f"kept-{number}", "base")
            series.add(f"gone-{number}", "base")
            series.remove(f"gone-{number}")
            series.run(works(f"killed-{number}"), after_seconds(generator.uniform(0, longest_s)))
        series.finish_maintenance()
