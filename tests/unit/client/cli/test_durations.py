"""Durations as people write them."""

from __future__ import annotations

import pytest

from mgit.cli.durations import parse_duration
from mgit_core.errors import ErrorReason, InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), (" 2H ", 7200), ("15", 15)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1.5h", "1h30m", "1w", "1e3", "٣h", "9999999999s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_duration(text)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
