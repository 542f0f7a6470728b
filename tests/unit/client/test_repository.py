from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import mgit
from mgit.errors import ErrorReason, InvalidArgumentError, UnavailableError


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("MGIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MGIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_without_an_address_and_a_stack_the_error_says_what_to_do() -> None:
    with pytest.raises(UnavailableError, match="mgit up") as caught:
        mgit.connect()
    assert caught.value.reason is ErrorReason.SERVICE_UNAVAILABLE


def test_the_address_comes_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGIT_ADDRESS", "127.0.0.1:1")
    assert mgit.connect().address == "127.0.0.1:1"
    assert mgit.connect("127.0.0.1:2").address == "127.0.0.1:2"


def test_nothing_is_sent_before_the_first_call() -> None:
    with mgit.connect("127.0.0.1:1") as repo:
        assert repr(repo) == "<repository at 127.0.0.1:1>"
    assert repr(repo) == "<repository at 127.0.0.1:1, closed>"


@pytest.mark.parametrize("name", ["", "a..b", "a" * 10_000])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(name: str) -> None:
    with mgit.connect("127.0.0.1:1") as repo, pytest.raises(InvalidArgumentError) as caught:
        repo.add(name, {"w": np.ones(1)})
    assert caught.value.reason is ErrorReason.INVALID_NAME


def test_metadata_that_cannot_be_kept_is_refused_before_anything_is_sent() -> None:
    with mgit.connect("127.0.0.1:1") as repo, pytest.raises(InvalidArgumentError) as caught:
        repo.add("m", {"w": np.ones(1)}, metadata={"thing": object()})
    assert caught.value.reason is ErrorReason.INVALID_METADATA


@pytest.mark.slow
def test_without_a_service_adding_ends_soon() -> None:
    with mgit.connect("127.0.0.1:1") as repo, pytest.raises(UnavailableError, match="No service answers"):
        repo.add("m", {"w": np.ones(1)})
