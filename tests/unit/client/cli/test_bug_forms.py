"""Bugs and whom they reach, as they are printed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mgit.bugs import BugReach
from mgit.cli.bug_forms import bug_fields, bug_lines, document_of_bug, document_of_reach, reach_lines
from mgit_core.bugs import (
    AffectedModel,
    AffectedReason,
    Bug,
    DatasetSubject,
    ModelSubject,
    TensorSubject,
)
from mgit_core.lineage import Dataset, ModelState, ModelSummary, Relation

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
BUG = Bug(
    id="01a21e80-ed35-708e-a3b0-5d2f4c6e7a10",
    title="NaN",
    affects=(ModelSubject("", "base@1"), TensorSubject(bytes(32)), DatasetSubject(Dataset(name="docs"))),
    created_at=NOON,
    updated_at=NOON,
)


def model(name: str, state: ModelState = ModelState.PRESENT) -> ModelSummary:
    return ModelSummary(uid=f"uid-{name}", name=name, version=1, state=state, created_at=NOON)


def affected(name: str, following: str | None, hops: int, **changed: object) -> AffectedModel:
    found = AffectedModel(
        model=model(name),
        reason=AffectedReason.INHERITED if following else AffectedReason.DIRECT,
        next_uid=None if following is None else f"uid-{following}",
        hops=hops,
        is_inferred=False,
    )
    return replace(found, **changed)  # type: ignore[arg-type]


def reach(*models: AffectedModel, unknown: tuple[ModelSummary, ...] = ()) -> BugReach:
    return BugReach(models=models, unknown=unknown, cleared=(), truncated=False)


def chain(length: int) -> BugReach:
    links = (affected(f"m{at}", f"m{at - 1}", at) for at in range(1, length))
    return reach(affected("m0", None, 0), *links)


def test_a_bug_as_a_document_is_all_that_is_known() -> None:
    document = document_of_bug(replace(BUG, fixed_in=(model("a"),)))
    assert document["affects"] == ["base@1", f"tensor:{'00' * 32}", "dataset:docs"]
    assert document["carried_by"] == [relation.value for relation in Relation]
    assert (document["severity"], document["state"]) == ("medium", "open")
    assert document["created_at"] == "2026-05-04T12:00:00.000+00:00"
    assert [each["ref"] for each in document["fixed_in"]] == ["a@1"]  # type: ignore[attr-defined]


def test_a_bug_for_a_person_names_what_it_affects_and_what_carries_it() -> None:
    text = "\n".join(bug_fields(BUG))
    assert "carried by  every relation" in text
    assert "dataset:docs" in text
    some = "\n".join(bug_fields(replace(BUG, carried_by=(Relation.CAST, Relation.MERGED))))
    assert "carried by  cast, merged" in some


def test_a_table_of_bugs_shortens_what_is_long() -> None:
    long = replace(
        BUG, title="x" * 60, affects=tuple(ModelSubject("", f"m{number}@1") for number in range(9))
    )
    [_, line] = bug_lines([long])
    assert f"{'x' * 45}..." in line
    assert "m0@1, m1@1, m2@1, (3 more), m6@1, m7@1, m8@1" in line
    assert list(bug_lines([])) == []


@pytest.mark.parametrize(
    ("length", "way"),
    [
        (2, "m0@1"),
        (4, "m2@1 -> m1@1 -> m0@1"),
        (7, "m5@1 -> m4@1 -> m3@1 -> m2@1 -> m1@1 -> m0@1"),
        (9, "m7@1 -> m6@1 -> m5@1 -> (2 more) -> m2@1 -> m1@1 -> m0@1"),
    ],
)
def test_a_way_is_shown_to_where_the_bug_is_from(length: int, way: str) -> None:
    lines = list(reach_lines(chain(length)))
    assert lines[1].split() == ["m0@1", "reported", "on", "it"]
    assert lines[-1].partition("inherited")[2].strip() == way


def test_a_document_has_whole_ways() -> None:
    models = document_of_reach(chain(9))["models"]
    assert models[-1]["witness"] == [f"m{at}@1" for at in range(8, -1, -1)]  # type: ignore[index]


def test_tags_doubts_and_removed_models_are_told() -> None:
    gone = replace(affected("gone", None, 0), model=model("gone", ModelState.REMOVED))
    doubted = affected("child", "gone", 1, is_inferred=True, tags=("canary", "prod"))
    found = reach(gone, doubted, unknown=(model("new"),))
    lines = list(reach_lines(found))
    assert lines[1].startswith("gone@1 (removed)")
    assert "inherited, over an inferred edge" in lines[2]
    assert lines[2].endswith("canary prod")
    assert [line for line in lines if line.startswith("  ")] == ["  child@canary", "  child@prod", "  new@1"]
    assert document_of_reach(found)["tags"] == [
        {"tag": "child@canary", "ref": "child@1"},
        {"tag": "child@prod", "ref": "child@1"},
    ]


def test_nothing_affected_is_nothing_printed() -> None:
    assert list(reach_lines(reach())) == []
