"""Walks against networkx, on random graphs without cycles whose numbers do not follow the edges."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.walks.graphs import Case, cases, make_graph, stacked_diamonds

from mgit_core.errors import ConflictError, ErrorReason
from mgit_core.walks.question import WalkDirection, WalkOrder
from mgit_core.walks.walking import Step, WalkPlan, default_starts, walk

ALONG = {
    (WalkOrder.PARENTS_FIRST, WalkDirection.DESCENDANTS),
    (WalkOrder.CHILDREN_FIRST, WalkDirection.ANCESTORS),
}
SORTED = (WalkOrder.PARENTS_FIRST, WalkOrder.CHILDREN_FIRST)

directions = st.sampled_from(WalkDirection)
orders = st.sampled_from(WalkOrder)


def plan_of(case: Case, direction: WalkDirection, order: WalkOrder) -> WalkPlan:
    return WalkPlan(
        starts=case.starts,
        direction=direction,
        order=order,
        max_depth=case.max_depth,
        skips=case.skipped.__contains__,
        stops=case.stopped.__contains__,
    )


def numbers(case: Case, direction: WalkDirection, order: WalkOrder) -> list[int]:
    return [step.number for step in walk(case.graph, plan_of(case, direction, order))]


def shown(numbers: list[int], case: Case) -> list[int]:
    return [number for number in numbers if number not in case.skipped]


@given(cases(), directions, orders)
def test_every_order_gives_what_is_reached_once_with_its_hops(
    case: Case, direction: WalkDirection, order: WalkOrder
) -> None:
    found = list(walk(case.graph, plan_of(case, direction, order)))
    hops = case.hops(direction)
    expected = set(case.passable(direction)) - case.skipped
    assert sorted(found) == [Step(number, hops[number]) for number in sorted(expected)]


@given(cases(), directions)
def test_breadth_first_comes_in_rounds_each_sorted(case: Case, direction: WalkDirection) -> None:
    graph = case.passable(direction)
    rounds = nx.bfs_layers(graph, [start for start in case.starts if start in graph])
    expected = [number for layer in rounds for number in sorted(layer)]
    assert numbers(case, direction, WalkOrder.BREADTH_FIRST) == shown(expected, case)


@given(cases(), directions)
def test_depth_first_is_the_preorder_of_sorted_branches(case: Case, direction: WalkDirection) -> None:
    graph = case.passable(direction)
    graph.add_edges_from([(-1, start) for start in case.starts if start in graph])
    _, *expected = nx.dfs_preorder_nodes(graph, -1, sort_neighbors=sorted) if -1 in graph else [-1]
    assert numbers(case, direction, WalkOrder.DEPTH_FIRST) == shown(expected, case)


@given(cases(), directions, st.sampled_from(SORTED))
def test_relatives_within_the_walk_come_in_order(
    case: Case, direction: WalkDirection, order: WalkOrder
) -> None:
    """Also those with skipped models between them."""
    place = {number: at for at, number in enumerate(numbers(case, direction, order))}
    passable = set(case.passable(direction))
    edges: nx.DiGraph[int] = nx.DiGraph(
        (newer, older) for newer, older in case.edges if {newer, older} <= passable
    )
    for newer in edges:
        for older in nx.descendants(edges, newer):
            if newer in place and older in place:
                assert (place[older] < place[newer]) == (order is WalkOrder.PARENTS_FIRST)


@given(cases(), directions)
def test_children_first_without_stops_is_an_order_of_its_own_and_whole(
    case: Case, direction: WalkDirection
) -> None:
    bare = Case(case.count, case.edges, case.starts, frozenset(), frozenset(), case.max_depth)
    found = {order: numbers(bare, direction, order) for order in WalkOrder}
    assert {frozenset(each) for each in found.values()} == {frozenset(bare.hops(direction))}


@given(cases(), directions, orders)
def test_each_question_is_asked_once_and_only_of_what_is_reached(
    case: Case, direction: WalkDirection, order: WalkOrder
) -> None:
    asked: dict[str, Counter[int]] = {"skip": Counter(), "stop": Counter()}

    def ask(name: str, holds: frozenset[int]) -> Callable[[int], bool]:
        def answer(number: int) -> bool:
            asked[name][number] += 1
            return number in holds

        return answer

    plan = WalkPlan(
        starts=case.starts,
        direction=direction,
        order=order,
        max_depth=case.max_depth,
        skips=ask("skip", case.skipped),
        stops=ask("stop", case.stopped),
    )
    list(walk(case.graph, plan))
    assert asked["stop"] == Counter(case.asked(direction))
    assert asked["skip"] == Counter(set(case.passable(direction)))


@given(cases(), directions, orders, st.integers(0, 6))
def test_questions_wait_until_the_turn_of_a_model(
    case: Case, direction: WalkDirection, order: WalkOrder, taken: int
) -> None:
    """What a walk was not asked for is not asked about, but for the orders against the direction."""
    skips: list[int] = []
    stops: list[int] = []
    plan = WalkPlan(
        starts=case.starts,
        direction=direction,
        order=order,
        max_depth=case.max_depth,
        skips=lambda number: skips.append(number) is not None,
        stops=lambda number: stops.append(number) is not None,
    )
    found = [step.number for step in itertools.islice(walk(case.graph, plan), taken)]
    assert skips == found
    if order not in SORTED or (order, direction) in ALONG:
        assert stops == found


@pytest.mark.parametrize("direction", WalkDirection)
@given(case=cases(), order=orders)
def test_without_starts_all_of_the_graph_is_walked(
    case: Case, order: WalkOrder, direction: WalkDirection
) -> None:
    plan = WalkPlan(direction=direction, order=order)
    assert sorted(step.number for step in walk(case.graph, plan)) == list(range(case.count))
    if direction is not WalkDirection.BOTH:
        starts = default_starts(case.graph, direction)
        assert starts == sorted(n for n, degree in case.steps(direction).in_degree() if not degree)


@pytest.mark.parametrize("order", WalkOrder)
@pytest.mark.parametrize(("direction", "start"), [("descendants", 0), ("ancestors", 90), ("both", 45)])
def test_thirty_stacked_diamonds_are_walked_once(order: WalkOrder, direction: str, start: int) -> None:
    plan = WalkPlan(starts=[start], direction=WalkDirection(direction), order=order)
    found = [step.number for step in walk(stacked_diamonds(30), plan)]
    assert sorted(found) == list(range(91))


def test_a_stopped_model_hides_only_what_lies_behind_it_alone() -> None:
    """The model 0 <-- 1 <-- 3 <-- 4, and 0 <-- 2 <-- 3."""
    graph = make_graph(5, [(1, 0), (2, 0), (3, 1), (3, 2), (4, 3)])

    def found(**choice: Callable[[int], bool]) -> list[int]:
        plan = WalkPlan(starts=[0], order=WalkOrder.PARENTS_FIRST, **choice)
        return [step.number for step in walk(graph, plan)]

    assert found() == [0, 1, 2, 3, 4]
    assert found(stops=lambda number: number == 2) == [0, 1, 3, 4]
    assert found(skips=lambda number: number == 3) == [0, 1, 2, 4]
    assert found(stops=lambda number: number == 3) == [0, 1, 2]
    assert found(stops=lambda number: number == 0) == []


@pytest.mark.parametrize("order", [WalkOrder.DEPTH_FIRST, WalkOrder.PARENTS_FIRST])
def test_a_stop_may_follow_from_what_was_done_before(order: WalkOrder) -> None:
    """Who walks a chain and learns at the third model that it is bad does not see the fourth."""
    bad: set[int] = set()
    seen = []
    plan = WalkPlan(starts=[0], order=order, stops=bad.__contains__)
    for step in walk(make_graph(6, [(n + 1, n) for n in range(5)]), plan):
        seen.append(step.number)
        if step.number == 2:
            bad.add(3)
    assert seen == [0, 1, 2]


@pytest.mark.slow
def test_a_long_chain_needs_no_recursion() -> None:
    graph = make_graph(20_000, [(n + 1, n) for n in range(19_999)])
    for order in WalkOrder:
        *_, last = walk(graph, WalkPlan(starts=[0], order=order))
        assert last == (Step(0, 0) if order is WalkOrder.CHILDREN_FIRST else Step(19_999, 19_999))


def test_edges_that_form_a_cycle_are_told() -> None:
    graph = make_graph(4, [(1, 0), (2, 1), (3, 2), (1, 3)])
    with pytest.raises(ConflictError) as caught:
        list(walk(graph, WalkPlan(starts=[0], order=WalkOrder.PARENTS_FIRST)))
    assert caught.value.reason is ErrorReason.CYCLE
    assert caught.value.details == {"models": "3"}
    found = [step.number for step in walk(graph, WalkPlan(starts=[0]))]
    assert found == [0, 1, 2, 3]
