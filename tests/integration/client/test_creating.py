"""Creation functions through the SDK, over the real service: models are made, recorded, and made again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mgit
from mgit.creating.rebuilds import RebuildOutcome
from mgit.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

MODULE = '''
import numpy as np
import mgit

@mgit.creation_function
def scale(parents, *, factor: float = 0.5, seed: int = 0):
    """Every weight of the one parent, times a factor, moved a little by the seed."""
    [parent] = parents
    moved = np.random.default_rng(seed).normal(size=1).astype(np.float32)
    return {name: array * np.float32(factor) + moved for name, array in parent.load(progress=None).items()}

@mgit.creation_function
def mean(parents):
    """The weighted mean, as federated averaging takes it."""
    total = sum(parent.weight for parent in parents)
    return {"w": sum(np.array(parent.tensors["w"]) * parent.weight for parent in parents) / total}

def describe(parents):
    told = [f"{parent.ref} {parent.relation} {parent.weight} {parent.metadata.get('round')}" for parent in parents]
    return {"told": np.frombuffer("; ".join(told).encode(), np.uint8)}

def pass_on(parents):
    return {**parents[0].tensors, "extra": np.ones(2, np.int8)}

def train_heads(members, *, epochs: int, seed: int):
    """One encoder that all members share, and a head for each."""
    import torch
    from mgit.frameworks.torch.creation import Training, initialize_from, tie, train_together

    def model(parent, width):
        module = torch.nn.Sequential()
        module.add_module("encoder", torch.nn.Linear(4, 8))
        module.add_module("head", torch.nn.Linear(8, width))
        with torch.no_grad():
            module.head.weight.zero_()
        initialize_from(module, parent, "encoder.*")
        return module

    def loss(module, batch):
        return (module(batch) - 1).square().mean()

    modules = {name: model(parents[0], 2 + place) for place, (name, parents) in enumerate(members.items())}
    tie(modules, "encoder.*")
    drawn = torch.Generator().manual_seed(seed)
    batches = {name: list(torch.randn(3, 5, 4, generator=drawn)) for name in modules}
    train_together(modules, batches, dict.fromkeys(modules, loss), Training(epochs=epochs, seed=seed))
    return modules

def turn(parents, *, seed=0):
    return {"w": np.array(parents[0].tensors["w"]).reshape(2, 2).astype(np.float64), "new": np.zeros(1)}

def fails(parents):
    raise RuntimeError("no data")
'''


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module ``recipes_here`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "recipes_here.py"
    path.write_text(MODULE)
    yield path
    sys.modules.pop("recipes_here", None)


@pytest.fixture(scope="module")
def base(repo: mgit.Repository) -> mgit.Model:
    return repo.add("creating/base", {"w": np.arange(4, dtype=np.float32)}, metadata={"round": 1})


def test_a_model_is_made_recorded_and_made_again_bit_for_bit(
    repo: mgit.Repository, base: mgit.Model, recipes: Path
) -> None:
    made = repo.create(
        "recipes_here:scale",
        name="creating/scaled",
        parents=[mgit.finetuned(base)],
        seed=3,
        arguments={"factor": 0.25},
        type="toy",
        metadata={"epochs": 1},
        datasets=["glue@2"],
    )
    found = repo.get(made.ref)
    record = found.creation
    assert record is not None
    assert (record.entry_point, dict(record.arguments), record.seed) == (
        "recipes_here:scale",
        {"factor": 0.25},
        3,
    )
    assert record.source == recipes.read_text()
    assert record.environment["numpy"] == np.__version__
    assert [(edge.parent_ref, edge.relation) for edge in found.parents] == [(base.ref, "finetuned")]
    assert (found.type, found.metadata, found.datasets) == (
        "toy",
        {"epochs": 1},
        (mgit.Dataset(name="glue", version="2"),),
    )
    moved = np.random.default_rng(3).normal(size=1).astype(np.float32)
    np.testing.assert_array_equal(
        found.load()["w"], np.arange(4, dtype=np.float32) * np.float32(0.25) + moved
    )

    again = repo.rebuild(made)
    assert (again.outcome, again.is_same, again.differences) == (RebuildOutcome.IDENTICAL, True, ())
    assert (again.tensor_count, dict(again.environment), again.model.uid) == (1, {}, made.uid)
    assert [each.ref for each in repo.versions("creating/scaled")] == [made.ref]


def test_a_function_gets_its_parents_in_order_pinned_as_they_were(
    repo: mgit.Repository, base: mgit.Model
) -> None:
    other = repo.add("creating/other", {"w": np.ones(4, np.float32)})
    made = repo.create(
        "recipes_here:describe",
        name="creating/told",
        parents=[mgit.merged("creating/other", 0.25), mgit.distilled(base)],
    )
    told = f"{other.ref} merged 0.25 None; {base.ref} distilled None 1"
    assert made.load()["told"].tobytes().decode() == told
    repo.add("creating/other", {"w": np.zeros(4, np.float32)})
    assert repo.rebuild(made).outcome is RebuildOutcome.IDENTICAL


def test_workers_of_a_federated_round_are_averaged_by_their_weights(repo: mgit.Repository) -> None:
    workers = [repo.add(f"creating/worker-{at}", {"w": np.full(2, at, np.float64)}) for at in (0, 1, 4)]
    made = repo.create(
        "recipes_here:mean",
        name="creating/round",
        parents=[mgit.aggregated(worker, share) for worker, share in zip(workers, (1, 1, 2), strict=True)],
    )
    assert made.load()["w"].tolist() == [2.25, 2.25]
    assert [edge.weight for edge in made.parents] == [1, 1, 2]
    assert made.creation is not None
    assert made.creation.seed is None


def test_tensors_of_a_parent_are_passed_on_without_a_copy_in_the_store(
    repo: mgit.Repository, base: mgit.Model
) -> None:
    made = repo.create("recipes_here:pass_on", name="creating/passed", parents=[base])
    assert list(made.tensors) == ["w", "extra"]
    assert made.tensors["w"].digest == base.tensors["w"].digest


def test_models_of_one_call_share_what_is_tied_and_are_made_again_together(repo: mgit.Repository) -> None:
    encoder = {
        "encoder.weight": np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32),
        "encoder.bias": np.zeros(8, np.float32),
    }
    parent = repo.add("creating/encoder", encoder)
    made = repo.create_together(
        "recipes_here:train_heads",
        {"creating/sst": [mgit.finetuned(parent)], "creating/mnli": [mgit.finetuned(parent)]},
        seed=1,
        arguments={"epochs": 2},
        type="tied",
    )
    sst, mnli = made["creating/sst"], made["creating/mnli"]
    assert sst.creation is not None
    assert mnli.creation is not None
    assert sst.creation.group == mnli.creation.group != ""
    assert (sst.creation.member, mnli.creation.member) == ("creating/sst", "creating/mnli")
    assert "torch" in sst.creation.environment
    # The tie lasts through the store: one tensor, which is no longer the parent's.
    for name in encoder:
        assert sst.tensors[name].digest == mnli.tensors[name].digest != parent.tensors[name].digest
    assert {use.model.ref for use in repo.models_with_tensor(sst.tensors["encoder.weight"].digest)} == {
        sst.ref,
        mnli.ref,
    }
    assert sst.tensors["head.weight"].digest != mnli.tensors["head.weight"].digest

    again = repo.rebuild(mnli)
    [other] = again.others
    assert (again.outcome, again.model.ref) == (RebuildOutcome.IDENTICAL, mnli.ref)
    assert (other.outcome, other.model.ref) == (RebuildOutcome.IDENTICAL, sst.ref)
    assert again.is_same


def test_a_claim_is_recorded_without_a_run_and_can_be_checked(
    repo: mgit.Repository, base: mgit.Model
) -> None:
    claimed = {"w": np.arange(4, dtype=np.float32) * 2}
    added = repo.add(
        "creating/claimed",
        claimed,
        parents=[mgit.finetuned(base)],
        created_by="recipes_here:scale",
        arguments={"factor": 2.0},
        seed=7,
    )
    assert added.creation is not None
    assert (added.creation.seed, dict(added.creation.environment)) == (7, {})
    moved = abs(float(np.random.default_rng(7).normal(size=1)[0]))

    found = repo.rebuild(added)
    [difference] = found.differences
    assert (found.outcome, found.is_same) == (RebuildOutcome.DIFFERENT, False)
    assert difference.largest_absolute == pytest.approx(moved, rel=1e-3)
    assert difference.largest_relative == pytest.approx(moved / 6, rel=1e-3)
    near = repo.rebuild(added, tolerance=moved)
    assert (near.outcome, near.is_same) == (RebuildOutcome.WITHIN_TOLERANCE, True)


def test_other_names_shapes_and_types_are_told(repo: mgit.Repository, base: mgit.Model) -> None:
    added = repo.add(
        "creating/reshaped",
        {"w": np.zeros(4, np.float32), "old": np.zeros(1)},
        parents=[base],
        created_by="recipes_here:turn",
    )
    found = repo.rebuild(added)
    assert (found.outcome, found.is_same) == (RebuildOutcome.OTHER_PARAMETERS, False)
    assert (found.missing, found.unexpected) == (("old",), ("new",))
    assert found.reshaped == {"w": ("float32 [4]", "float64 [2, 2]")}


def test_a_function_that_was_edited_since_is_refused_unless_any_will_do(
    repo: mgit.Repository, base: mgit.Model, recipes: Path
) -> None:
    made = repo.create("recipes_here:scale", name="creating/edited", parents=[base])
    recipes.write_text(MODULE.replace("factor: float = 0.5", "factor: float = 0.75"))
    with pytest.raises(FailedPreconditionError, match="is another one here than was recorded") as caught:
        repo.rebuild(made)
    assert caught.value.reason is ErrorReason.CREATION_CODE_CHANGED
    assert repo.rebuild(made, any_source=True).outcome is RebuildOutcome.DIFFERENT
    recipes.unlink()
    with pytest.raises(FailedPreconditionError, match="is not here") as caught:
        repo.rebuild(made)
    assert caught.value.reason is ErrorReason.CREATION_CODE_CHANGED


def test_a_model_without_a_record_cannot_be_made_again(repo: mgit.Repository, base: mgit.Model) -> None:
    with pytest.raises(FailedPreconditionError, match="created_by") as caught:
        repo.rebuild(base)
    assert caught.value.reason is ErrorReason.NO_CREATION_FUNCTION


def test_a_parent_that_was_removed_is_told(repo: mgit.Repository) -> None:
    parent = repo.add("creating/gone", {"w": np.ones(4, np.float32)})
    made = repo.create("recipes_here:pass_on", name="creating/orphan", parents=[parent])
    repo.remove(parent)
    with pytest.raises(FailedPreconditionError) as caught:
        repo.rebuild(made)
    assert caught.value.reason is ErrorReason.MODEL_REMOVED


def test_a_function_that_fails_leaves_nothing(repo: mgit.Repository, base: mgit.Model) -> None:
    heard: list[bytes] = []
    with pytest.raises(FailedPreconditionError, match="It raised RuntimeError: no data") as caught:
        repo.create("recipes_here:fails", name="creating/failed", parents=[base], hear=heard.append)
    assert caught.value.reason is ErrorReason.CREATION_FAILED
    assert caught.value.details["output"] == b"".join(heard).decode()
    assert "worker.py" not in caught.value.details["output"]
    with pytest.raises(NotFoundError):
        repo.get("creating/failed")


def test_what_cannot_be_added_does_not_run(repo: mgit.Repository, base: mgit.Model) -> None:
    """The function would raise; what is said is what is wrong with the model."""
    for said, reason in (
        ({"name": "a//b"}, ErrorReason.INVALID_NAME),
        ({"name": "m", "metadata": {"a b": 1}}, ErrorReason.INVALID_METADATA),
        ({"name": "m", "arguments": {"epochs": 1}}, ErrorReason.INVALID_CREATION),
        ({"name": "m", "previous": base, "no_previous": True}, ErrorReason.INVALID_ARGUMENT),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            repo.create("recipes_here:fails", parents=[base], **said)  # type: ignore[arg-type]
        assert caught.value.reason is reason
    with pytest.raises(NotFoundError):
        repo.create("recipes_here:fails", name="m", parents=["creating/nobody"])
    with pytest.raises(InvalidArgumentError, match="Arguments and a seed belong to a creation function"):
        repo.add("m", {"w": np.ones(1)}, seed=1)
    with pytest.raises(InvalidArgumentError, match="A tolerance is a number of at least 0"):
        repo.rebuild(base, tolerance=float("nan"))
