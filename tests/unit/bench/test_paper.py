from __future__ import annotations

import numpy as np
import pytest
from bench.compression.paper import EPSILON, Outcome, Tensors, run_paper
from bench.compression.paper_codecs import CODECS
from bench.compression.subjects import Subject
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bench.conftest import MakeSubject

SIZE = 4096


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2), min_size=1))
def test_a_codec_gives_every_number_back(codec: object, numbers: list[int]) -> None:
    assert np.array_equal(numbers, codec.decode(codec.encode(np.array(numbers, np.int64))))


def test_run_lengths_take_the_least_types_that_hold_them() -> None:
    blob = CODECS["RLE"].encode(np.repeat(np.array([0, -128]), [255, 3]))

    assert len(blob) == 10 + 2 * 1 + 2 * 1


def weights(seed: int = 0, *, off: float = 0.0) -> dict[str, np.ndarray]:
    base = np.random.default_rng(1).standard_normal(SIZE).astype(np.float32)
    step = np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32)
    return {"steps": np.arange(3), "weight": base + step * np.float32(off)}


def same(_subject: Subject, _tensors: Tensors) -> float:
    return 0.5


@pytest.fixture
def family(make_subject: MakeSubject) -> list[Subject]:
    base = make_subject("base", weights())
    tuned = make_subject("tuned", weights(2, off=1e-3), base)
    return [base, tuned, make_subject("later", weights(3, off=1.1e-3), tuned)]


def test_errors_stay_within_epsilon_and_do_not_add_along_a_chain(family: list[Subject]) -> None:
    outcome = run_paper(family, same)

    assert 0.9 * EPSILON < outcome.largest_error < 1.01 * EPSILON
    assert outcome.scores == {"tuned@1": (0.5, 0.5), "later@1": (0.5, 0.5)}


def test_a_difference_takes_less_than_the_base_which_stays_raw(family: list[Subject]) -> None:
    outcome = run_paper(family, same)

    for grown in outcome.grown.values():
        assert grown["tuned@1"] < grown["base@1"] / 1.5
        assert grown["base@1"] > 4 * SIZE


def test_a_member_whose_score_falls_too_far_is_given_up_and_kept_exactly(family: list[Subject]) -> None:
    def score(subject: Subject, tensors: Tensors) -> float:
        exact = tensors["weight"].tobytes() == subject.weights.tensors["weight"].content
        return 0.5 if exact else 0.48

    outcome = run_paper(family, score)

    assert set(outcome.given_up) == {"tuned@1", "later@1"}
    assert all(grown["later@1"] > 4 * SIZE for grown in outcome.grown.values())


def test_a_fall_of_two_percent_is_accepted(family: list[Subject]) -> None:
    def score(subject: Subject, tensors: Tensors) -> float:
        exact = tensors["weight"].tobytes() == subject.weights.tensors["weight"].content
        return 0.5 if exact else 0.491

    assert run_paper(family, score).given_up == {}


def test_a_member_whose_differences_do_not_get_smaller_is_given_up(make_subject: MakeSubject) -> None:
    base = make_subject("base", weights())
    far = make_subject("far", {"steps": np.arange(3), "weight": weights(4, off=1e6)["weight"]}, base)

    assert run_paper([base, far], same).given_up == {"far@1": "its differences are not smaller"}


def test_what_did_not_change_is_kept_once(make_subject: MakeSubject) -> None:
    base = make_subject("base", weights())

    outcome: Outcome = run_paper([base, make_subject("copy", weights(), base)], same)

    assert outcome.scores == {}
    assert all(grown["copy@1"] < 300 for grown in outcome.grown.values())


def test_tensors_are_paired_by_shape_and_order(make_subject: MakeSubject) -> None:
    """A tensor that was put between the others does not part those behind it from theirs."""
    first = np.random.default_rng(5).standard_normal(SIZE).astype(np.float32)
    base = make_subject("base", {"a": first, "b": first[:7] + 1})
    child = make_subject("child", {"a": first, "aa": first[:9], "c": first[:7] + np.float32(1.001)}, base)

    outcome = run_paper([base, child], same)

    assert outcome.coded_bytes == 7 * 4
