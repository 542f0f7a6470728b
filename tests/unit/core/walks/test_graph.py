from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.walks.graphs import make_model

from mgit_core.lineage import ModelState, ModelSummary
from mgit_core.walks.graph import WalkGraph, WalkModel


def test_models_are_counted_by_time_and_then_uid() -> None:
    models = [make_model(3, 1), make_model(2, 2), make_model(1, 2)]
    graph = WalkGraph.build(models, [70, 50, 60], [50, 60], [70, 50])
    assert [model.uid for model in graph.models] == ["m00003", "m00001", "m00002"]
    assert graph.numbers() == {"m00003": 0, "m00001": 1, "m00002": 2}
    assert graph.edges() == [("m00001", "m00002"), ("m00002", "m00003")]
    assert graph.newer.of(0) == [2]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40), st.integers(0, 6))
def test_edges_are_kept_once_and_both_ways(edges: list[tuple[int, int]], count: int) -> None:
    newer, older = [pair[0] for pair in edges], [pair[1] for pair in edges]
    models = [make_model(number, 0) for number in range(count)]
    graph = WalkGraph.build(models, range(count), newer, older)
    expected = sorted({pair for pair in edges if max(pair) < count and pair[0] != pair[1]})
    assert graph.edges() == [(models[one].uid, models[other].uid) for one, other in expected]
    for number in range(count):
        assert graph.newer.of(number) == [one for one, other in expected if other == number]


def test_a_graph_may_be_empty() -> None:
    graph = WalkGraph.build([], [], [1], [2])
    assert (graph.models, graph.edges(), graph.numbers()) == ([], [], {})


@given(st.datetimes(min_value=datetime(1960, 1, 1)), st.sampled_from(ModelState))  # noqa: DTZ001 - a bound
def test_a_row_keeps_a_summary_to_the_microsecond(moment: datetime, state: ModelState) -> None:
    summary = ModelSummary(uid="u", name="n", version=3, state=state, created_at=moment.replace(tzinfo=UTC))
    assert WalkModel.of(summary).summary() == summary
