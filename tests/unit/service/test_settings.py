from __future__ import annotations

import os
from pathlib import Path

import pytest

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit_service.settings import ListenAddress, ServiceSettings, read_settings

SECRET = "correct horse"  # noqa: S105 - to be looked for in what must not show it


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("MGIT_", "NEO4J_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> ServiceSettings:
    for name, value in {"MGIT_STORE": "store", **values}.items():
        monkeypatch.setenv(name, value)
    return read_settings()


def test_defaults_listen_on_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch)
    assert (str(found.listen), found.listen.is_loopback) == ("127.0.0.1:50051", True)
    assert (found.digest, found.neo4j_username, found.neo4j_database) == (
        DigestAlgorithm.BLAKE3,
        "neo4j",
        None,
    )
    found.check_secure()


def test_a_dot_env_file_is_read_below_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MGIT_LISTEN=127.0.0.1:1\nNEO4J_URI=bolt://file:1\nOTHER=x\n", encoding="utf-8")
    found = settings(monkeypatch, MGIT_LISTEN="127.0.0.1:2")
    assert (found.listen.port, found.neo4j_uri) == (2, "bolt://file:1")


def test_empty_values_count_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, MGIT_TOKEN="", MGIT_TLS_CERT="", NEO4J_DATABASE="")
    assert (found.token, found.tls_cert, found.neo4j_database) == (None, None, None)


def test_a_missing_store_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="MGIT_STORE is not set"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MGIT_LISTEN", "50051"),
        ("MGIT_LISTEN", "localhost"),
        ("MGIT_LISTEN", "127.0.0.1:99999"),
        ("MGIT_LISTEN", "127.0.0.1:-1"),
        ("MGIT_LISTEN", "::1:50051"),
        ("MGIT_DIGEST", "md5"),
        ("MGIT_REFLECTION", "perhaps"),
        ("MGIT_GRACE_SECONDS", "-1"),
        ("MGIT_LOG_LEVEL", "LOUD"),
        ("MGIT_UPKEEP", "sometimes"),
        ("MGIT_WINDOW_BYTES", "1000"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=name) as caught:
        settings(monkeypatch, **{name: value})
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


def test_secrets_show_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, MGIT_TOKEN=SECRET, NEO4J_PASSWORD=SECRET)
    assert SECRET not in f"{found!r} {found} {found.model_dump()}"


def test_a_refusal_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        settings(monkeypatch, MGIT_TOKEN=SECRET, NEO4J_PASSWORD=SECRET, MGIT_DIGEST="md5")
    assert SECRET not in f"{caught.value} {caught.value.details}"


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example.org:1", False),
        ("127.0.0.1.example.org:1", False),
    ],
)
def test_an_address_knows_who_can_reach_it(text: str, *, is_loopback: bool) -> None:
    address = ListenAddress.parse(text)
    assert (str(address), address.is_loopback) == (text, is_loopback)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"MGIT_TOKEN": SECRET},
        {"MGIT_TLS_CERT": "cert", "MGIT_TLS_KEY": "key"},
    ],
)
def test_a_bind_beyond_loopback_without_token_and_tls_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    found = settings(monkeypatch, MGIT_LISTEN="0.0.0.0:50051", **given)
    with pytest.raises(FailedPreconditionError) as caught:
        found.check_secure()
    assert caught.value.reason is ErrorReason.INSECURE_BIND
    assert SECRET not in caught.value.message


def test_a_bind_beyond_loopback_with_both_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        MGIT_LISTEN="0.0.0.0:50051",
        MGIT_TOKEN=SECRET,
        MGIT_TLS_CERT="cert",
        MGIT_TLS_KEY="key",
    )
    found.check_secure()
    assert not found.is_reflecting


def test_a_certificate_without_its_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError, match="go together"):
        settings(monkeypatch, MGIT_TLS_CERT="cert").check_secure()


def test_reflection_is_on_by_default_on_loopback_and_by_setting_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings(monkeypatch).is_reflecting
    assert not settings(monkeypatch, MGIT_REFLECTION="off").is_reflecting
    assert settings(monkeypatch, MGIT_REFLECTION="on", MGIT_LISTEN="0.0.0.0:1").is_reflecting


def test_the_upkeep_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch).upkeep
    assert not settings(monkeypatch, MGIT_UPKEEP="off").upkeep


def test_the_auditors_door_is_shut_unless_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not settings(monkeypatch).audit
    assert settings(monkeypatch, MGIT_AUDIT="on").audit
    assert not settings(monkeypatch, MGIT_AUDIT="off").audit


def test_limits_of_questions_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, MGIT_AUDIT_SECONDS="1.5", MGIT_AUDIT_ROWS="7", MGIT_AUDIT_BYTES="2000000")
    assert (found.audit_seconds, found.audit_rows, found.audit_bytes) == (1.5, 7, 2_000_000)
    with pytest.raises(InvalidArgumentError, match="MGIT_AUDIT_SECONDS"):
        settings(monkeypatch, MGIT_AUDIT_SECONDS="0")


def test_one_token_cannot_be_both(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, MGIT_TOKEN=SECRET, MGIT_AUDIT_TOKEN=SECRET)
    with pytest.raises(InvalidArgumentError, match="must differ") as caught:
        found.check_secure()
    assert SECRET not in caught.value.message
    assert SECRET not in repr(found)
    settings(monkeypatch, MGIT_AUDIT_TOKEN=f"another {SECRET}").check_secure()
