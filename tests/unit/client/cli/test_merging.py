"""Merges as they are printed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mgit.cli.merging import document_of_merge, merge_lines, parse_choices, staged_lines
from mgit.errors import InvalidArgumentError
from mgit.merging import Merge, MergeConflict, MergeOutcome, PossibleConflict, StagedMerge
from mgit.values import ModelState, ModelSummary

AGAIN = ["mgit", "merge", "ours", "their model", "--name", "x"]


def summary(name: str) -> ModelSummary:
    return ModelSummary(
        uid=f"uid-{name}",
        name=name,
        version=1,
        state=ModelState.PRESENT,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def conflict(
    *names: str, choices: tuple[str, ...] = ("ours", "theirs"), is_file: bool = False
) -> MergeConflict:
    return MergeConflict(
        names=names,
        layers=("layer",),
        ours="changed",
        theirs="changed",
        choices=choices,
        choice=None,
        why="both changed its values",
        is_file=is_file,
    )


def merge(outcome: MergeOutcome = MergeOutcome.CONFLICTED, **said: object) -> Merge:
    sides = {role: summary(role) for role in ("base", "ours", "theirs")}
    counts = dict.fromkeys(("unchanged", "ours", "theirs", "same", "conflict", "resolved"), 1)
    return Merge(outcome=outcome, counts=counts, **sides, **said)  # type: ignore[arg-type]


def test_choices_keep_their_order_and_a_pattern_may_hold_an_equals_sign() -> None:
    assert list(parse_choices(["a=b=ours", "x*=ties", "x*=theirs"]).items()) == [
        ("a=b", "ours"),
        ("x*", "ties"),
    ]


@pytest.mark.parametrize("text", ["ours", "=ours", "a="])
def test_a_choice_without_a_pattern_or_a_word_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="GLOB=CHOICE"):
        parse_choices([text])


def test_the_ways_out_are_those_that_all_conflicts_share() -> None:
    """And names that a shell would take apart are quoted."""
    found = merge(
        conflicts=(
            conflict("a b.weight", "tied.weight", choices=("ours", "theirs", "average")),
            conflict("config.json", is_file=True),
        )
    )
    lines = list(merge_lines(found, AGAIN))
    assert lines[0] == "conflicted"
    assert lines[1] == "ours@1 and theirs@1, against base@1"
    assert any(line.startswith("a b.weight and 1 tied to it") for line in lines)
    assert any(line.startswith("file config.json") for line in lines)
    assert "  mgit merge ours 'their model' --name x --on-conflict ours|theirs" in lines
    assert "  mgit merge ours 'their model' --name x --choose 'a b.weight=ours'" in lines


def test_of_many_conflicts_the_first_are_shown() -> None:
    lines = list(merge_lines(merge(conflicts=tuple(conflict(f"p{at}") for at in range(50))), AGAIN))
    assert sum(line.startswith("p") and "both changed" in line for line in lines) == 20
    assert "and 30 more; --output json lists all" in lines


def test_possible_conflicts_say_why() -> None:
    possible = (
        PossibleConflict(ours="a", theirs="b", dependence="shared-layer", through="top"),
        PossibleConflict(ours="", theirs="c", dependence="not-known"),
    )
    lines = list(merge_lines(merge(MergeOutcome.REJECTED, possible=possible), AGAIN))
    assert any(line.split()[:2] == ["a", "b"] and line.endswith("both feed top") for line in lines)
    assert any(line.startswith("(model)") for line in lines)


def test_the_document_has_its_documented_keys() -> None:
    document = document_of_merge(merge(conflicts=(conflict("a"),)))
    assert list(document) == [
        *(
            "ref",
            "outcome",
            "staged",
            "base",
            "ours",
            "theirs",
            "parameters",
            "conflicts",
            "possible_conflicts",
        ),
        *("tests", "notes", "stored_bytes"),
    ]
    assert document["conflicts"] == [
        {
            "names": ["a"],
            "layers": ["layer"],
            "is_file": False,
            "ours": "changed",
            "theirs": "changed",
            "why": "both changed its values",
            "choices": ["ours", "theirs"],
            "choice": None,
        }
    ]


def test_a_merge_whose_sides_are_not_known_any_more_is_told() -> None:
    """The answer to a repeated request, after a side was removed."""
    assert list(merge_lines(Merge(outcome=MergeOutcome.MERGED), AGAIN)) == ["merged"]


def test_merges_that_wait_are_a_table() -> None:
    staged = StagedMerge(
        uid="u",
        name="x",
        created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        base="b@1",
        ours="o@1",
        theirs="t@2",
    )
    head, row = staged_lines([staged])
    assert head.split() == ["MERGE", "NAME", "OURS", "THEIRS", "BASE", "STAGED"]
    assert row.split()[:5] == ["@u", "x", "o@1", "t@2", "b@1"]
    assert list(staged_lines([])) == []
