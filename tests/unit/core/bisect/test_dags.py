"""Random graphs: the answer is right, and git's rule on the same graph never takes fewer tests."""

from __future__ import annotations

import itertools
import random

import pytest
from bench.bisect_graphs import (
    NO_BAD_MODEL,
    GitSearch,
    Parents,
    first_bad_ones,
    heirs,
    make_graph,
    random_dag,
    with_no_bad_model,
)
from tests.unit.core.bisect.examining import bisect, verdicts

from mgit_core.bisect import BisectOutcome, build_graph

GRAPHS = range(1000)
_PARTS = 20


def seeds(part: int) -> range:
    return GRAPHS[part * len(GRAPHS) // _PARTS : (part + 1) * len(GRAPHS) // _PARTS]


def end_of(parents: Parents) -> str:
    return list(parents)[-1]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_PARTS))
def test_origin_is_found_with_never_more_tests_than_by_gits_rule(part: int) -> None:
    """Every model of every graph as the origin, and none.

    Another way of a git user who does not know whether the end is bad is to test the end, then to bisect. At
    worst that takes one test fewer on 4 of these graphs, and one more on most of the others.
    """
    in_all, in_all_of_git = 0, 0
    for seed in seeds(part):
        parents = random_dag(seed)
        graph, asked = make_graph(parents), with_no_bad_model(parents)
        git, worst, worst_of_git = GitSearch(asked), 0, 0
        for origin in asked:
            bad = heirs(asked, [origin])
            answer, tests = bisect(graph, bad - {NO_BAD_MODEL})
            found, tests_of_git = git.find(NO_BAD_MODEL, bad)

            assert found == origin
            assert (answer.first_bad or NO_BAD_MODEL) == origin
            assert (answer.outcome is BisectOutcome.ALL_PASS) == (origin == NO_BAD_MODEL)
            assert tests <= tests_of_git
            worst = max(worst, tests)
            if origin != NO_BAD_MODEL:
                worst_of_git = max(worst_of_git, 1 + git.find(end_of(parents), bad)[1])

        assert worst <= worst_of_git + 1
        in_all, in_all_of_git = in_all + worst, in_all_of_git + worst_of_git

    assert in_all < in_all_of_git


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_PARTS))
def test_origin_below_a_known_bad_end_takes_never_more_tests_than_git(part: int) -> None:
    for seed in seeds(part):
        parents = random_dag(seed)
        graph, git, end = make_graph(parents), GitSearch(parents), end_of(parents)
        for origin in parents:
            bad = heirs(parents, [origin])
            answer, tests = bisect(graph, bad, verdicts(bad=[end]))
            found, tests_of_git = git.find(end, bad)

            assert (answer.first_bad, found) == (origin, origin)
            assert tests <= tests_of_git


@pytest.mark.slow
def test_one_of_several_origins_is_found_and_the_others_are_told() -> None:
    for seed in GRAPHS:
        parents = random_dag(seed)
        numbers = random.Random(seed)
        origins = numbers.sample(list(parents), min(len(parents), numbers.randint(2, 4)))
        bad = heirs(parents, origins)
        answer, _ = bisect(parents, bad)

        assert answer.first_bad is not None
        assert answer.first_bad in first_bad_ones(parents, bad)
        others = bad - heirs(parents, [answer.first_bad])
        assert answer.unexplored >= len(others)


@pytest.mark.slow
def test_what_is_known_never_leads_astray() -> None:
    """Whichever verdicts are known before, the answer is right, and nothing known is tested."""
    for seed in GRAPHS:
        parents = random_dag(seed)
        numbers = random.Random(seed)
        bad = heirs(parents, numbers.sample(list(parents), numbers.randint(0, min(3, len(parents)))))
        told = numbers.sample(list(parents), numbers.randint(0, len(parents)))
        known = verdicts(good=set(told) - bad, bad=set(told) & bad)
        answer, tests = bisect(parents, bad, known)

        assert (answer.first_bad is None) == (not bad)
        assert answer.first_bad is None or answer.first_bad in first_bad_ones(parents, bad)
        assert tests <= len(parents) - len(told)


def test_diamond_with_one_bad_side_blames_that_side() -> None:
    parents = {"base": [], "left": ["base"], "right": ["base"], "merged": ["left", "right"]}
    answer, tests = bisect(parents, {"right", "merged"})

    assert (answer.first_bad, answer.unexplored) == ("right", 0)
    assert tests <= 3


def test_merge_that_is_bad_by_itself_is_blamed() -> None:
    parents = {"base": [], "left": ["base"], "right": ["base"], "merged": ["left", "right"]}
    answer, _ = bisect(parents, {"merged"})

    assert (answer.outcome, answer.first_bad) == (BisectOutcome.FOUND, "merged")


def test_second_root_that_was_not_looked_at_may_be_another_origin() -> None:
    parents = {"first": [], "second": [], "merged": ["first", "second"]}
    answer, _ = bisect(parents, {"first", "second", "merged"}, verdicts(bad=["first"]))

    assert (answer.outcome, answer.first_bad, answer.unexplored) == (BisectOutcome.FOUND, "first", 1)
    assert "may have another origin" in answer.reason


def test_root_that_is_bad_beside_a_good_root_is_found_and_not_all_fail() -> None:
    parents = {"first": [], "second": [], "merged": ["first", "second"]}
    answer, _ = bisect(parents, {"second", "merged"}, verdicts(good=["first"]))

    assert (answer.outcome, answer.first_bad) == (BisectOutcome.FOUND, "second")


def test_several_heads_are_searched_together() -> None:
    parents = {"base": [], "a": ["base"], "b": ["base"], "c": ["base"]}
    assert bisect(parents, [])[0].outcome is BisectOutcome.ALL_PASS
    for bad in itertools.chain.from_iterable(itertools.combinations("abc", size) for size in (1, 2)):
        assert bisect(parents, bad)[0].first_bad in bad


def test_order_of_the_models_makes_no_difference() -> None:
    for seed in range(50):
        parents = random_dag(seed)
        graph = make_graph(parents)
        shuffled = list(graph.models)
        random.Random(seed).shuffle(shuffled)

        assert build_graph(shuffled) == graph
