"""``clone push pull remote``, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.collaborate.conftest import Pair, equal
from tests.integration.local.command_line import CommandLine

from mgit_core.errors import ErrorReason

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


@pytest.fixture
def mgit_here(pair: Pair, home: Path) -> CommandLine:
    return CommandLine(home, {"MGIT_ADDRESS": pair.here.address})


def test_remotes_are_added_listed_and_forgotten(mgit_here: CommandLine, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("very-secret")
    assert mgit_here.run("remote", "add", "team", "localhost:7", "--token-file", str(token)).code == 0
    listed = mgit_here.run("remote", "ls", "--output", "json")
    assert [each["name"] for each in listed.document["remotes"]] == ["origin", "team"]
    assert "very-secret" not in listed.out + listed.err + mgit_here.run("remote", "ls").out
    assert mgit_here.run("remote", "rm", "team").code == 0
    gone = mgit_here.run("remote", "rm", "team", "--output", "json")
    assert (gone.code, gone.error["reason"]) == (3, ErrorReason.REMOTE_NOT_FOUND)


def test_a_remote_that_is_none_is_wrong_usage(mgit_here: CommandLine) -> None:
    ended = mgit_here.run("remote", "add", "a/b", "localhost:7", "--output", "json")
    assert (ended.code, ended.error["reason"]) == (2, ErrorReason.INVALID_REMOTE)


def test_push_and_pull_answer_with_their_keys(pair: Pair, mgit_here: CommandLine) -> None:
    pair.family(pair.here)
    pushed = mgit_here.run("push", "origin", pair.called("tuned"), "--output", "json")
    assert [each["ref"] for each in pushed.document["models"]] == [
        f"{pair.name}-base@1",
        f"{pair.name}-tuned@1",
    ]
    assert pushed.document["bytes_sent"] > pushed.document["bytes_received"] > 0
    pulled = mgit_here.run("pull", pair.called("tuned"), "--output", "json")
    assert (pulled.document["models"], pulled.document["known"]) == ([], 2)


def test_a_person_reads_what_came_and_what_was_saved(pair: Pair, mgit_here: CommandLine) -> None:
    pair.family(pair.there)
    pair.here.add(pair.called("base"), pair.tensors(5), progress=None)
    pulled = mgit_here.run("pull", "origin", pair.called("tuned"), "--since", pair.called("base"))
    assert pulled.lines == [
        f"origin/{pair.name}-base@1 (there {pair.name}-base@1), promised",
        f"{pair.name}-tuned@1",
    ]
    assert "Pulled 2 models, 0 were there" in pulled.err
    assert "'mgit pull REF' fetches" in pulled.err
    promised = mgit_here.run(
        "get", f"origin/{pair.name}-base", "--to", str(mgit_here.home / "x"), "--output", "json"
    )
    assert (promised.code, promised.error["reason"]) == (4, ErrorReason.PARAMETERS_PROMISED)
    assert mgit_here.run("pull", f"origin/{pair.name}-base").code == 0


def test_a_refused_push_is_a_conflict_and_may_be_renamed(pair: Pair, mgit_here: CommandLine) -> None:
    pair.here.add(pair.called("m"), pair.tensors(1), progress=None)
    pair.there.add(pair.called("m"), pair.tensors(2), progress=None)
    refused = mgit_here.run("push", pair.called("m"), "--output", "json")
    assert (refused.code, refused.error["reason"]) == (4, ErrorReason.PUSH_REFUSED)
    renamed = mgit_here.run("push", pair.called("m"), "--rename", "--prefix", "me", "--output", "quiet")
    assert renamed.lines == [f"me/{pair.name}-m@1"]
    taken = mgit_here.run("pull", pair.called("m"), "--no-rename", "--output", "json")
    assert (taken.code, taken.error["reason"]) == (4, ErrorReason.NAME_TAKEN)


def test_a_clone_into_a_store_with_the_same_names_keeps_both(pair: Pair, mgit_here: CommandLine) -> None:
    """All that other tests left there comes, too."""
    _, tuned = pair.family(pair.there)
    ours = pair.tensors(8)
    pair.here.add(pair.called("tuned"), ours, progress=None)
    mgit_here.run("remote", "rm", "origin")
    cloned = mgit_here.run("clone", pair.there.address, "--name", "up", "--output", "json")
    assert cloned.code == 0, cloned.err
    assert f"up/{pair.name}-tuned@1" in [each["ref"] for each in cloned.document["models"]]
    assert equal(pair.here.get(pair.called("tuned")), ours)
    assert equal(pair.here.get(f"up/{pair.name}-tuned"), tuned)
    again = mgit_here.run("clone", pair.there.address, "--name", "up", "--output", "json")
    assert again.document["models"] == []
    other = mgit_here.run("clone", "localhost:9", "--name", "up", "--output", "json")
    assert (other.code, other.error["reason"]) == (4, ErrorReason.REMOTE_EXISTS)
