"""Guarded loss through the SDK, over the real service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import mgit
from mgit.errors import ErrorReason, InvalidArgumentError
from mgit.frameworks.arrays import read_arrays
from mgit.lossy.weights import GuardedModel
from mgit_core.lattice import measure_change, move_to_lattice, step_of_change
from mgit_core.loss import LossMethod
from mgit_core.metric import MetricDirection

pytestmark = pytest.mark.neo4j

Arrays = dict[str, np.ndarray]
LARGE = (600, 500)


def make_base(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "large": rng.standard_normal(LARGE, np.float32),
        "half": rng.standard_normal(3000).astype(np.float16),
        "brain": rng.standard_normal((40, 50)).astype(ml_dtypes.bfloat16),
        "whole": np.arange(500),
        "double": rng.standard_normal(100),
        "frozen": rng.standard_normal(1000, np.float32),
    }


def train(arrays: Arrays, seed: int = 1, rate: float = 1e-2) -> Arrays:
    """A child: every float but the frozen ones moves, one of ten not; the whole numbers move too."""
    rng = np.random.default_rng(seed)
    child = dict(arrays)
    for name in ("large", "half", "brain", "double"):
        moves = rng.standard_normal(arrays[name].shape) * rate * (rng.random(arrays[name].shape) < 0.9)
        child[name] = (arrays[name].astype(np.float64) + moves).astype(arrays[name].dtype)
    child["large"][0] = 0
    child["large"][1, :2] = -0.0
    child["whole"] = arrays["whole"] + 1
    return child


def always(_: GuardedModel) -> float:
    """A guard that is content with anything."""
    return 1.0


class Nearness:
    """How far a model is from the original at most: a guard that allows so much and no more."""

    metric = "distance"
    direction = "lower"

    def __init__(self, original: Arrays, tolerance: float) -> None:
        self.original = original
        self.tolerance = tolerance
        self.asked: list[float] = []

    def __call__(self, model: GuardedModel) -> float:
        distance = np.abs(model["large"] - self.original["large"]).max()
        self.asked.append(float(distance))
        return self.asked[-1]


def bits(arrays: Arrays) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


def notes_of(model: mgit.Model) -> str:
    assert model.addition is not None
    return " ".join(model.addition.notes)


def expected(child: Arrays, base: Arrays, k: float) -> Arrays:
    """What the method says, for the tensors of 16 and 32 bits that changed."""
    moved = dict(child)
    for name in ("large", "half", "brain"):
        weights, start = child[name].reshape(-1), base[name].reshape(-1)
        step = step_of_change(measure_change(weights, start), k)
        assert step is not None
        moved[name] = move_to_lattice(weights, start, step).reshape(child[name].shape)
    return moved


@pytest.fixture(scope="module")
def base(repo: mgit.Repository) -> tuple[mgit.Model, Arrays]:
    arrays = make_base()
    return repo.add("lossy-base", arrays), arrays


def test_the_lossy_model_comes_back_bit_for_bit(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays]
) -> None:
    parent, start = base
    child = train(start)
    model = repo.add("lossy", child, parents=[mgit.finetuned(parent)], lossy=mgit.Lossy(k=2), guard=always)
    assert bits(model.load()) == bits(expected(child, start, 2))
    assert "Stored with loss against lossy-base@1: k = 2, 3 tensors" in notes_of(model)


def test_a_record_says_what_was_done(repo: mgit.Repository, base: tuple[mgit.Model, Arrays]) -> None:
    parent, start = base
    child = train(start, seed=2)
    exact = repo.add("lossy-original", child)
    guard = Nearness(child, tolerance=1.0)
    added = repo.add("recorded", child, parents=[mgit.finetuned(parent)], lossy=mgit.Lossy(k=2), guard=guard)
    loss = repo.get("recorded").loss
    assert loss is not None
    assert loss == added.loss
    assert (loss.method, loss.strength, loss.base_uid) == (LossMethod.STEP, 2.0, parent.uid)
    assert loss.original_digest.hex() == exact.digest != added.digest
    assert [tensor.name for tensor in loss.tensors] == ["large", "half", "brain"]
    assert all(tensor.largest_error <= 0.51 * tensor.step + 0.01 for tensor in loss.tensors)
    assert loss.largest_error == max(tensor.largest_error for tensor in loss.tensors)
    assert 0.1 < loss.largest_relative_error < 1
    assert (loss.guard.metric, loss.guard.direction) == ("distance", MetricDirection.LOWER)
    assert (loss.guard.before, loss.guard.after) == (0.0, guard.asked[-1])
    assert loss.guard.entry_point.endswith(":Nearness")
    assert len(loss.guard.code_digest) == 32
    assert repo.get("lossy-original").loss is None


def test_lists_have_records_without_tensors(repo: mgit.Repository, base: tuple[mgit.Model, Arrays]) -> None:
    parent, start = base
    model = repo.add("listed", train(start), parents=[parent], lossy=mgit.Lossy(k=2), guard=always)
    [listed] = [each for each in repo.models("listed") if each.name == "listed"]
    assert listed.loss is not None
    assert model.loss is not None
    assert (listed.loss.strength, listed.loss.tensors) == (2.0, ())
    [version] = repo.versions("listed")
    assert version.loss == listed.loss


def test_a_lossy_fine_tune_takes_a_fraction(repo: mgit.Repository, base: tuple[mgit.Model, Arrays]) -> None:
    parent, start = base
    rng = np.random.default_rng(9)
    child = start | {"large": start["large"] + rng.standard_normal(LARGE, np.float32) * np.float32(1e-2)}
    exact = repo.add("exact-size", child, parents=[mgit.finetuned(parent)])
    lossy = repo.add(
        "lossy-size", child, parents=[mgit.finetuned(parent)], lossy=mgit.Lossy(k=2), guard=always
    )
    assert exact.addition is not None
    assert lossy.addition is not None
    assert lossy.addition.new_bytes < exact.addition.new_bytes / 8
    assert "another way" not in notes_of(lossy)


def test_k_is_halved_until_the_guard_holds(repo: mgit.Repository, base: tuple[mgit.Model, Arrays]) -> None:
    parent, start = base
    child = train(start, seed=3)
    guard = Nearness(child, tolerance=0.003)
    model = repo.add("halved", child, parents=[parent], lossy=mgit.Lossy(k=2), guard=guard)
    assert model.loss is not None
    assert (model.loss.strength, len(guard.asked)) == (0.5, 4)
    assert model.loss.guard.after <= 0.003 < guard.asked[-2]
    assert bits(model.load()) == bits(expected(child, start, 0.5))
    assert "k = 0.5, down from 2" in notes_of(model)


def test_a_guard_that_never_holds_means_stored_exactly(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays]
) -> None:
    parent, start = base
    child = train(start, seed=4)
    guard = Nearness(child, tolerance=0.0)
    model = repo.add("never", child, parents=[parent], lossy=mgit.Lossy(k=2), guard=guard)
    assert len(guard.asked) == 8
    assert model.loss is None
    assert bits(model.load()) == bits(child)
    assert "The guard did not hold for k = 2 to 0.03125: distance (lower is better) 0 before" in notes_of(
        model
    )


def test_no_guard_means_no_loss(repo: mgit.Repository, base: tuple[mgit.Model, Arrays]) -> None:
    parent, start = base
    child = train(start, seed=5)
    model = repo.add("unguarded", child, parents=[parent], lossy=mgit.Lossy(k=2))
    assert model.loss is None
    assert bits(model.load()) == bits(child)
    assert notes_of(model) == "There is no guard for the loss: stored exactly."


def test_a_value_that_is_none_counts_as_not_held(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays]
) -> None:
    parent, start = base
    values = iter([0.9, float("nan"), 0.9])
    model = repo.add(
        "none-once", train(start), parents=[parent], lossy=mgit.Lossy(k=2), guard=lambda _: next(values)
    )
    assert model.loss is not None
    assert model.loss.strength == 1.0


def test_epsilon_is_the_rule_of_the_paper(repo: mgit.Repository, base: tuple[mgit.Model, Arrays]) -> None:
    parent, start = base
    child = train(start, seed=6)
    values = iter([0.5, 0.491])
    model = repo.add(
        "epsilon", child, parents=[parent], lossy=mgit.Lossy(eps=1e-4), guard=lambda _: next(values)
    )
    loss = model.loss
    assert loss is not None
    assert (loss.method, loss.strength, loss.guard.tolerance) == (LossMethod.EPSILON, 1e-4, 0.02)
    large = next(tensor for tensor in loss.tensors if tensor.name == "large")
    assert large.step == float(np.float32(2 * np.log1p(1e-4)))
    assert large.largest_error <= 1.01e-4
    assert np.array_equal(model.load()["large"][0], np.zeros(LARGE[1], np.float32))


@pytest.mark.parametrize(("direction", "after"), [("higher", 0.489), ("lower", 0.511)])
def test_epsilon_that_loses_more_than_two_percent_is_refused_at_once(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays], direction: str, after: float
) -> None:
    parent, start = base
    values = iter([0.5, after])

    @mgit.guard(metric="score", direction=direction)
    def score(_: GuardedModel) -> float:
        return next(values)

    model = repo.add(
        f"epsilon-{direction}", train(start), parents=[parent], lossy=mgit.Lossy(eps=1e-4), guard=score
    )
    assert model.loss is None
    assert "did not hold for eps = 0.0001" in notes_of(model)


def test_a_lossy_child_of_a_lossy_model_is_measured_against_what_is_stored(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays]
) -> None:
    parent, start = base
    first = train(start, seed=7)
    one = repo.add("chain", first, parents=[mgit.finetuned(parent)], lossy=mgit.Lossy(k=2), guard=always)
    second = train(first, seed=8)
    two = repo.add("chain", second, parents=[mgit.finetuned(one)], lossy=mgit.Lossy(k=2), guard=always)
    assert two.loss is not None
    assert two.loss.base_uid == one.uid
    assert bits(two.load()) == bits(expected(second, expected(first, start, 2), 2))
    step = next(tensor.step for tensor in two.loss.tensors if tensor.name == "large")
    assert np.abs(two.load()["large"] - second["large"]).max() <= step / 2 + 1e-6


def test_a_base_is_the_first_parent_that_has_such_tensors(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays]
) -> None:
    parent, start = base
    other = repo.add("lossy-other", {"large": np.ones((3, 3), np.float32), "elsewhere": np.ones(3)})
    model = repo.add(
        "second-parent",
        train(start),
        parents=[mgit.merged(other), mgit.merged("lossy-base")],
        lossy=mgit.Lossy(k=2),
        guard=always,
    )
    assert model.loss is not None
    assert model.loss.base_uid == parent.uid


def test_tensors_of_other_types_and_shapes_stay_exact(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays]
) -> None:
    parent, start = base
    child = train(start, seed=10)
    child["half"] = child["half"].astype(np.float32)
    child["brain"] = child["brain"][:30]
    child["new"] = np.ones(1000, np.float32)
    child["frozen"] = start["frozen"].copy()
    child["frozen"][3] = np.nan
    model = repo.add("mixed", child, parents=[parent], lossy=mgit.Lossy(k=2), guard=always)
    assert model.loss is not None
    assert [tensor.name for tensor in model.loss.tensors] == ["large"]
    exact = set(child) - {"large"}
    found = bits(model.load())
    assert {name: found[name] for name in exact} == {name: bits(child)[name] for name in exact}


def test_a_model_that_is_its_parent_loses_nothing(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays]
) -> None:
    parent, start = base
    child = start | {"whole": start["whole"] + 5}
    model = repo.add("same", child, parents=[parent], lossy=mgit.Lossy(k=2), guard=always)
    assert model.loss is None
    assert "No tensor differs from lossy-base@1" in notes_of(model)


def test_tied_tensors_stay_tied(repo: mgit.Repository) -> None:
    weights = np.random.default_rng(0).standard_normal(5000, np.float32)
    parent = repo.add("tied-base", {"in": weights, "out": weights})
    moved = weights + np.random.default_rng(1).standard_normal(5000, np.float32) * np.float32(1e-3)
    child = {"in": moved, "out": moved}
    assert read_arrays(child).ties == (("in", "out"),)
    model = repo.add("tied", child, parents=[parent], lossy=mgit.Lossy(k=2), guard=always)
    assert model.loss is not None
    assert [tensor.name for tensor in model.loss.tensors] == ["in"]
    found = model.load()
    assert found["in"] is found["out"]
    assert not np.array_equal(found["in"], moved)


def test_a_file_comes_back_with_its_header_and_the_new_weights(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays], tmp_path: Path
) -> None:
    parent, start = base
    child = {name: array for name, array in train(start).items() if name in {"large", "half"}}
    path = tmp_path / "child.safetensors"
    safetensors.numpy.save_file(child, path, metadata={"format": "pt"})
    model = repo.add("file", path, parents=[parent], lossy=mgit.Lossy(k=2), guard=always)
    saved = model.save(tmp_path / "back.safetensors")
    moved = expected(child | {"brain": start["brain"]}, start | {"brain": start["brain"] + 1}, 2)
    assert bits(safetensors.numpy.load_file(saved)) == bits({name: moved[name] for name in child})
    assert saved.stat().st_size == path.stat().st_size


@pytest.mark.parametrize(
    ("parents", "found"),
    [([], "no parent was declared"), (["lossy-alien"], "none of lossy-alien@1 has one")],
)
def test_loss_needs_a_parent_to_measure_against(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays], parents: list[str], found: str
) -> None:
    repo.add("lossy-alien", {"large": np.ones(3, np.float32)}, no_previous=True)
    with pytest.raises(InvalidArgumentError, match="measures changes against a parent") as caught:
        repo.add("no-parent", base[1], parents=parents, lossy=mgit.Lossy(k=2), guard=always)
    assert caught.value.reason == ErrorReason.INVALID_ARGUMENT
    assert found.split("@", maxsplit=1)[0] in caught.value.message


def _raise(_: GuardedModel) -> float:
    raise RuntimeError("out of luck")


@pytest.mark.parametrize(
    ("guard", "wanted"),
    [
        (_raise, "raised RuntimeError: out of luck"),
        (lambda _: None, "returns a number; it returned None"),
        (lambda _: float("nan"), "returns a finite number for the original"),
        ("no.such.module:check", "cannot be imported"),
        ("nonsense", "MODULE:FUNCTION"),
    ],
)
def test_a_guard_that_cannot_decide_adds_nothing(
    repo: mgit.Repository, base: tuple[mgit.Model, Arrays], guard: Any, wanted: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=wanted) as caught:
        repo.add("undecided", train(base[1]), parents=[base[0]], lossy=mgit.Lossy(k=2), guard=guard)
    assert caught.value.reason == ErrorReason.INVALID_GUARD
    assert not list(repo.models("undecided"))


def test_a_guard_without_a_loss_is_refused(repo: mgit.Repository, base: tuple[mgit.Model, Arrays]) -> None:
    with pytest.raises(InvalidArgumentError, match="no loss was asked for"):
        repo.add("guard-alone", base[1], guard=always)


@pytest.mark.slow
def test_a_chain_too_long_for_differences_is_told_and_still_right(repo: mgit.Repository) -> None:
    """What one read decodes is bounded, so not every child can be kept as steps from its parent."""
    arrays = {"w": np.random.default_rng(0).standard_normal((512, 512), np.float32)}
    model = repo.add("long", arrays)
    notes = ""
    for generation in range(1, 7):
        moves = np.random.default_rng(generation).standard_normal((512, 512), np.float32) * np.float32(1e-2)
        arrays = {"w": arrays["w"] + moves}
        model = repo.add("long", arrays, parents=[mgit.finetuned(model)], lossy=mgit.Lossy(k=2), guard=always)
        assert model.loss is not None
        assert float(np.abs(model.load()["w"] - arrays["w"]).max()) == model.loss.largest_error
        notes += notes_of(model)
    assert "could not use the parent as the base of 'w': stored in another way" in notes
