"""Every chain of 1 to 39 models, with every model as the first bad one, with none, and with all: 819 searches."""

from __future__ import annotations

import math

import pytest
from bench.bisect_graphs import chain, heirs, make_graph
from tests.unit.core.bisect.examining import Examiner, bisect, verdicts

from mgit_core.bisect import BisectOutcome, BisectVerdict, search

LENGTHS = range(1, 40)


def most_tests(length: int) -> int:
    return math.ceil(math.log2(length + 1))


@pytest.mark.parametrize("length", LENGTHS)
def test_first_bad_model_of_a_chain_is_found_wherever_it_is(length: int) -> None:
    for place in range(1, length):
        answer, tests = bisect(chain(length), heirs(chain(length), [f"v{place}"]))

        assert answer.outcome is BisectOutcome.FOUND
        assert answer.first_bad == f"v{place}"
        assert answer.unexplored == 0
        assert tests <= most_tests(length)


@pytest.mark.parametrize("length", LENGTHS)
def test_chain_without_a_bad_model_is_all_pass(length: int) -> None:
    answer, tests = bisect(chain(length), [])

    assert (answer.outcome, answer.first_bad) == (BisectOutcome.ALL_PASS, None)
    assert tests <= most_tests(length)


@pytest.mark.parametrize("length", LENGTHS)
def test_chain_whose_first_model_is_bad_is_all_fail(length: int) -> None:
    answer, tests = bisect(chain(length), chain(length))

    assert (answer.outcome, answer.first_bad) == (BisectOutcome.ALL_FAIL, "v0")
    assert tests <= most_tests(length)


@pytest.mark.parametrize("length", LENGTHS[1:])
def test_ends_are_not_tested_first(length: int) -> None:
    """Only in a chain of two is one of the ends as good a first test as any."""
    examiner = Examiner([])
    search(make_graph(chain(length)), {}, examiner)

    assert length == 2 or examiner.asked[0] not in {"v0", f"v{length - 1}"}


@pytest.mark.parametrize("length", LENGTHS)
def test_steps_foretell_how_many_tests_are_left(length: int) -> None:
    for place in range(length + 1):
        examiner = Examiner(heirs(chain(length), [f"v{place}"] if place < length else []))
        search(make_graph(chain(length)), {}, examiner)

        for done, step in enumerate(examiner.steps, start=1):
            assert len(examiner.steps) - done <= step.tests_after
        assert all(step.left_if_bad >= 1 <= step.left_if_good for step in examiner.steps)


@pytest.mark.parametrize("length", LENGTHS[2:])
def test_known_ends_save_tests(length: int) -> None:
    known = verdicts(good=["v0"], bad=[f"v{length - 1}"])
    for place in range(1, length):
        answer, tests = bisect(chain(length), heirs(chain(length), [f"v{place}"]), known)

        assert answer.first_bad == f"v{place}"
        assert tests <= math.ceil(math.log2(length - 1))


@pytest.mark.parametrize("length", LENGTHS)
def test_everything_known_needs_no_test(length: int) -> None:
    for place in range(length):
        bad = heirs(chain(length), [f"v{place}"])
        known = {uid: BisectVerdict.BAD if uid in bad else BisectVerdict.GOOD for uid in chain(length)}
        answer, tests = bisect(chain(length), bad, known)

        assert (answer.first_bad, tests) == (f"v{place}", 0)
