"""Results that contradict what a search takes for granted."""

from __future__ import annotations

import random

import pytest
from bench.bisect_graphs import chain, heirs, make_graph, random_dag
from tests.unit.core.bisect.examining import bisect, verdicts

from mgit_core.bisect import BisectOutcome


def test_good_model_made_from_a_bad_one_is_told_with_both_names() -> None:
    answer, tests = bisect(chain(5), [], verdicts(bad=["v1"], good=["v3"]))

    assert (answer.outcome, answer.contradiction) == (BisectOutcome.NON_MONOTONIC, ("v1", "v3"))
    assert (answer.first_bad, tests) == (None, 0)
    assert answer.reason.startswith("v1@1 is bad, yet v3@1, which was made from it, is good.")


def test_of_several_contradictions_the_oldest_one_is_told() -> None:
    known = verdicts(bad=["v3", "v1"], good=["v5", "v2", "v4"])

    assert bisect(chain(6), [], known)[0].contradiction == ("v1", "v2")


def test_results_of_models_beside_each_other_do_not_contradict() -> None:
    parents = {"base": [], "left": ["base"], "right": ["base"], "merged": ["left", "right"]}
    answer, _ = bisect(parents, heirs(parents, ["left"]), verdicts(bad=["left"], good=["right"]))

    assert answer.first_bad == "left"


def test_tests_never_contradict_what_was_known() -> None:
    """Whatever a test says, also at random: no model is tested whose result could contradict another one."""
    for seed in range(300):
        parents = random_dag(seed)
        numbers = random.Random(seed)
        bad = numbers.sample(list(parents), numbers.randint(0, len(parents)))
        answer, _ = bisect(parents, bad)

        assert answer.outcome is not BisectOutcome.NON_MONOTONIC
        assert answer.first_bad is None or answer.first_bad in bad


@pytest.mark.parametrize("uid", ["v9", "elsewhere"])
def test_what_is_known_of_models_outside_the_graph_is_left_out(uid: str) -> None:
    answer, _ = bisect(chain(3), ["v2"], verdicts(bad=[uid]))

    assert answer.first_bad == "v2"


def test_same_questions_are_asked_every_time() -> None:
    for seed in range(50):
        parents = random_dag(seed)
        bad = heirs(parents, [random.Random(seed).choice(list(parents))])
        first, second = (bisect(make_graph(parents), bad) for _ in range(2))
        assert first == second
