from __future__ import annotations

from datetime import UTC, datetime

import pytest

import mgit
from mgit.values import (
    Lineage,
    ModelState,
    ModelSummary,
    Parent,
    Relation,
    Relative,
    Relatives,
    Statistics,
    reference_of,
)

SUMMARY = ModelSummary(
    uid="0190", name="m", version=2, state=ModelState.PRESENT, created_at=datetime(2026, 1, 1, tzinfo=UTC)
)


def test_a_value_is_referred_to_by_its_uid() -> None:
    assert reference_of(SUMMARY) == "@0190"
    assert reference_of("m@2") == "m@2"


@pytest.mark.parametrize("relation", list(Relation))
def test_every_relation_has_a_word(relation: Relation) -> None:
    word = getattr(mgit, relation.value)
    assert word("m") == Parent("m", relation)
    assert word(SUMMARY, 0.5) == Parent(SUMMARY, relation, 0.5)


def test_relatives_say_at_the_end_whether_they_were_cut() -> None:
    relatives = Relatives(iter([([Relative(SUMMARY, 1)], False), ([Relative(SUMMARY, 2)], True)]))
    assert relatives.truncated is None
    assert [relative.hops for relative in relatives] == [1, 2]
    assert relatives.truncated is True
    assert list(relatives) == []
    assert relatives.truncated is True


def test_answers_show_themselves_in_a_line() -> None:
    assert repr(Relative(SUMMARY, 1)) == "<m@2, 1 hop>"
    lineage = Lineage(models=(SUMMARY,), edges=(), revisions=(), truncated=True)
    assert repr(lineage) == "<lineage of 1 models, 0 provenance and 0 version edges, truncated>"


def test_the_ratio_of_an_empty_store_is_zero() -> None:
    zeros = dict.fromkeys(Statistics.__dataclass_fields__, 0)
    assert Statistics(**zeros).ratio == 0.0
