from __future__ import annotations

import pytest

from mgit.cli.arguments import parse_dataset, parse_metadata, parse_parent, parse_relations
from mgit.values import Dataset, Parent, Relation
from mgit_core.errors import ErrorReason, InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "parent"),
    [
        ("base", Parent("base", Relation.DERIVED)),
        ("org/base@3", Parent("org/base@3", Relation.DERIVED)),
        ("base:finetuned", Parent("base", Relation.FINETUNED)),
        ("base:FineTuned", Parent("base", Relation.FINETUNED)),
        ("a@best:merged:0.25", Parent("a@best", Relation.MERGED, 0.25)),
        ("a::2", Parent("a", Relation.DERIVED, 2.0)),
        (
            "@0190f5c4-0000-7000-8000-000000000000:cast",
            Parent("@0190f5c4-0000-7000-8000-000000000000", Relation.CAST),
        ),
    ],
)
def test_a_parent_is_a_reference_a_relation_and_a_weight(text: str, parent: Parent) -> None:
    assert parse_parent(text) == parent


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ErrorReason.INVALID_REFERENCE),
        (":merged", ErrorReason.INVALID_REFERENCE),
        ("a:merged:1:2", ErrorReason.INVALID_REFERENCE),
        ("a:cloned", ErrorReason.INVALID_RELATION),
        ("a:merged:heavy", ErrorReason.INVALID_ARGUMENT),
        ("a:merged:", ErrorReason.INVALID_ARGUMENT),
    ],
)
def test_a_parent_that_is_written_otherwise_is_refused(text: str, reason: ErrorReason) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_parent(text)

    assert caught.value.reason is reason


def test_metadata_keeps_numbers_and_truth_values() -> None:
    texts = ["epochs=3", "rate=1e-4", "done=true", "note=a=b", 'name="3"', "empty=", "word=NaN", "list=[1]"]

    assert parse_metadata(texts) == {
        "epochs": 3,
        "rate": 1e-4,
        "done": True,
        "note": "a=b",
        "name": "3",
        "empty": "",
        "word": "NaN",
        "list": "[1]",
    }


@pytest.mark.parametrize("texts", [["plain"], ["=3"], ["a=1", "a=2"], ["bad key=1"], [f"n={2**63}"]])
def test_metadata_that_cannot_be_kept_is_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_metadata(texts)

    assert caught.value.reason is ErrorReason.INVALID_METADATA


def test_a_data_set_has_a_name_and_perhaps_a_version() -> None:
    assert parse_dataset("docs") == Dataset(name="docs")
    assert parse_dataset("docs@2024-06") == Dataset(name="docs", version="2024-06")


@pytest.mark.parametrize("text", ["", "@1", "docs@"])
def test_a_data_set_without_name_or_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_dataset(text)


def test_relations_are_taken_once_in_order() -> None:
    assert parse_relations(["merged", "CAST", "merged"]) == (Relation.MERGED, Relation.CAST)
