"""Walks and their models without a service."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime

import pytest

from mgit.values import ModelState, ModelSummary, reference_of
from mgit.walking import Walk, WalkedModel
from mgit_core.errors import ErrorReason, NotFoundError


def nobody(reference: str) -> None:
    raise NotFoundError(ErrorReason.MODEL_NOT_FOUND, f"{reference} is gone.")


def make(hops: int) -> WalkedModel:
    summary = ModelSummary(
        uid=f"u{hops}",
        name="m",
        version=hops + 1,
        state=ModelState.PRESENT,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return WalkedModel(summary=summary, hops=hops, look_up=nobody)  # type: ignore[arg-type]


def models(count: int, *, is_cut: bool) -> Generator[WalkedModel, None, bool]:
    for hops in range(count):
        yield make(hops)
    return is_cut


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_walk_says_at_its_end_whether_it_was_cut(*, is_cut: bool) -> None:
    walk = Walk(models(2, is_cut=is_cut))
    assert next(walk) == make(0)
    assert walk.truncated is None
    assert list(walk) == [make(1)]
    assert walk.truncated is is_cut
    assert (list(walk), walk.truncated) == ([], is_cut)


def test_a_walk_that_was_left_says_nothing() -> None:
    with Walk(models(2, is_cut=True)) as walk:
        next(walk)
    assert (list(walk), walk.truncated) == ([], None)


def test_a_walk_that_broke_off_says_nothing() -> None:
    def broken() -> Generator[WalkedModel, None, bool]:
        yield make(0)
        raise OSError("broken")

    walk = Walk(broken())
    assert next(walk).hops == 0
    with pytest.raises(OSError, match="broken"):
        next(walk)
    assert (list(walk), walk.truncated) == ([], None)


def test_a_model_of_a_walk_is_a_reference_and_a_key() -> None:
    assert reference_of(make(1)) == "@u1"
    assert {make(1): 1}[make(1)] == 1
    assert make(1) != make(2)
    assert [repr(make(hops)) for hops in range(3)] == ["<m@1, 0 hops>", "<m@2, 1 hop>", "<m@3, 2 hops>"]


def test_what_a_list_says_is_known_without_a_call() -> None:
    model = make(0)
    assert (model.name, model.version, model.state.value) == ("m", 1, "present")
    assert model.created_at.year == 2026
    with pytest.raises(NotFoundError):
        _ = model.metadata
