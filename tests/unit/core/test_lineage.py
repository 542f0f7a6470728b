"""Values of the lineage graph, and what may be said about a model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ModelState, ModelSummary, Relation, check_metadata, parse_relation


@pytest.mark.parametrize("text", ["finetuned", "FINETUNED", "FineTuned"])
def test_a_relation_is_read_in_any_case(text: str) -> None:
    assert parse_relation(text) is Relation.FINETUNED


@pytest.mark.parametrize("text", ["", "revision", "finetuned_from", "x" * 10_000])
def test_another_relation_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="quantized") as error:
        parse_relation(text)
    assert error.value.reason is ErrorReason.INVALID_RELATION
    assert len(error.value.message) < 300


def test_a_summary_names_itself() -> None:
    summary = ModelSummary(
        uid="u", name="a/b", version=3, state=ModelState.PRESENT, created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert summary.ref == "a/b@3"


def test_plain_metadata_is_kept() -> None:
    metadata = {"a": "text", "_b.c-d": 2**63 - 1, "e": -(2**63), "f": 0.5, "g": False, "h" * 100: ""}
    assert check_metadata(metadata) == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {"": 1},
        {"1a": 1},
        {"a b": 1},
        {"a`b": 1},
        {"a\n": 1},
        {"h" * 101: 1},
        {"a": None},
        {"a": [1]},
        {"a": {"b": 1}},
        {"a": b"bytes"},
        {"a": 2**63},
        {"a": "half a pair \ud800"},
        {"a": float("nan")},
        {"a": float("-inf")},
        {"a": "x" * 65_536},
    ],
)
def test_other_metadata_is_refused(metadata: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        check_metadata(metadata)
    assert error.value.reason is ErrorReason.INVALID_METADATA
    assert len(error.value.message) < 300
