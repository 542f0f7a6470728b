"""Recipes of merges and model cards, as values."""

from __future__ import annotations

from typing import Any

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Relation
from mgit_core.recipes import RecipeParent, recipe_of_card, recipe_of_merge


def merged(name: str, weight: float | None = None) -> RecipeParent:
    return RecipeParent(name=name, relation=Relation.MERGED, weight=weight)


def model(name: object, weight: object = None) -> dict[str, object]:
    return {"model": name} if weight is None else {"model": name, "parameters": {"weight": weight}}


def test_weights_of_a_linear_merge_become_shares() -> None:
    recipe = recipe_of_merge({"merge_method": "linear", "models": [model("a/x", 3), model("b", 1.0)]})
    assert recipe.parents == (merged("a/x", 0.75), merged("b", 0.25))
    assert recipe.metadata == {"merge_method": "linear"}


def test_weights_that_are_not_to_be_normalized_stay() -> None:
    recipe = recipe_of_merge(
        {
            "merge_method": "linear",
            "models": [model("a", 3), model("b", 1)],
            "parameters": {"normalize": False},
        }
    )
    assert recipe.parents == (merged("a", 3.0), merged("b", 1.0))


def test_one_missing_weight_leaves_the_others_as_they_are() -> None:
    recipe = recipe_of_merge({"merge_method": "linear", "models": [model("a", 3), model("b")]})
    assert recipe.parents == (merged("a", 3.0), merged("b"))


def test_weights_that_cancel_are_no_shares() -> None:
    recipe = recipe_of_merge({"merge_method": "linear", "models": [model("a", 1), model("b", -1)]})
    assert recipe.parents == (merged("a", 1.0), merged("b", -1.0))


@pytest.mark.parametrize(
    "method", ["ties", "task_arithmetic", "dare_ties", "della", "breadcrumbs", "model_stock"]
)
def test_a_base_that_is_computed_with_is_a_parent_behind_the_models(method: str) -> None:
    recipe = recipe_of_merge(
        {"merge_method": method, "base_model": "base", "models": [model("base"), model("a", 0.3)]}
    )
    assert recipe.parents == (merged("base"), merged("a", 0.3))
    without = recipe_of_merge({"merge_method": method, "base_model": "base", "models": [model("a", 0.3)]})
    assert without.parents == (merged("a", 0.3), RecipeParent(name="base", relation=Relation.DERIVED))


def test_the_base_of_a_slerp_is_one_of_its_models_and_no_parent_besides() -> None:
    document = {
        "merge_method": "slerp",
        "base_model": "a",
        "slices": [
            {"sources": [{"model": "a", "layer_range": [0, 32]}, {"model": "b", "layer_range": [0, 32]}]}
        ],
        "parameters": {"t": [{"filter": "self_attn", "value": [0, 0.5, 1]}, {"value": 0.5}]},
    }
    assert recipe_of_merge(document).parents == (merged("a"), merged("b"))


def test_a_model_of_several_slices_comes_once_with_the_weight_that_all_give() -> None:
    slices = [{"sources": [model("a", 1), model("b", 2)]}, {"sources": [model("a", 1), model("b", 3)]}]
    recipe = recipe_of_merge({"merge_method": "passthrough", "slices": slices})
    assert recipe.parents == (merged("a", 1.0), merged("b"))


@pytest.mark.parametrize(
    "weight", [[0, 0.5, 1], [{"filter": "mlp", "value": 0.5}], True, float("nan"), "half"]
)
def test_a_weight_that_is_not_one_number_is_not_told(weight: object) -> None:
    assert recipe_of_merge({"merge_method": "ties", "models": [model("a", weight)]}).parents == (merged("a"),)


@pytest.mark.parametrize(
    "name", ["org/m+org/adapter", {"model": "org/m"}, {"path": "org/m"}, {"model": {"path": "org/m"}}]
)
def test_a_model_is_named_by_its_path_without_adapters(name: object) -> None:
    assert recipe_of_merge({"merge_method": "linear", "models": [model(name)]}).parents == (merged("org/m"),)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"merge_method": 3, "models": [model("a")]},
        {"merge_method": "linear"},
        {"merge_method": "linear", "models": []},
        {"merge_method": "linear", "models": "a"},
        {"merge_method": "linear", "models": ["a"]},
        {"merge_method": "linear", "models": [{}]},
        {"merge_method": "linear", "models": [{"model": "  "}]},
        {"merge_method": "linear", "models": [{"model": "a", "parameters": 3}]},
        {"merge_method": "linear", "slices": [{"sources": 3}]},
        {"merge_method": "linear", "models": [model(f"m{number}") for number in range(1_001)]},
    ],
    ids=range(11),
)
def test_a_merge_that_cannot_be_read_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        recipe_of_merge(document)
    assert error.value.reason is ErrorReason.UNREADABLE_INPUT


def test_what_a_message_shows_of_an_endless_value_is_short() -> None:
    nested: list[object] = ["x"] * 10
    for _ in range(30):
        nested = [nested] * 10
    with pytest.raises(InvalidArgumentError) as error:
        recipe_of_merge({"merge_method": nested})
    assert len(error.value.message) < 1_000


@pytest.mark.parametrize(
    ("fields", "relation"),
    [
        ({}, Relation.FINETUNED),
        ({"library_name": "peft"}, Relation.ADAPTED),
        ({"base_model_relation": "adapter"}, Relation.ADAPTED),
        ({"base_model_relation": "quantized"}, Relation.QUANTIZED),
        ({"base_model_relation": "merge"}, Relation.MERGED),
        ({"base_model_relation": "finetune", "library_name": "peft"}, Relation.FINETUNED),
    ],
)
def test_the_relation_of_a_card_is_the_told_one_or_the_hubs_reading(
    fields: dict[str, object], relation: Relation
) -> None:
    recipe = recipe_of_card({"base_model": "org/base", **fields})
    assert recipe.parents == (RecipeParent(name="org/base", relation=relation),)


def test_a_card_with_several_bases_is_a_merge_and_keeps_licence_and_data_sets() -> None:
    recipe = recipe_of_card(
        {"base_model": ["a", "b", "a"], "license": "mit", "datasets": ["glue", "squad", "glue"], "tags": [1]}
    )
    assert recipe.parents == (merged("a"), merged("b"))
    assert recipe.metadata == {"license": "mit"}
    assert recipe.datasets == ("glue", "squad")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"base_model": []},
        {"base_model": [3]},
        {"base_model": ""},
        {"base_model": "a", "base_model_relation": "cousin"},
        {"base_model": "a", "base_model_relation": 3},
        {"base_model": "a", "datasets": [{"name": "glue"}]},
    ],
    ids=range(7),
)
def test_a_card_that_cannot_be_read_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        recipe_of_card(document)
    assert error.value.reason is ErrorReason.UNREADABLE_INPUT
