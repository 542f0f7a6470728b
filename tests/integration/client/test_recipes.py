"""Models added with a recipe, over the real service."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mgit
from mgit.errors import ErrorReason, NotFoundError

pytestmark = pytest.mark.neo4j


def weights(seed: int) -> dict[str, np.ndarray]:
    return {"w": np.random.default_rng(seed).standard_normal((200, 300), np.float32)}


def written(tmp_path: Path, text: str, name: str = "recipe.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_merge_becomes_parents_with_weights_and_is_stored_for_nearly_nothing(
    repo: mgit.Repository, tmp_path: Path
) -> None:
    ours, theirs = repo.add("merge/ours", weights(1)), repo.add("theirs", weights(2))
    recipe = written(
        tmp_path,
        "merge_method: linear\nmodels:\n"
        "- {model: merge/ours, parameters: {weight: 3}}\n- {model: /models/theirs, parameters: {weight: 1}}\n",
    )
    soup = {"w": np.float32(0.75) * weights(1)["w"] + np.float32(0.25) * weights(2)["w"]}

    added = repo.add("merge/soup", soup, recipe=recipe)

    assert [(edge.parent_uid, edge.relation, edge.weight) for edge in added.parents] == [
        (ours.uid, mgit.Relation.MERGED, 0.75),
        (theirs.uid, mgit.Relation.MERGED, 0.25),
    ]
    assert added.metadata["merge_method"] == "linear"
    assert added.addition is not None
    assert added.addition.new_bytes < soup["w"].nbytes // 50
    assert any("merged from theirs@1, weight 0.25" in note for note in added.addition.notes)


def test_what_is_said_with_the_model_wins_over_the_card(repo: mgit.Repository, tmp_path: Path) -> None:
    base = repo.add("card-base", weights(3))
    card = written(
        tmp_path,
        "---\nbase_model: org/card-base\nlicense: mit\ndatasets: [glue, 'not a name!']\n---\n",
        "README.md",
    )

    added = repo.add(
        "card-child", weights(4), parents=[mgit.pruned(base)], metadata={"license": "own"}, recipe=card
    )

    assert [(edge.parent_uid, edge.relation) for edge in added.parents] == [(base.uid, mgit.Relation.PRUNED)]
    assert added.metadata["license"] == "own"
    assert [dataset.name for dataset in added.datasets] == ["glue"]
    assert added.addition is not None
    assert any("'not a name!'" in note for note in added.addition.notes)


def test_models_that_nobody_knows_are_all_named_and_nothing_is_added(
    repo: mgit.Repository, tmp_path: Path
) -> None:
    recipe = written(tmp_path, "merge_method: ties\nbase_model: lost\nmodels: [{model: gone/away}]\n")
    with pytest.raises(NotFoundError, match="gone/away, lost") as error:
        repo.add("recipe-orphan", weights(5), recipe=recipe)
    assert error.value.reason is ErrorReason.PARENT_NOT_FOUND
    with pytest.raises(NotFoundError):
        repo.get("recipe-orphan")
