"""Elementwise work in blocks: what lies between the steps stays in the cache, and is never fresh memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mgit_core.coding.numbers import Words

__all__ = ["blocks_of", "by_blocks"]

# 64 KiB of float64: small enough that memory for it is reused, large enough that calls cost little.
_BLOCK = 1 << 13


def blocks_of(count: int) -> Iterator[slice]:
    """Ranges that cover ``count`` numbers, in order."""
    for start in range(0, count, _BLOCK):
        yield slice(start, min(start + _BLOCK, count))


def by_blocks(
    count: int, kind: np.dtype[np.unsignedinteger[Any]], compute: Callable[[slice], Words]
) -> Words:
    """``count`` words.

    Args:
        count: Numbers.
        kind: Type of a word.
        compute: Gives the words of a range of them; called for one range after another.
    """
    out = np.empty(count, kind)
    for part in blocks_of(count):
        out[part] = compute(part)
    return out
