"""SIGKILL of the service at five fixed points of each of its works loses nothing and shows nothing half-done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.kill_series import (
    FolderChanges,
    KillSeries,
    Moment,
    Work,
    adding,
    after_share,
    at_start,
    at_the_end,
    collecting,
    repacking,
)
from tests.neo4j_server import TestServer, empty_graph

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]

SMALL = 4


def moments_of_ingest() -> list[Moment]:
    return [at_start, after_share(0.34), after_share(0.67), after_share(1.0), at_the_end]


def moments_of_repack() -> list[Moment]:
    """The new index is there before an old one goes, and that before an old pack does."""
    return [
        at_start,
        FolderChanges("indexes", came=1),
        FolderChanges("indexes", went=1),
        FolderChanges("packs", went=1),
        at_the_end,
    ]


def moments_of_collection() -> list[Moment]:
    """The list is there before an old index goes, and that before an old pack does."""
    return [
        FolderChanges("condemned", came=1),
        FolderChanges("indexes", came=1),
        FolderChanges("indexes", went=1),
        FolderChanges("packs", went=1),
        at_the_end,
    ]


def kill_at_each(
    series: KillSeries, works: Callable[[int], Sequence[Work]], moments: Sequence[Moment]
) -> None:
    """A base and a relative, and before each kill a further one that is removed again."""
    series.add("base")
    series.add("relative", "base")
    for number, moment in enumerate(moments):
        series.add(f"gone-{number}", "base")
        series.remove(f"gone-{number}")
        series.run(works(number), moment)
    series.finish_maintenance()


@pytest.fixture
def series(neo4j_server: TestServer, tmp_path: Path) -> KillSeries:
    empty_graph(neo4j_server)
    return KillSeries(neo4j_server, tmp_path, tensors=SMALL)


def test_a_killed_ingest_keeps_what_was_acknowledged(series: KillSeries) -> None:
    with series:
        kill_at_each(series, lambda number: [adding(f"new-{number}")], moments_of_ingest())


def test_a_killed_repack_loses_nothing(series: KillSeries) -> None:
    with series:
        kill_at_each(series, lambda _: [repacking], moments_of_repack())


def test_a_killed_collection_loses_nothing_and_is_finished_by_the_next(series: KillSeries) -> None:
    with series:
        kill_at_each(series, lambda _: [collecting], moments_of_collection())


def test_a_kill_during_ingest_and_repack_loses_nothing(series: KillSeries) -> None:
    with series:
        kill_at_each(series, lambda number: [repacking, adding(f"new-{number}")], moments_of_repack())


def test_a_kill_during_ingest_and_collection_loses_nothing(series: KillSeries) -> None:
    with series:
        kill_at_each(series, lambda number: [adding(f"new-{number}"), collecting], moments_of_collection())
