from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bench.compression.subjects import subjects_of
from bench.families import Part, parts_of
from bench.graphs import graph_parts
from examples.minilm.family import FULL, Built
from examples.minilm.graphs import MULTITASK
from examples.minilm.recipe import Cast, Member
from safetensors.numpy import save_file


@pytest.fixture
def built(tmp_path: Path) -> Sequence[Built]:
    """The full family with a tensor of the right type for each."""

    def make(member: Member) -> Built:
        folder = tmp_path / member.ref
        folder.mkdir()
        narrow = isinstance(member.recipe, Cast)
        save_file({"weight": np.zeros(3, np.float16 if narrow else np.float32)}, folder / "model.safetensors")
        return Built(member=member, key=member.ref, path=folder, metadata={})

    return [make(member) for member in FULL]


def test_differences_are_taken_from_the_first_parent_of_the_same_type(built: Sequence[Built]) -> None:
    bases = {subject.ref: subject.base.ref if subject.base else None for subject in subjects_of(built)}

    assert bases["minilm@1"] is None
    assert bases["soup01@1"] == "ft0@1"
    assert bases["pruned1@1"] == "pruned0@1"
    assert bases["ft0-fp16@1"] == "minilm-fp16@1"
    assert bases["minilm-fp16@1"] is None
    assert "lora0-adapter@1" not in bases


def test_a_part_has_the_edges_to_what_is_stored_with_it(built: Sequence[Built]) -> None:
    parts = {part.ref: part for part in parts_of(built)}

    assert len(parts) == 21
    assert parts["lora0@1"].parents == (("minilm@1", "adapted"),)
    assert parts["ft0-bf16@1"].parents == (("ft0@1", "cast"),)


def test_a_cast_without_its_parent_comes_from_the_base_in_its_type(built: Sequence[Built]) -> None:
    narrow = [one for one in built if one.member.name.endswith("bf16")]

    parts = {part.ref: part.parents for part in parts_of(narrow)}

    assert parts["minilm-bf16@1"] == ()
    assert parts["ft3-bf16@1"] == (("minilm-bf16@1", "finetuned"),)


def test_the_trunk_is_no_model_of_its_graph(tmp_path: Path) -> None:
    members = [Built(member=member, key=member.ref, path=tmp_path, metadata={}) for member in MULTITASK]

    parts = graph_parts(members)

    assert [part.ref for part in parts] == ["minilm@1", *(f"head{task}@1" for task in range(9))]
    assert {part.parents for part in parts[1:]} == {(("minilm@1", "finetuned"),)}


def test_the_size_of_a_part_is_that_of_its_file_or_of_all_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(5))
    (tmp_path / "two").write_bytes(bytes(7))

    assert Part(ref="a@1", source=tmp_path / "one").size_bytes == 5
    assert Part(ref="a@1", source=tmp_path).size_bytes == 12
