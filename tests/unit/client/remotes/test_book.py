"""The remotes of a home: kept in a private file, without a token, beside other processes."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from mgit.remotes.book import Remotes
from mgit.remotes.values import Remote
from mgit_core.errors import (
    AlreadyExistsError,
    CorruptError,
    ErrorReason,
    InvalidArgumentError,
    NotFoundError,
)


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "home")


def test_a_home_knows_no_remote_at_first(remotes: Remotes) -> None:
    assert list(remotes) == []


def test_a_remote_that_was_added_is_found_by_its_name(remotes: Remotes) -> None:
    added = remotes.add("origin", "models.example.org:50051")
    assert added == Remote(name="origin", address="models.example.org:50051")
    assert remotes.get("origin") == added


def test_remotes_are_listed_by_name(remotes: Remotes) -> None:
    remotes.add("b", "host:2")
    remotes.add("a", "host:1")
    assert [each.name for each in remotes] == ["a", "b"]


def test_only_the_owner_may_read_the_file_and_no_token_is_in_it(remotes: Remotes, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("very-secret\n")
    remotes.add("origin", "host:1", token_file=token)
    file = tmp_path / "home" / "remotes.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "very-secret" not in file.read_text()
    assert "very-secret" not in repr(remotes.get("origin"))
    assert remotes.get("origin").token_file == token


def test_the_same_remote_may_be_added_again(remotes: Remotes) -> None:
    added = remotes.add("origin", "host:1")
    remotes.learn("origin", "store-1")
    assert remotes.add("origin", "host:1").address == added.address
    assert remotes.get("origin").store_id == "store-1"


def test_a_name_that_means_another_service_is_refused(remotes: Remotes) -> None:
    remotes.add("origin", "host:1")
    with pytest.raises(AlreadyExistsError, match="Remote origin is host:1 already") as caught:
        remotes.add("origin", "host:2")
    assert caught.value.reason is ErrorReason.REMOTE_EXISTS
    assert remotes.get("origin").address == "host:1"


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a..b", "a b", "x" * 101])
def test_a_name_that_cannot_stand_before_a_model_name_is_refused(remotes: Remotes, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="A remote is called") as caught:
        remotes.add(name, "host:1")
    assert caught.value.reason is ErrorReason.INVALID_REMOTE


@pytest.mark.parametrize(
    "address", ["", "host", ":1", "host:", "host:x", "host:0", "host:65536", "http://h:1"]
)
def test_an_address_that_is_none_is_refused(remotes: Remotes, address: str) -> None:
    with pytest.raises(InvalidArgumentError, match="HOST:PORT") as caught:
        remotes.add("origin", address)
    assert caught.value.reason is ErrorReason.INVALID_REMOTE


@pytest.mark.parametrize("option", ["token_file", "tls_ca"])
def test_a_file_that_is_not_there_is_refused(remotes: Remotes, tmp_path: Path, option: str) -> None:
    with pytest.raises(NotFoundError, match="cannot be read") as caught:
        remotes.add("origin", "host:1", **{option: tmp_path / "nothing"})
    assert caught.value.reason is ErrorReason.PATH_NOT_FOUND


def test_relative_files_are_kept_absolute(
    remotes: Remotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").touch()
    assert remotes.add("origin", "host:1", tls_ca="ca.pem").tls_ca == tmp_path / "ca.pem"


def test_a_remote_that_was_removed_is_gone(remotes: Remotes) -> None:
    added = remotes.add("origin", "host:1")
    assert remotes.remove("origin") == added
    with pytest.raises(NotFoundError, match="No remote is called 'origin'; there are none") as caught:
        remotes.get("origin")
    assert caught.value.reason is ErrorReason.REMOTE_NOT_FOUND


def test_an_unknown_name_is_answered_with_those_that_there_are(remotes: Remotes) -> None:
    remotes.add("left", "host:1")
    remotes.add("right", "host:2")
    with pytest.raises(NotFoundError, match="there are left, right"):
        remotes.remove("middle")


def test_origin_is_meant_where_none_is_named(remotes: Remotes) -> None:
    remotes.add("other", "host:1")
    origin = remotes.add("origin", "host:2")
    assert remotes.default() == origin


def test_the_only_remote_is_meant_where_none_is_named(remotes: Remotes) -> None:
    only = remotes.add("other", "host:1")
    assert remotes.default() == only


def test_one_of_several_has_to_be_named(remotes: Remotes) -> None:
    remotes.add("a", "host:1")
    remotes.add("b", "host:2")
    with pytest.raises(NotFoundError, match="A remote has to be named"):
        remotes.default()


def test_a_store_is_found_whatever_its_remote_is_called(remotes: Remotes) -> None:
    remotes.add("renamed", "host:1")
    remotes.learn("renamed", "store-1")
    found = remotes.find_store("store-1", lambda _: None)
    assert found is not None
    assert found.name == "renamed"


def test_only_remotes_that_were_never_asked_are_asked_for_their_store(remotes: Remotes) -> None:
    for number in (1, 2, 3):
        remotes.add(f"remote-{number}", f"host:{number}")
    remotes.learn("remote-1", "store-1")
    asked: list[str] = []

    def ask(remote: Remote) -> str | None:
        asked.append(remote.name)
        return {"remote-3": "store-3"}.get(remote.name)

    found = remotes.find_store("store-3", ask)
    assert found == remotes.get("remote-3")
    assert found.store_id == "store-3"
    assert asked == ["remote-2", "remote-3"]


def test_a_store_that_no_remote_has_is_not_found(remotes: Remotes) -> None:
    remotes.add("origin", "host:1")
    assert remotes.find_store("store-1", lambda _: None) is None


def test_nothing_is_learned_of_a_remote_that_was_removed(remotes: Remotes) -> None:
    remotes.learn("origin", "store-1")
    assert list(remotes) == []


def test_remotes_that_are_added_at_once_all_stay(remotes: Remotes) -> None:
    names = [f"remote-{number}" for number in range(16)]
    threads = [threading.Thread(target=remotes.add, args=(name, "host:1")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.name for each in remotes] == sorted(names)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2, "remotes": {}}', '{"format": 1, "remotes": 3}']
)
def test_a_file_of_something_else_is_told(remotes: Remotes, content: str) -> None:
    remotes.add("origin", "host:1")
    assert remotes.home is not None
    (remotes.home / "remotes.json").write_text(content)
    with pytest.raises(CorruptError, match="Delete it") as caught:
        remotes.list()
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_the_home_of_the_environment_is_meant_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGIT_HOME", os.fspath(tmp_path))
    Remotes().add("origin", "host:1")
    assert (tmp_path / "remotes.json").is_file()
