"""SIGKILL of the service at fifty random moments of an ingest, over one store and one graph."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kill_series import KillSeries, Moment, after_acknowledgement
from tests.neo4j_server import TestServer, empty_graph

KILLS = 50
SEED = 20260101


def at_random(generator: random.Random, longest_s: float) -> Moment:
    """A random time after the client began."""
    delay_s = generator.uniform(0, longest_s)

    def wait(lines: Iterator[str]) -> list[str]:
        first = next(lines)
        threading.Event().wait(delay_s)
        return [first]

    return wait


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_kills_at_random_moments(neo4j_server: TestServer, tmp_path: Path) -> None:
    empty_graph(neo4j_server)
    series = KillSeries(neo4j_server, tmp_path)
    start = time.monotonic()
    series.run("undisturbed", after_acknowledgement)
    longest_s = min(time.monotonic() - start, 5.0)
    generator = random.Random(SEED)
    for number in range(KILLS):
        series.run(f"killed-{number}", at_random(generator, longest_s))
    series.check_all()
