"""Ordered differences: how far a number is from its prediction, counted in representable numbers.

With ``T = 2^(W-1)``, ``M(x) = NOT x`` if x has bit T, else ``x OR T``: a bijection on all bit patterns that is
monotone in a float's value. The difference is ``M(content) - M(prediction)`` modulo ``2^W``; it wraps around,
so no pattern is special. Numbers that are no floats are their own M.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mgit_core.coding.numbers import NumberFormat, Words
from mgit_core.coding.scratch import SPARE, scratch

__all__ = [
    "Signed",
    "add_differences",
    "differences",
    "from_ordered",
    "signed_view",
    "to_ordered",
    "unzigzag",
    "zigzag",
]

Signed = npt.NDArray[np.signedinteger[Any]]
"""Two's-complement view of words."""

_SIGNED: dict[int, np.dtype[np.signedinteger[Any]]] = {
    1: np.dtype("i1"),
    2: np.dtype("<i2"),
    4: np.dtype("<i4"),
    8: np.dtype("<i8"),
}


def signed_view(words: Words) -> Signed:
    """The same memory as two's-complement numbers."""
    return words.view(_SIGNED[words.dtype.itemsize])


def to_ordered(words: Words, numbers: NumberFormat, out: Words) -> Words:
    """M of each word, in ``out``, which may not be ``words``."""
    if not numbers.is_float:
        np.copyto(out, words)
        return out
    bits = 8 * numbers.width
    # All ones where the sign is set, so that one XOR does both cases of M.
    np.right_shift(signed_view(words), bits - 1, out=signed_view(out))
    np.bitwise_or(out, words.dtype.type(1 << (bits - 1)), out=out)
    return np.bitwise_xor(out, words, out=out)


def from_ordered(ordered: Words, numbers: NumberFormat, out: Words) -> Words:
    """The words whose M these are, in ``out``, which may not be ``ordered``."""
    if not numbers.is_float:
        np.copyto(out, ordered)
        return out
    bits = 8 * numbers.width
    np.right_shift(signed_view(ordered), bits - 1, out=signed_view(out))
    np.invert(out, out=out)
    np.bitwise_or(out, ordered.dtype.type(1 << (bits - 1)), out=out)
    return np.bitwise_xor(out, ordered, out=out)


def differences(content: Words, prediction: Words, numbers: NumberFormat) -> Signed:
    """The ordered differences of ``content`` to ``prediction``.

    The result lies in a buffer of the calling thread and is valid until that thread's next call.
    """
    result = to_ordered(content, numbers, scratch("ordered.steps", content.dtype, content.size))
    other = to_ordered(prediction, numbers, scratch(SPARE, content.dtype, content.size))
    np.subtract(result, other, out=result)
    return signed_view(result)


def add_differences(prediction: Words, steps: Words, numbers: NumberFormat) -> Words:
    """The content whose differences to ``prediction`` are ``steps``: the inverse of ``differences``.

    ``steps`` is overwritten; the result is valid until the calling thread's next call.
    """
    ordered = to_ordered(prediction, numbers, scratch(SPARE, steps.dtype, steps.size))
    np.add(ordered, steps, out=ordered)
    return from_ordered(ordered, numbers, steps)


def zigzag(steps: Signed, out: Words) -> Words:
    """0, -1, 1, -2, .. as 0, 1, 2, 3, .., in ``out``, which may not be ``steps``: small ones become small."""
    signs = scratch(SPARE, steps.dtype, steps.size)
    np.right_shift(steps, 8 * steps.dtype.itemsize - 1, out=signs)
    folded = signed_view(out)
    np.left_shift(steps, 1, out=folded)
    np.bitwise_xor(folded, signs, out=folded)
    return out


def unzigzag(folded: Words, out: Words) -> Words:
    """The steps whose zig-zag these are, as words, in ``out``, which may not be ``folded``."""
    np.bitwise_and(folded, folded.dtype.type(1), out=out)
    np.negative(signed_view(out), out=signed_view(out))
    halves = scratch(SPARE, folded.dtype, folded.size)
    np.right_shift(folded, 1, out=halves)
    return np.bitwise_xor(out, halves, out=out)
