"""Models that cannot be tested: the search goes on around them, or says between which ones it cannot tell."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from bench.bisect_graphs import chain, first_bad_ones, heirs, make_graph, random_dag
from tests.unit.core.bisect.examining import Examiner, verdicts

from mgit_core.bisect import BisectOutcome, search

SHORT = range(1, 8)


@pytest.mark.parametrize("length", SHORT)
def test_chain_with_any_models_skipped_is_answered_as_well_as_can_be(length: int) -> None:
    """Every set of skipped models, every first bad one: 3,205 searches.

    What can be told is told: the suspects are the models between the last good and the first bad one of those
    that can be tested, and no more tests are made than tell these apart.
    """
    models = list(chain(length))
    for skipped in itertools.chain.from_iterable(
        itertools.combinations(models, size) for size in range(length + 1)
    ):
        for place in range(length + 1):
            bad = set(models[place:])
            examiner = Examiner(bad)
            answer = search(make_graph(chain(length)), verdicts(skipped=skipped), examiner)

            tested_bad = [each for each in models if each in bad and each not in skipped]
            tested_good = [each for each in models if each not in bad and each not in skipped]
            begin = models.index(tested_good[-1]) + 1 if tested_good else 0
            stop = models.index(tested_bad[0]) + 1 if tested_bad else length
            suspects = tuple(models[begin:stop])
            assert len(examiner.asked) <= math.ceil(math.log2(length - len(skipped) + 1))
            assert not set(examiner.asked) & set(skipped)
            if tested_bad and len(suspects) == 1:
                assert answer.first_bad == suspects[0]
            elif suspects:
                assert (answer.outcome, answer.suspects) == (BisectOutcome.AMBIGUOUS, suspects)
                assert ("Perhaps none is bad" in answer.reason) == (not tested_bad)
            else:
                assert answer.outcome is BisectOutcome.ALL_PASS


@pytest.mark.slow
def test_origin_is_the_answer_or_among_the_suspects_on_any_graph() -> None:
    for seed in range(1000):
        parents = random_dag(seed)
        numbers = random.Random(seed)
        skipped = numbers.sample(list(parents), numbers.randint(0, len(parents)))
        origins = numbers.sample(list(parents), numbers.randint(0, 1))
        bad = heirs(parents, origins)
        examiner = Examiner(bad)
        answer = search(make_graph(parents), verdicts(skipped=skipped), examiner)

        assert not set(examiner.asked) & set(skipped)
        if answer.outcome is BisectOutcome.AMBIGUOUS:
            assert not origins or set(origins) <= set(answer.suspects)
            assert set(answer.suspects) & set(skipped)
        else:
            assert (answer.first_bad is None) == (not bad)
            assert answer.first_bad is None or answer.first_bad in first_bad_ones(parents, bad)


def test_model_whose_test_ends_in_an_error_is_gone_around() -> None:
    examiner = Examiner(heirs(chain(10), ["v6"]), untestable=["v4", "v5"])
    answer = search(make_graph(chain(10)), {}, examiner)

    assert (answer.outcome, answer.suspects) == (BisectOutcome.AMBIGUOUS, ("v4", "v5", "v6"))


def test_nothing_that_can_be_tested_is_ambiguous_at_once() -> None:
    examiner = Examiner([])
    answer = search(make_graph(chain(1)), verdicts(skipped=["v0"]), examiner)

    assert (answer.outcome, answer.suspects, examiner.asked) == (BisectOutcome.AMBIGUOUS, ("v0",), [])
    assert answer.reason == "v0@1 alone is left, and it cannot be tested. Perhaps none is bad."


def test_skipped_models_beside_the_way_do_not_blur_the_answer() -> None:
    parents = {"base": [], "left": ["base"], "right": ["base"], "merged": ["left", "right"]}
    examiner = Examiner({"left", "merged"})
    answer = search(make_graph(parents), verdicts(good=["right"], skipped=["base"]), examiner)

    assert answer.first_bad == "left"


def test_skip_of_a_good_ancestor_is_no_matter() -> None:
    examiner = Examiner(heirs(chain(5), ["v4"]))
    answer = search(make_graph(chain(5)), verdicts(good=["v2"], skipped=["v1"]), examiner)

    assert answer.first_bad == "v4"


def test_thousands_of_skipped_models_are_followed_in_blocks() -> None:
    """More of them than one pass follows, so that classes are refined over several."""
    length = 9000
    skipped = [f"v{place}" for place in range(length) if place % 2]
    examiner = Examiner(heirs(chain(length), ["v7001"]))
    answer = search(make_graph(chain(length)), verdicts(skipped=skipped), examiner)

    assert answer.suspects == ("v7001", "v7002")
    assert len(examiner.asked) <= math.ceil(math.log2(length / 2 + 1))
