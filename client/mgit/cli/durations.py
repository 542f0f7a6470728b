"""Durations as people write them: ``24h``, ``30m``, ``90s``, ``7d``."""

from __future__ import annotations

import re

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["parse_duration"]

_DURATION = re.compile(r"(\d{1,9})(s|m|h|d)?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, None: 1}


def parse_duration(text: str) -> int:
    """The seconds that ``text`` says: a whole number with ``s``, ``m``, ``h`` or ``d``; alone it is seconds.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A time is a whole number with s, m, h or d, for example 24h; found {text[:80]!r}.",
        )
    return int(match[1]) * _SECONDS[match[2]]
