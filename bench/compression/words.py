"""Unsigned words of floats: their order, their differences, and their bytes by plane.

Written for the measurements and independent of the product's coding, so that a mistake there would show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Words",
    "differences",
    "join_bytes",
    "restored",
    "signed_folded",
    "signed_unfolded",
    "split_bytes",
]

Words = npt.NDArray[Any]


def differences(child: Words, base: Words) -> Words:
    """Child minus base in the order of the floats that the words are, wrapped around."""
    return _ordered(child) - _ordered(base)


def restored(difference: Words, base: Words) -> Words:
    """The child: the inverse of ``differences``."""
    return _unordered(difference + _ordered(base))


def signed_folded(difference: Words) -> Words:
    """Two's complement to small unsigned numbers: 0, -1, 1, -2 become 0, 1, 2, 3."""
    bits = difference.dtype.itemsize * 8
    one = difference.dtype.type(1)
    return (difference << one) ^ (np.zeros_like(difference) - (difference >> difference.dtype.type(bits - 1)))


def signed_unfolded(folded: Words) -> Words:
    """The inverse of ``signed_folded``."""
    one = folded.dtype.type(1)
    return (folded >> one) ^ (np.zeros_like(folded) - (folded & one))


def split_bytes(words: Words) -> npt.NDArray[np.uint8]:
    """Byte 0 of every word, then byte 1 of every word, and so on."""
    return (
        np.ascontiguousarray(words)
        .view(np.uint8)
        .reshape(words.size, words.dtype.itemsize)
        .T.reshape(-1)
        .copy()
    )


def join_bytes(planes: bytes, dtype: npt.DTypeLike) -> Words:
    """The inverse of ``split_bytes``."""
    rows = np.frombuffer(planes, np.uint8).reshape(np.dtype(dtype).itemsize, -1)
    return np.ascontiguousarray(rows.T).reshape(-1).view(dtype)


def _ordered(words: Words) -> Words:
    top = words.dtype.type(1 << (words.dtype.itemsize * 8 - 1))
    return np.where(words & top, ~words, words | top)


def _unordered(words: Words) -> Words:
    top = words.dtype.type(1 << (words.dtype.itemsize * 8 - 1))
    return np.where(words & top, words ^ top, ~words)
