"""The pools of known lineage, the released code's rule, and how claims are counted."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from bench.placing.families import FamilyPlan, PoolModel, grow_family
from bench.placing.networks import NetworkShape
from bench.placing.plans import HELD_OUT, TUNING
from bench.placing.released import find_parent_as_released, layers_of, score_released
from bench.placing.scoring import Score, score_pool
from bench.placing.training import Recipe

from mgit_core.inference.kinship import Claim, Kinship
from mgit_core.lineage import ModelState, ModelSummary
from mgit_service.use_cases.inference.inferring import Inference

SHAPES = ("transformer", "perceptron", "convolutional")


def plan(kind: str) -> FamilyPlan:
    """A family that is trained for a moment: what is tested is what becomes of it."""
    vocabulary = 24 if kind == "transformer" else 8
    return FamilyPlan(
        name=kind,
        shape=NetworkShape(kind=kind, width=32, layers=2, vocabulary=vocabulary, outputs=vocabulary),
        seed=1,
        base=Recipe(steps=2, rate=1e-3),
        tuning=Recipe(steps=2, rate=1e-3),
        rank=2,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_a_family_has_every_kinship_and_parents_stand_before_their_children(kind: str) -> None:
    models = grow_family(plan(kind))
    seen: set[str] = set()
    for model in models:
        assert seen.issuperset(model.parents)
        assert bool(model.parents) == (model.kinship is not None)
        seen.add(model.name)
    assert len(seen) == len(models) == 29
    assert {model.kinship for model in models} == {None, *Kinship}


@pytest.mark.slow
def test_a_family_is_what_its_labels_say() -> None:
    models = {model.name.partition("/")[2]: model.tensors for model in grow_family(plan("perceptron"))}
    base, pruned, half = models["base"], models["pruned"], models["base-half"]
    for name, array in base.items():
        if array.ndim == 2 and name.startswith("body"):
            zero = pruned[name] == 0
            assert zero.mean() == pytest.approx(0.5, abs=0.01)
            np.testing.assert_array_equal(pruned[name][~zero], array[~zero])
        np.testing.assert_array_equal(half[name], array.astype(np.float16))
        np.testing.assert_array_equal(
            models["merged"][name],
            ((models["tuned-1"][name] + models["tuned-2"][name]) / 2).astype(np.float32),
        )
    assert any(
        np.linalg.matrix_rank(models["adapted"][name].astype(float) - array, tol=1e-5) == 2
        for name, array in base.items()
        if array.ndim == 2
    )


def test_the_pools_have_nothing_in_common() -> None:
    assert not {each.shape for each in TUNING} & {each.shape for each in HELD_OUT}
    assert not {each.seed for each in TUNING} & {each.seed for each in HELD_OUT}
    assert not {each.tuning for each in TUNING} & {each.tuning for each in HELD_OUT}


def test_the_released_rule_takes_shared_layers_first_then_shapes_then_none() -> None:
    base = {"one": np.ones((2, 2)), "two": np.ones((3, 3))}
    frozen = {"one": np.ones((2, 2)), "two": np.zeros((3, 3))}
    scratch = {"one": np.full((2, 2), 7.0), "two": np.full((3, 3), 7.0)}
    other = {"one": np.ones((5, 5))}
    known = {"base": layers_of(base), "scratch": layers_of(scratch)}
    assert find_parent_as_released(layers_of(frozen), known) == "base"
    assert find_parent_as_released(layers_of(scratch), {"base": layers_of(base)}) == "base"
    assert find_parent_as_released(layers_of(other), known) is None
    assert find_parent_as_released(layers_of(base), {}) is None


def test_the_released_rule_gives_a_parent_to_a_model_from_scratch() -> None:
    models = [
        PoolModel(name="base", tensors={"one": np.ones((2, 2))}),
        PoolModel(name="scratch", tensors={"one": np.zeros((2, 2))}),
        PoolModel(
            name="again", tensors={"one": np.ones((2, 2))}, parents=("base",), kinship=Kinship.DUPLICATE
        ),
    ]
    assert score_released(models) == (1, 2)


def summary(name: str) -> ModelSummary:
    return ModelSummary(
        uid=name, name=name, version=1, state=ModelState.PRESENT, created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )


def inference(*claims: tuple[str, Kinship]) -> Inference:
    made = tuple(
        Claim(child=summary("x"), parent=summary(name), kinship=kinship, confidence=1, evidence=())
        for name, kinship in claims
    )
    return Inference(model=summary("x"), claims=made, note="")


def test_claims_count_as_right_with_parent_and_kinship_and_as_found_with_the_parent() -> None:
    score = Score()
    child = PoolModel(name="x", tensors={}, parents=("a", "b"), kinship=Kinship.MERGED)
    score.count(child, inference(("a", Kinship.MERGED), ("b", Kinship.FINETUNED), ("c", Kinship.MERGED)))
    score.count(PoolModel(name="root", tensors={}), inference())
    score.count(PoolModel(name="false-root", tensors={}), inference(("a", Kinship.CAST)))
    assert (score.claims, score.right, score.parents, score.found) == (4, 1, 2, 2)
    assert (score.roots, score.clean, len(score.faults)) == (2, 1, 2)


@pytest.mark.slow
async def test_a_pool_is_scored_by_the_service_s_own_code() -> None:
    random = np.random.default_rng(1)
    base = {f"layer.{at}": random.normal(0, 1, (40, 40)).astype(np.float32) for at in range(3)}
    half = {name: array.astype(np.float16) for name, array in base.items()}
    score = await score_pool(
        [
            PoolModel(name="base", tensors=base),
            PoolModel(name="half", tensors=half, parents=("base",), kinship=Kinship.CAST),
        ]
    )
    assert (score.right, score.found, score.clean, score.faults) == (1, 1, 1, [])
