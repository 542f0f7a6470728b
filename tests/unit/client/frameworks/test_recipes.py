"""Recipes from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgit.frameworks.recipes import read_recipe
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.lineage import Relation

MERGE = """
models:
  - model: tasks/reviews
    parameters: {weight: &half 0.5}
  - model: tasks/tickets
    parameters: {weight: *half}
merge_method: linear
dtype: float32
"""
CARD = """---
base_model: org/encoder
license: apache-2.0
---
# A model

---
base_model: another
"""


def test_a_merge_is_read(tmp_path: Path) -> None:
    path = tmp_path / "merge.yml"
    path.write_text(MERGE, encoding="utf-8")
    recipe = read_recipe(path)
    assert [(parent.name, parent.weight) for parent in recipe.parents] == [
        ("tasks/reviews", 0.5),
        ("tasks/tickets", 0.5),
    ]


def test_of_a_card_the_front_matter_counts(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(CARD, encoding="utf-8")
    (parent,) = read_recipe(path).parents
    assert (parent.name, parent.relation) == ("org/encoder", Relation.FINETUNED)


def test_the_metadata_of_a_card_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text("base_model: org/encoder\n", encoding="utf-8")
    assert read_recipe(path).parents[0].name == "org/encoder"


def test_a_recipe_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no recipe") as error:
        read_recipe(tmp_path / "none.yaml")
    assert error.value.reason is ErrorReason.PATH_NOT_FOUND


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.yaml", b"models: [", "no YAML"),
        ("a.yaml", b"- a\n- b\n", "no names with values"),
        ("a.yaml", b"", "no names with values"),
        ("a.yaml", b"\xff\xfe\x00", "UTF-8"),
        ("a.yaml", b"base_model: !!python/object/apply:os.system ['true']", "no YAML"),
        ("a.yaml", b"[" * 100_000, "no YAML"),
        ("a.yaml", b"a" * ((1 << 20) + 1), "at most"),
        ("a.md", b"# A model without metadata\n", "two lines ---"),
        ("a.md", b"---\nbase_model: a\n", "two lines ---"),
    ],
    ids=["open", "list", "empty", "binary", "code", "deep", "large", "no-metadata", "no-end"],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=told) as error:
        read_recipe(path)
    assert error.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        read_recipe(tmp_path)
