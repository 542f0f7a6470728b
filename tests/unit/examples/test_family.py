from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from examples.minilm.family import Built, Progress, build
from examples.minilm.recipe import (
    Adapter,
    Average,
    Base,
    Cast,
    Finetune,
    Member,
    MergeAdapter,
    Prune,
    Training,
)
from safetensors.torch import load_file

from mgit_core.errors import ErrorReason, InvalidArgumentError

# Building takes a second or more whatever is built: torch and PEFT are imported, 91 MB are read and written.
pytestmark = pytest.mark.slow


def brief(label_set: int, steps: int = 2, learning_rate: float = 1e-4) -> Training:
    return Training(label_set=label_set, steps=steps, learning_rate=learning_rate, tokens=16, held_out=96)


BASE = Member(name="base", recipe=Base())
TUNED = Member(name="tuned", parents=(("base@1", "finetuned"),), recipe=Finetune(training=brief(2)))
CAST = Member(name="cast", parents=(("base@1", "cast"),), recipe=Cast("bfloat16"))
FAMILY = (
    BASE,
    TUNED,
    Member(
        name="head",
        parents=(("base@1", "finetuned"),),
        recipe=Finetune(training=brief(3, 40, 5e-3), scope="head"),
    ),
    Member(
        name="adapter",
        parents=(("base@1", "adapted"),),
        recipe=Adapter(training=brief(3, learning_rate=1e-2), targets="query-value"),
    ),
    Member(name="merged", parents=(("base@1", "adapted"), ("adapter@1", "merged")), recipe=MergeAdapter()),
    Member(name="pruned", parents=(("tuned@1", "pruned"),), recipe=Prune()),
    Member(
        name="recovered",
        parents=(("pruned@1", "finetuned"),),
        recipe=Finetune(training=brief(2), scope="unpruned"),
    ),
    Member(name="mean", parents=(("tuned@1", "merged"), ("head@1", "merged")), recipe=Average()),
    CAST,
)
MATRIX = "encoder.layer.3.intermediate.dense.weight"
QUERY = "encoder.layer.3.attention.self.query"


def ignore(_progress: Progress) -> None:
    pass


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights(built: Built) -> dict[str, torch.Tensor]:
    return load_file(built.path / "model.safetensors")


def members_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("family")


@pytest.fixture(scope="module")
def family(folder: Path) -> dict[str, Built]:
    return {built.member.name: built for built in build(FAMILY, folder, ignore)}


def test_members_come_back_in_the_order_of_the_list(family: dict[str, Built]) -> None:
    assert [member.name for member in FAMILY] == list(family)


def test_the_same_recipe_gives_the_same_bytes(family: dict[str, Built], tmp_path: Path) -> None:
    again = build((BASE, TUNED), tmp_path, ignore)[1]

    assert contents(family["tuned"].path) == contents(again.path)


def test_a_second_build_makes_nothing(family: dict[str, Built], folder: Path) -> None:
    heard: list[Progress] = []

    again = build(FAMILY, folder, heard.append)

    assert [(True, 0)] * len(FAMILY) == [(one.reused, one.step) for one in heard]
    assert list(family.values()) == again


def test_an_interruption_leaves_no_half_member(tmp_path: Path, family: dict[str, Built]) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build((BASE, CAST, TUNED), tmp_path, interrupt)
    left = members_in(tmp_path)
    finished = build((BASE, CAST, TUNED), tmp_path, ignore)

    assert [finished[1].path.parent.name] == left
    assert contents(family["tuned"].path) == contents(finished[2].path)


def test_what_a_killed_build_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".building-killed" / "model").mkdir(parents=True)
    (tmp_path / ".building-killed" / "model" / "model.safetensors").write_bytes(b"half")

    built = build((BASE, CAST), tmp_path, ignore)

    assert [built[1].path.parent.name] == members_in(tmp_path)


def test_another_recipe_under_the_same_name_is_another_folder(
    family: dict[str, Built], tmp_path: Path
) -> None:
    other = Member(name="cast", parents=CAST.parents, recipe=Cast("float16"))

    assert family["cast"].path.parent.name != build((BASE, other), tmp_path, ignore)[1].path.parent.name


def test_key_names_the_folder_of_what_was_made_and_the_package_of_the_base(family: dict[str, Built]) -> None:
    assert family["cast"].path.parent.name == family["cast"].key
    assert family["base"].key.startswith("base-v1-")


