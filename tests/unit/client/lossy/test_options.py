"""How much a user is willing to lose."""

from __future__ import annotations

import math

import pytest

import mgit
from mgit.cli.arguments import parse_lossy
from mgit.errors import ErrorReason, InvalidArgumentError
from mgit_core.loss import LossMethod


def test_k_and_eps_are_two_methods() -> None:
    k, eps = mgit.Lossy(k=2), mgit.Lossy(eps=1e-4)
    assert (k.method, k.strength) == (LossMethod.STEP, 2.0)
    assert (eps.method, eps.strength) == (LossMethod.EPSILON, 1e-4)


@pytest.mark.parametrize(
    "given", [{}, {"k": 2, "eps": 1e-4}, {"k": 0}, {"k": -1}, {"eps": math.nan}, {"k": math.inf}]
)
def test_loss_that_says_nothing_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="either k or eps") as caught:
        mgit.Lossy(**given)
    assert caught.value.reason == ErrorReason.INVALID_ARGUMENT


def test_a_text_writes_a_loss() -> None:
    assert parse_lossy("k=2") == mgit.Lossy(k=2)
    assert parse_lossy("eps=1e-4") == mgit.Lossy(eps=1e-4)


@pytest.mark.parametrize("text", ["", "2", "k", "k=", "k=two", "K=2", "step=2", "k=2=3"])
def test_a_text_that_writes_no_loss_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="k=NUMBER or eps=NUMBER"):
        parse_lossy(text)


@pytest.mark.parametrize("text", ["k=0", "eps=-1", "k=nan", "k=inf"])
def test_a_text_with_a_number_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="finite number above 0"):
        parse_lossy(text)
