"""SIGKILL of the service at five fixed points of an ingest loses nothing and shows nothing half-done."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kill_series import KillSeries, Moment, after_acknowledgement, after_share, at_start
from tests.neo4j_server import TestServer, empty_graph

MOMENTS = {
    "at-the-start": at_start,
    "after-a-third": after_share(0.34),
    "after-two-thirds": after_share(0.67),
    "when-all-is-sent": after_share(1.0),
    "after-the-answer": after_acknowledgement,
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_service_keeps_what_it_acknowledged(
    neo4j_server: TestServer, tmp_path: Path, moment: Moment
) -> None:
    empty_graph(neo4j_server)
    series = KillSeries(neo4j_server, tmp_path)
    series.run("killed", moment)
    series.check_all()