def test_training_reports_each_step(tmp_path: Path) -> None:
    heard: list[Progress] = []

    build((BASE, TUNED), tmp_path, heard.append)

    assert [(one.step, one.steps) for one in heard] == [(0, 0), (0, 0), (1, 2), (2, 2)]


def test_a_fine_tune_keeps_the_bases_names_and_adds_a_head(family: dict[str, Built]) -> None:
    added = {"classifier.weight", "classifier.bias"}

    for name in ("tuned", "head", "merged", "pruned", "recovered", "mean"):
        assert set(weights(family["base"])) | added == set(weights(family[name]))


def test_a_fine_tune_changes_the_encoder(family: dict[str, Built]) -> None:
    assert not torch.equal(weights(family["base"])[MATRIX], weights(family["tuned"])[MATRIX])


def test_a_trained_head_leaves_every_tensor_of_the_base_as_it_is(family: dict[str, Built]) -> None:
    head = weights(family["head"])

    assert all(
        tensor.numpy().tobytes() == head[name].numpy().tobytes()
        for name, tensor in weights(family["base"]).items()
    )


def test_a_trained_head_is_better_than_the_most_frequent_label(family: dict[str, Built]) -> None:
    known = family["head"].metadata

    assert float(known["accuracy"]) > float(known["majority"]) + 0.1
    assert float(known["last_loss"]) < float(known["first_loss"])


def test_a_merged_adapter_adds_its_scaled_product(family: dict[str, Built]) -> None:
    adapter = load_file(family["adapter"].path / "adapter_model.safetensors")
    product = (
        adapter[f"base_model.model.{QUERY}.lora_B.weight"]
        @ adapter[f"base_model.model.{QUERY}.lora_A.weight"]
    )

    expected = weights(family["base"])[f"{QUERY}.weight"] + 2.0 * product  # alpha 16 over rank 8
    torch.testing.assert_close(weights(family["merged"])[f"{QUERY}.weight"], expected)
    assert product.abs().max() > 0


def test_a_merged_adapter_answers_as_the_adapter_does(family: dict[str, Built]) -> None:
    assert family["adapter"].metadata["accuracy"] == family["merged"].metadata["accuracy"]


def test_an_adapter_names_its_base(family: dict[str, Built]) -> None:
    config = json.loads((family["adapter"].path / "adapter_config.json").read_text(encoding="utf-8"))

    assert config["base_model_name_or_path"] == "minilm"


def test_a_prune_zeroes_the_smaller_half(family: dict[str, Built]) -> None:
    before = weights(family["tuned"])[MATRIX]
    after = weights(family["pruned"])[MATRIX]

    zeroed = after == 0
    assert pytest.approx(zeroed.float().mean().item(), abs=1e-4) == 0.5
    assert before[zeroed].abs().max() < before[~zeroed].abs().min()
    assert torch.equal(before[~zeroed], after[~zeroed])


def test_a_recovery_trains_and_keeps_the_zeros(family: dict[str, Built]) -> None:
    pruned = weights(family["pruned"])[MATRIX]
    recovered = weights(family["recovered"])[MATRIX]

    assert not torch.equal(pruned, recovered)
    assert recovered[pruned == 0].count_nonzero() == 0


def test_a_mean_is_half_the_sum_with_the_first_parents_head(family: dict[str, Built]) -> None:
    first, second, mean = (weights(family[name]) for name in ("tuned", "head", "mean"))

    assert torch.equal((first[MATRIX] + second[MATRIX]) / 2, mean[MATRIX])
    assert torch.equal(first["classifier.weight"], mean["classifier.weight"])


def test_a_cast_changes_floats_and_keeps_integers(family: dict[str, Built]) -> None:
    base, narrow = weights(family["base"]), weights(family["cast"])

    assert torch.equal(base[MATRIX].bfloat16(), narrow[MATRIX])
    assert torch.equal(base["embeddings.position_ids"], narrow["embeddings.position_ids"])


def test_settings_of_the_caller_are_put_back(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.initial_seed())

    build((BASE, TUNED), tmp_path, ignore)

    settings = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.initial_seed())
    assert expected == settings


@pytest.mark.parametrize("members", [(TUNED,), (TUNED, BASE)], ids=["absent", "after"])
def test_a_parent_that_does_not_come_first_is_refused(members: Sequence[Member], tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        build(members, tmp_path, ignore)

    assert caught.value.reason == ErrorReason.INVALID_ARGUMENT
