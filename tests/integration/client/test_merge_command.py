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
def test_merges_that_wait_are_listed(mgit_command: CommandLine) -> None:
    """As they are after their client was killed."""
    assert mgit_command.run("merge", "--staged").err == "No merge waits to be decided.\n"
    asked = ("merge", "m/ours", "m/apart", "--name", "m/waits", "--keep", "--output", "quiet")
    refs = [mgit_command.run(*asked).out.strip() for _ in range(2)]
    listed = mgit_command.run("merge", "--staged")
    assert listed.lines[0].split() == ["MERGE", "NAME", "OURS", "THEIRS", "BASE", "STAGED"]
    assert [line.split()[:5] for line in listed.lines[1:]] == [
        [ref, "m/waits", "m/ours@1", "m/apart@1", "m/base@1"] for ref in refs
    ]
    assert mgit_command.quiet("merge", "--staged") == refs
    document = mgit_command.json("merge", "--staged", "--limit", "1")
    assert document["truncated"] is True
    [found] = document["staged"]
    assert found.pop("created_at")
    assert found == {
        "uid": refs[0].removeprefix("@"),
        "name": "m/waits",
        "base": "m/base@1",
        "ours": "m/ours@1",
        "theirs": "m/apart@1",
    }
    for ref in refs:
        mgit_command.run("merge", "--discard", ref)
    assert mgit_command.quiet("merge", "--staged") == []


@pytest.mark.usefixtures("models")
def test_a_merge_is_shown_and_made_again(mgit_command: CommandLine) -> None:
    asked = ("merge", "m/ours", "m/theirs", "--name", "m/again", "--on-conflict", "ties", "--accept")
    [ref] = mgit_command.quiet(*asked)
    shown = mgit_command.run("show", ref)
    assert "merging, in the service" in shown.out
    assert "on_conflict=ties" in shown.out
    assert mgit_command.json("show", ref)["creation"]["function"] == "mgit/service:merge"
    rebuilt = mgit_command.run("rebuild", ref)
    assert (rebuilt.code, rebuilt.lines[0]) == (0, f"{ref}: identical, bit for bit, in 3 tensors")
    plan = mgit_command.run("update", "m/ours", "m/base", "--plan")
    assert plan.code == 4  # They do not follow each other; that is said before anything is planned.


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
