"""Tokens and TLS, between the SDK and the real service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import RunningService, start_service, wait_until

import mgit
from mgit.errors import ErrorReason, UnauthenticatedError, UnavailableError

pytestmark = pytest.mark.neo4j

CERTIFICATES = Path(__file__).parents[2] / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
TOKEN = "a-token-of-the-tests"  # noqa: S105 - and of nothing else


@pytest.fixture(scope="module")
def guarded(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    empty_graph(neo4j_server)
    service = start_service(
        neo4j_server,
        tmp_path_factory.mktemp("guarded") / "store",
        MGIT_TOKEN=TOKEN,
        MGIT_TLS_CERT=str(CERTIFICATES / "service.pem"),
        MGIT_TLS_KEY=str(CERTIFICATES / "service-key.pem"),
    )
    try:
        with mgit.connect(service.address, token=TOKEN, tls_ca=AUTHORITY) as repo:
            wait_until(lambda: repo.status().healthy, "the guarded service serves")
        yield service
    finally:
        service.stop()
        empty_graph(neo4j_server)


def test_with_token_and_authority_models_go_in_and_out(guarded: RunningService) -> None:
    with mgit.connect(guarded.address, token=TOKEN, tls_ca=AUTHORITY) as repo:
        model = repo.add("guarded", {"w": np.arange(3)})
        assert model.load()["w"].tolist() == [0, 1, 2]


def test_token_and_authority_come_from_the_environment(
    guarded: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGIT_ADDRESS", guarded.address)
    monkeypatch.setenv("MGIT_TOKEN", TOKEN)
    monkeypatch.setenv("MGIT_TLS_CA", str(AUTHORITY))
    with mgit.connect() as repo:
        assert list(repo.models("nothing")) == []


@pytest.mark.parametrize(
    ("token", "reason"), [(None, ErrorReason.TOKEN_MISSING), ("another", ErrorReason.TOKEN_WRONG)]
)
def test_without_the_right_token_nothing_is_told(
    guarded: RunningService, token: str | None, reason: ErrorReason
) -> None:
    with (
        mgit.connect(guarded.address, token=token, tls_ca=AUTHORITY) as repo,
        pytest.raises(UnauthenticatedError) as caught,
    ):
        repo.add("guarded", {"w": np.arange(3)})
    assert caught.value.reason is reason


def test_another_authority_is_told_as_such(guarded: RunningService) -> None:
    other = CERTIFICATES / "other-authority.pem"
    with (
        mgit.connect(guarded.address, token=TOKEN, tls_ca=other) as repo,
        pytest.raises(UnavailableError, match="could not prove who it is") as caught,
    ):
        repo.get("guarded")
    assert caught.value.reason is ErrorReason.SERVICE_UNAVAILABLE
    assert other.name in caught.value.message


def test_plaintext_to_a_service_with_tls_is_unavailable(guarded: RunningService) -> None:
    with mgit.connect(guarded.address) as repo, pytest.raises(UnavailableError, match="MGIT_TLS_CA"):
        repo.get("guarded")
