from __future__ import annotations

from pathlib import Path

import pytest

from mgit.settings import process_environment, read_settings


def test_without_variables_there_are_defaults() -> None:
    settings = read_settings({})
    assert (settings.address, settings.token, settings.tls_ca) == (None, None, None)
    assert settings.home.is_absolute()
    assert settings.home.name == "mgit"


def test_variables_are_read_and_empty_ones_count_as_missing(tmp_path: Path) -> None:
    settings = read_settings(
        {"MGIT_ADDRESS": "h:1", "MGIT_TOKEN": "", "MGIT_TLS_CA": "~/ca.pem", "MGIT_HOME": str(tmp_path)}
    )
    assert (settings.address, settings.token, settings.home) == ("h:1", None, tmp_path)
    assert settings.tls_ca == Path.home() / "ca.pem"


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(read_settings({"MGIT_TOKEN": "secret"}))


def test_the_environment_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MGIT_ADDRESS=file:1\nMGIT_TOKEN=from-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MGIT_ADDRESS", "environment:1")
    monkeypatch.delenv("MGIT_TOKEN", raising=False)
    values = process_environment()
    assert (values["MGIT_ADDRESS"], values["MGIT_TOKEN"]) == ("environment:1", "from-file")


def test_the_audit_token_is_read_and_not_shown() -> None:
    settings = read_settings({"MGIT_AUDIT_TOKEN": "secret"})
    assert (settings.audit_token, settings.token) == ("secret", None)
    assert "secret" not in repr(settings)
