from __future__ import annotations

from pathlib import Path

import pytest

from mgit.local.settings import read_stack_settings


def test_without_an_address_the_neo4j_is_managed(tmp_path: Path) -> None:
    settings = read_stack_settings({"MGIT_HOME": str(tmp_path), "NEO4J_PASSWORD": "left over"})

    assert settings.home == tmp_path
    assert settings.graph is None
    assert settings.store is None
    assert settings.listen is None


def test_an_address_of_a_neo4j_is_taken_with_its_credentials() -> None:
    settings = read_stack_settings(
        {"NEO4J_URI": "neo4j+s://graph:7687", "NEO4J_PASSWORD": "word", "NEO4J_DATABASE": "models"}
    )

    assert settings.graph is not None
    assert settings.graph.uri == "neo4j+s://graph:7687"
    assert (settings.graph.username, settings.graph.password) == ("neo4j", "word")
    assert settings.graph.database == "models"


def test_a_home_that_is_given_wins(tmp_path: Path) -> None:
    assert read_stack_settings({"MGIT_HOME": "/elsewhere"}, home=tmp_path / "here").home == tmp_path / "here"


def test_relative_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_stack_settings({"MGIT_HOME": "home", "MGIT_STORE": "store"})

    assert settings.home == tmp_path / "home"
    assert settings.store == tmp_path / "store"


def test_a_dotenv_file_stands_behind_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MGIT_HOME=/of/the/file\nMGIT_LISTEN=127.0.0.1:50099\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MGIT_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("MGIT_LISTEN", raising=False)

    settings = read_stack_settings()

    assert settings.home == tmp_path / "own"
    assert settings.listen == "127.0.0.1:50099"


def test_no_repr_shows_a_secret() -> None:
    settings = read_stack_settings(
        {"NEO4J_URI": "bolt://graph", "NEO4J_PASSWORD": "s3cret", "MGIT_TOKEN": "t0ken"}
    )

    assert "s3cret" not in repr(settings)
    assert "t0ken" not in repr(settings)
