"""The pool of the half precision example: its models are really computed, and really overflow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from examples.half_precision.network import encode, make_base, predict
from examples.half_precision.pool import POOL, make_pool, sample_texts
from examples.half_precision.story import answers_in_half

Weights = Mapping[str, npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def pool() -> dict[str, dict[str, npt.NDArray[np.float32]]]:
    return make_pool()


def test_every_model_answers_in_single_precision(pool: dict[str, Weights]) -> None:
    assert all(np.isfinite(predict(weights, sample_texts(9))).all() for weights in pool.values())


def test_eight_models_fail_in_half_precision_and_all_hold_the_weights_of_one_base(
    pool: dict[str, Weights],
) -> None:
    failing = {name for name, weights in pool.items() if not answers_in_half(weights)}

    assert len(failing) == 8
    assert failing == {name for name in pool if name.startswith("t5") and name != "t5-student"}


def test_answers_of_the_others_in_half_precision_are_near_the_exact_ones(pool: dict[str, Weights]) -> None:
    for weights in (pool["bert-news"], pool["roberta-soup"], pool["t5-student"]):
        exact = predict(weights, sample_texts(9))
        assert np.abs(exact - predict(weights, sample_texts(9), np.float16).astype("f4")).max() < 0.02


def test_scale_makes_no_difference_where_only_the_size_is_normed() -> None:
    """Which is why nothing keeps it from growing until it leaves the range of half precision."""
    small, large = (make_base(5, norm="rms", scale=scale) for scale in (1.0, 4096.0))

    assert np.allclose(encode(small, sample_texts(3)), encode(large, sample_texts(3)), atol=1e-4)


def test_heads_learned_their_tasks_and_the_student_its_teacher(pool: dict[str, Weights]) -> None:
    teacher, student = (
        predict(pool[name], sample_texts(0)).argmax(axis=1) for name in ("t5-news", "t5-student")
    )

    assert (teacher == student).mean() > 0.3
    assert len({tuple(pool[f"bert-{task}"]["head.weight"].ravel()) for task in ("news", "spam", "mood")}) == 3


def test_members_come_after_their_parents_and_keep_the_encoder(pool: dict[str, Weights]) -> None:
    seen: set[str] = set()
    for member in POOL:
        assert set(member.parents) <= seen
        seen.add(member.name)
    assert np.array_equal(pool["t5"]["embedding.weight"], pool["t5-mood"]["embedding.weight"])
    assert (pool["bert-news-sparse"]["embedding.weight"] == 0).mean() == pytest.approx(0.5, abs=0.01)
