"""``mgit merge`` against a real service."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.integration.local.command_line import CommandLine
from tests.running_service import RunningService

import mgit

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


@pytest.fixture
def mgit_command(service: RunningService, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", {"MGIT_ADDRESS": service.address})


def content(**values: float) -> dict[str, np.ndarray]:
    numbers = {"one.weight": 0.0, "two.weight": 0.0, "three.weight": 0.0} | values
    return {name: np.full(64, value, np.float32) for name, value in numbers.items()}


@pytest.fixture(scope="module")
def models(repo: mgit.Repository) -> None:
    """A base; ours and theirs, which conflict in one parameter; and apart, which conflicts with none of ours."""
    base = repo.add("m/base", content())
    said = {"parents": [mgit.finetuned(base)]}
    repo.add("m/ours", content(**{"one.weight": 1, "two.weight": 1}), **said)  # type: ignore[arg-type]
    repo.add("m/theirs", content(**{"one.weight": 2}), **said)  # type: ignore[arg-type]
    repo.add("m/apart", content(**{"three.weight": 1}), **said)  # type: ignore[arg-type]


@pytest.mark.usefixtures("models")
def test_conflicts_are_shown_with_the_commands_that_resolve_them(mgit_command: CommandLine) -> None:
    ended = mgit_command.run("merge", "m/ours", "m/theirs", "--name", "m/merged")
    assert ended.code == 1
    assert ended.out.startswith("conflicted\nm/ours@1 and m/theirs@1, against m/base@1\n")
    [row] = [line.split() for line in ended.lines if line.startswith("one.weight")]
    assert " ".join(row) == "one.weight both changed its values ours theirs average task-arithmetic ties"
    again = "mgit merge m/ours m/theirs --name m/merged"
    assert f"  {again} --on-conflict ours|theirs|average|task-arithmetic|ties" in ended.lines
    assert f"  {again} --choose one.weight=ours" in ended.lines
    document = mgit_command.run(
        "--output", "json", "merge", "m/ours", "m/theirs", "--name", "m/merged"
    ).document
    assert (document["ref"], document["outcome"]) == (None, "conflicted")
    [conflict] = document["conflicts"]
    assert (conflict["names"], conflict["choice"]) == (["one.weight"], None)


@pytest.mark.usefixtures("models")
def test_a_conflict_is_resolved_by_a_pattern_and_the_rest_needs_a_test(mgit_command: CommandLine) -> None:
    """Nobody traced these models, so that ours' other change may depend on what was chosen."""
    asked = ("merge", "m/ours", "m/theirs", "--name", "m/chosen", "--choose", "one.*=theirs")
    refused = mgit_command.run(*asked)
    assert refused.code == 1
    assert refused.out.startswith("rejected\n")
    assert "the data flow is not known" in refused.out
    assert "no registered test judges it" in refused.err
    document = mgit_command.json(*asked, "--accept")
    assert (document["ref"], document["outcome"]) == ("m/chosen@1", "merged")
    assert document["parameters"] == {
        "unchanged": 1,
        "ours": 1,
        "theirs": 0,
        "same": 0,
        "conflict": 1,
        "resolved": 1,
    }
    assert mgit_command.quiet(
        "merge", "m/ours", "m/theirs", "--name", "m/mean", "--on-conflict", "average", "--accept"
    ) == ["m/mean@1"]


@pytest.mark.usefixtures("models")
def test_a_merge_that_is_kept_is_published_or_discarded(mgit_command: CommandLine) -> None:
    kept = mgit_command.run("--output", "json", "merge", "m/ours", "m/apart", "--name", "m/kept", "--keep")
    assert (kept.code, kept.document["outcome"], kept.document["ref"]) == (1, "staged", None)
    staged = f"@{kept.document['staged']}"
    published = mgit_command.json("merge", "--publish", staged)
    assert published == {"ref": "m/kept@1", "outcome": "published", "conflicts": []}
    other = mgit_command.run("merge", "m/ours", "m/apart", "--name", "m/kept", "--keep", "--output", "quiet")
    assert (
        mgit_command.run("merge", "--discard", other.out.strip()).out == f"discarded: {other.out.strip()}\n"
    )
    assert mgit_command.run("merge", "--publish", other.out.strip()).code == 3


@pytest.mark.usefixtures("models")
def test_what_is_asked_wrongly_is_refused(mgit_command: CommandLine, repo: mgit.Repository) -> None:
    repo.add("m/stranger", content())
    stranger = mgit_command.run("merge", "m/ours", "m/stranger", "--name", "m/none", "--output", "json")
    assert (stranger.code, stranger.error["reason"]) == (4, "NO_MERGE_BASE")
    for wrong in (
        ["merge", "m/ours", "m/theirs"],
        ["merge", "m/ours", "m/theirs", "--name", "x", "--on-conflict", "mine"],
        ["merge", "m/ours", "m/theirs", "--name", "x", "--choose", "one"],
        ["merge", "--publish", "@1", "--discard", "@1"],
        ["merge", "--publish", "@1"],
    ):
        assert mgit_command.run(*wrong).code == 2, wrong
