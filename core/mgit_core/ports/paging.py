"""Parts of ordered lists."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What part of an ordered list is wanted.

    Attributes:
        size: Largest number of rows, from 1 to 1,000.
        after: Key of the last row already seen; None for the beginning.
    """

    size: int = 100
    after: str | None = None
