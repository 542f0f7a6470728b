"""Graphs to bisect: order, reach, and what no lineage is."""

from __future__ import annotations

from datetime import UTC, datetime

import networkx as nx
import pytest
from bench.bisect_graphs import make_graph, random_dag

from mgit_core.bisect import BisectModel, build_graph
from mgit_core.bisect.splitting import count_splits
from mgit_core.errors import ConflictError, ErrorReason, FailedPreconditionError

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def model(uid: str, *parents: str, minute: int = 0) -> BisectModel:
    moment = _BEGIN.replace(minute=minute)
    return BisectModel(uid=uid, ref=f"{uid}@1", created_at=moment, parents=parents)


def test_parents_come_before_children_whenever_they_were_made() -> None:
    graph = build_graph([model("child", "parent"), model("parent", minute=9)])

    assert [each.uid for each in graph.models] == ["parent", "child"]
    assert graph.by_age([0, 1]) == [1, 0]


def test_of_equally_old_models_the_one_of_the_lesser_uid_comes_first() -> None:
    graph = build_graph([model("b"), model("c"), model("a")])

    assert [each.uid for each in graph.models] == ["a", "b", "c"]


def test_edge_of_two_kinds_counts_once_and_parents_elsewhere_are_left_out() -> None:
    graph = build_graph([model("base"), model("child", "base", "base", "elsewhere", minute=1)])

    assert graph.parents == ((), (0,))
    assert graph.children == ((1,), ())


def test_edges_that_go_round_are_told() -> None:
    with pytest.raises(
        ConflictError, match="4 models reach themselves or come from such, a@1 among"
    ) as raised:
        build_graph(
            [model("free"), model("a", "c"), model("b", "a"), model("c", "b"), model("below", "c", minute=1)]
        )

    assert raised.value.reason is ErrorReason.CYCLE


def test_no_models_are_nothing_to_bisect() -> None:
    with pytest.raises(FailedPreconditionError) as raised:
        build_graph([])

    assert raised.value.reason is ErrorReason.NOTHING_TO_BISECT


@pytest.mark.parametrize("seed", range(0, 1000, 40))
def test_reach_and_splits_are_those_of_an_independent_library(seed: int) -> None:
    graph = make_graph(random_dag(seed))
    other = nx.DiGraph()
    other.add_nodes_from(range(len(graph)))
    other.add_edges_from((parent, child) for child, parents in enumerate(graph.parents) for parent in parents)
    splits = count_splits(graph, range(len(graph)), range(len(graph)))

    assert splits.possibilities == len(graph) + 1
    for number in range(len(graph)):
        ancestors = nx.ancestors(other, number) | {number}
        assert graph.ancestors([number]) == ancestors
        assert graph.descendants([number]) == nx.descendants(other, number) | {number}
        assert splits.if_bad[number] == len(ancestors)
