from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from examples.minilm.family import Built, Progress, build
from examples.minilm.recipe import Base, Member, Multitask, Task, TaskHead, Training
from examples.minilm.text import LabeledText, read_label_set
from examples.minilm.variation import task_text
from safetensors.torch import load_file

# Building takes a second or more: torch is imported, 91 MB are read and written.
pytestmark = pytest.mark.slow

TASKS = (Task(2), Task(2, (2, 1)))
JOINT = Training(label_set=2, steps=3, learning_rate=1e-3, tokens=16)
FAMILY = (
    Member(name="base", recipe=Base()),
    Member(name="trunk", parents=(("base@1", "finetuned"),), recipe=Multitask(tasks=TASKS, training=JOINT)),
    Member(name="first", parents=(("trunk@1", "derived"),), recipe=TaskHead(0)),
    Member(name="second", parents=(("trunk@1", "derived"),), recipe=TaskHead(1)),
)
MATRIX = "encoder.layer.3.intermediate.dense.weight"


@functools.cache
def label_set() -> LabeledText:
    """The set of both tasks, parsed once for all tests."""
    return read_label_set(2)


@pytest.fixture(scope="module")
def heard() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory, heard: list[Progress]) -> dict[str, Built]:
    folder = tmp_path_factory.mktemp("joint")
    return {built.member.name: built for built in build(FAMILY, folder, heard.append)}


def read(built: Built) -> dict[str, bytes]:
    tensors = load_file(built.path / "model.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def config(built: Built) -> dict[str, object]:
    return json.loads((built.path / "config.json").read_text(encoding="utf-8"))


def test_members_of_a_trunk_share_its_encoder_and_not_its_heads(family: dict[str, Built]) -> None:
    base, first, second = (read(family[name]) for name in ("base", "first", "second"))
    heads = {"classifier.weight", "classifier.bias"}

    assert {name for name in first if first[name] != second[name]} == heads
    assert first.keys() - heads == base.keys()
    assert first[MATRIX] != base[MATRIX]


def test_a_member_of_a_trunk_names_the_labels_of_its_task(family: dict[str, Built]) -> None:
    names = task_text(TASKS[1], label_set()).label_names

    found = config(family["second"])
    assert found["id2label"] == {str(label): name for label, name in enumerate(names)}
    assert found["label2id"] == {name: label for label, name in enumerate(names)}
    assert "task_labels" not in found


def test_a_trunk_knows_how_well_its_tasks_go(family: dict[str, Built]) -> None:
    assert 0 < float(family["trunk"].metadata["accuracy"]) <= 1
    assert family["trunk"].metadata["tasks"] == 2


@pytest.mark.usefixtures("family")
def test_steps_of_joint_training_are_told(heard: list[Progress]) -> None:
    assert [one.step for one in heard if one.member.name == "trunk"] == [0, 1, 2, 3]
    assert {one.steps for one in heard if one.member.name == "trunk" and one.step} == {3}


def test_joint_training_gives_the_same_bytes_again(family: dict[str, Built], tmp_path: Path) -> None:
    again = build(FAMILY[:2], tmp_path, lambda _progress: None)[1]

    assert read(family["trunk"]) == read(again)
