from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from mgit.local.distribution import fetch_neo4j, is_fetched
from mgit_core.errors import ErrorReason, FailedPreconditionError

# Copies as Maven does, and tells who runs it.
FETCHES = """
for argument in "$@"; do case $argument in -DoutputDirectory=*) folder=${argument#*=};; esac; done
mkdir -p "$folder" && echo jar > "$folder/neo4j-server-5.26.31.jar" && echo "$JAVA_HOME" > "$folder/java-home"
"""
OFFLINE = """
echo "[ERROR] Could not transfer artifact org.neo4j:neo4j:pom:5.26.31: repo.invalid: Name or service not known"
echo "[ERROR]"
exit 1
"""


def put_maven(
    folder: Path, script: str, monkeypatch: pytest.MonkeyPatch, *, path: str = "/usr/bin:/bin"
) -> None:
    """A Maven that does what ``script`` says; the real one needs a network."""
    folder.mkdir(exist_ok=True)
    maven = folder / "mvn"
    maven.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{path}")


def test_the_jars_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_maven(tmp_path / "bin", FETCHES, monkeypatch)
    cache = tmp_path / "cache"
    assert not is_fetched(cache)

    jars = fetch_neo4j(cache)
    put_maven(tmp_path / "bin", OFFLINE, monkeypatch)

    assert is_fetched(cache)
    assert fetch_neo4j(cache) == jars
    assert (jars / "neo4j-server-5.26.31.jar").is_file()
    assert [path.name for path in cache.iterdir()] == [jars.name]


def test_callers_at_once_get_the_same_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_maven(tmp_path / "bin", FETCHES, monkeypatch)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_neo4j(tmp_path / "cache"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [found[0].name]


def test_a_folder_that_goes_while_leftovers_are_looked_through_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_maven(tmp_path / "bin", FETCHES, monkeypatch)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "fetching-gone").symlink_to("nowhere")  # Listed, and not there for who asks for its age.

    assert fetch_neo4j(cache).is_dir()


def test_without_maven_the_three_ways_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(FailedPreconditionError, match="Maven was not found") as caught:
        fetch_neo4j(tmp_path / "cache")

    assert caught.value.reason is ErrorReason.MAVEN_MISSING
    assert all(way in caught.value.message for way in ("install Maven", "docker compose", "NEO4J_URI"))


def test_offline_maven_is_told_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_maven(tmp_path / "bin", OFFLINE, monkeypatch)

    with pytest.raises(FailedPreconditionError, match="Name or service not known") as caught:
        fetch_neo4j(tmp_path / "cache")

    assert caught.value.reason is ErrorReason.MAVEN_MISSING
    assert "NEO4J_URI" in caught.value.message
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_maven_that_copies_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_maven(tmp_path / "bin", "exit 0", monkeypatch)

    with pytest.raises(FailedPreconditionError, match="could not fetch"):
        fetch_neo4j(tmp_path / "cache")


def test_maven_gets_a_java_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("mkdir", "sh"):
        (tools / name).symlink_to(f"/bin/{name}")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    put_maven(tmp_path / "bin", FETCHES, monkeypatch, path=str(tools))

    jars = fetch_neo4j(tmp_path / "cache")

    java = Path((jars / "java-home").read_text(encoding="utf-8").strip()) / "bin" / "java"
    assert java.stat().st_mode & stat.S_IXUSR


def test_what_a_killed_fetch_left_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_maven(tmp_path / "bin", FETCHES, monkeypatch)
    old, young = tmp_path / "cache" / "fetching-old", tmp_path / "cache" / "fetching-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))

    fetch_neo4j(tmp_path / "cache")

    assert not old.exists()
    assert young.exists()
