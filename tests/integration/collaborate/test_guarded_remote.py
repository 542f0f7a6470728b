"""A remote that wants a token and answers over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.integration.collaborate.conftest import changed, equal
from tests.running_service import RunningService, start_service, wait_until
from tests.second_stack import Mortal

import mgit
from mgit.errors import (
    ErrorReason,
    InvalidArgumentError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

CERTIFICATES = Path(__file__).parents[2] / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
TOKEN = "a-token-of-the-tests"  # noqa: S105 - and of nothing else


@dataclass(frozen=True)
class Guarded:
    """A repository whose remote ``origin`` wants a token over TLS, and that place opened directly."""

    here: mgit.Repository
    there: mgit.Repository
    token_file: Path


@pytest.fixture(scope="module")
def guarded_service(mortal: Mortal) -> Iterator[RunningService]:
    """The other place behind a guard; afterwards it answers as before."""
    mortal.service.stop()
    service = start_service(
        mortal.server,
        mortal.store,
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
        mortal.start()


@pytest.fixture
def guarded(
    guarded_service: RunningService, here: mgit.Repository, home: Path, tmp_path: Path
) -> Iterator[Guarded]:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    here.remotes.add("origin", guarded_service.address, token_file=token_file, tls_ca=AUTHORITY)
    assert TOKEN not in (home / "remotes.json").read_text()
    with mgit.connect(guarded_service.address, token=TOKEN, tls_ca=AUTHORITY) as there:
        yield Guarded(here, there, token_file)


def test_models_are_pushed_and_pulled_with_the_token_of_the_file(guarded: Guarded) -> None:
    base = {"w": np.random.default_rng(1).standard_normal((64, 64), np.float32)}
    tuned = changed(base, 2)
    guarded.here.add("guarded/base", base, progress=None)
    guarded.here.push("guarded/base", progress=None)
    guarded.there.add("guarded/tuned", tuned, parents=[mgit.finetuned("guarded/base")], progress=None)
    done = guarded.here.pull("guarded/tuned", progress=None)
    assert [each.ref for each in done.models] == ["guarded/tuned@1"]
    assert equal(guarded.there.get("guarded/base"), base)
    assert equal(guarded.here.get("guarded/tuned"), tuned)


def test_a_promise_of_a_guarded_remote_is_kept(guarded: Guarded) -> None:
    wanted = {"w": np.random.default_rng(3).standard_normal((32, 32), np.float32)}
    guarded.there.add("guarded/later", wanted, progress=None)
    guarded.here.pull("guarded/later", since="guarded/later", progress=None)
    guarded.here.pull("guarded/later", progress=None)
    assert equal(guarded.here.get("guarded/later"), wanted)


def test_a_clone_takes_token_and_authority(guarded: Guarded) -> None:
    guarded.there.add("guarded/cloned", {"w": np.ones(3, np.float32)}, progress=None)
    address = guarded.there.address
    done = guarded.here.clone(
        address,
        "guarded/cloned",
        name="again",
        token_file=guarded.token_file,
        tls_ca=AUTHORITY,
        progress=None,
    )
    assert [each.ref for each in done.models] == ["guarded/cloned@1"]


@pytest.mark.parametrize(
    ("token", "reason"), [("", ErrorReason.TOKEN_MISSING), ("another", ErrorReason.TOKEN_WRONG)]
)
def test_the_token_is_read_at_each_exchange(guarded: Guarded, token: str, reason: ErrorReason) -> None:
    guarded.token_file.write_text(token)
    with pytest.raises(UnauthenticatedError) as caught:
        guarded.here.pull("guarded/base", progress=None)
    assert caught.value.reason is reason


def test_a_token_file_that_has_gone_is_named(guarded: Guarded) -> None:
    guarded.token_file.unlink()
    with pytest.raises(NotFoundError, match="token file") as caught:
        guarded.here.pull("guarded/base", progress=None)
    assert caught.value.reason is ErrorReason.PATH_NOT_FOUND


def test_another_authority_and_plaintext_reach_nobody(guarded: Guarded) -> None:
    address = guarded.there.address
    other = CERTIFICATES / "other-authority.pem"
    guarded.here.remotes.add("other", address, token_file=guarded.token_file, tls_ca=other)
    guarded.here.remotes.add("plain", address)
    for remote, said in (("other", "could not prove who it is"), ("plain", "TLS")):
        with pytest.raises(UnavailableError, match=said):
            guarded.here.pull("guarded/base", remote=remote, progress=None)


def test_a_token_is_not_sent_in_plaintext_to_another_machine(guarded: Guarded) -> None:
    guarded.here.remotes.add("far", "models.example.org:50051", token_file=guarded.token_file)
    with pytest.raises(InvalidArgumentError, match=r"not sent to models\.example\.org"):
        guarded.here.pull("guarded/base", remote="far", progress=None)
