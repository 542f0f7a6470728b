"""SIGKILL of client, worker and service at five fixed points of an update: it is resumed, and nothing is made twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cascade_kills import CascadeSeries, when_made, when_sent, when_staged
from tests.neo4j_server import TestServer, empty_graph

pytestmark = [pytest.mark.slow, pytest.mark.neo4j, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def series(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CascadeSeries]:
    """One family, whose versions grow with each test."""
    empty_graph(neo4j_server)
    with CascadeSeries(neo4j_server, tmp_path_factory.mktemp("cascade")) as running:
        yield running
    empty_graph(neo4j_server)


def test_a_client_that_dies_while_models_are_made_is_followed_by_another(series: CascadeSeries) -> None:
    series.run("client", when_made("left", "right"), "left", "right")


def test_a_client_that_dies_while_it_sends_a_model_is_followed_by_another(series: CascadeSeries) -> None:
    series.run("client", when_sent)


def test_a_client_that_dies_while_tests_run_makes_no_model_twice(series: CascadeSeries) -> None:
    series.run("client", when_staged, "test")


def test_the_step_of_a_worker_that_dies_is_made_by_another(series: CascadeSeries) -> None:
    series.run("worker", when_made("left", "right"), "left", "right")


def test_an_update_outlasts_the_death_of_the_service(series: CascadeSeries) -> None:
    series.run("service", when_made("left", "right"), "left", "right")
