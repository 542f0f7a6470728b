"""The base plus the product of two factors: a merged low-rank adapter."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding.floats import Floats, narrow, widen
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.predictors.fields import Bytes, Fields, float_words, join_sources
from mgit_core.coding.refusals import corrupt

__all__ = ["MAX_RANK", "make_parameters", "predict"]

MAX_RANK = 256
"""Largest rank that is read: it bounds the work that a few bytes can ask for."""

_LAYOUT = struct.Struct("<BHId")
_SINGLE = np.dtype("<f4")
# Rows at a time, so that product and sum stay in the cache.
_BLOCK_NUMBERS = 1 << 14


def make_parameters(numbers: NumberFormat, *, rank: int, columns: int, scale: float) -> bytes:
    """Parameters for ``p + scale * (A B)``.

    The sources are, joined: the base, as many bytes as the chunk; the rows of A that belong to the chunk,
    ``rows x rank``; and B, ``rank x columns``, restricted to the chunk's columns. A and B are float32.

    Args:
        numbers: Format of the chunk.
        rank: 1 to ``MAX_RANK``.
        columns: Numbers in a row of the chunk.
        scale: What the product is multiplied by.
    """
    return _LAYOUT.pack(numbers, rank, columns, scale)


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """``round(fl(p) + fl(acc * scale))``.

    ``acc`` is a sum in float64: from zero, ``A[:, i] * B[i, :]`` is added for i from first to last. ``fl``
    rounds to the working type.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    numbers, rank, columns = fields.float_format(), fields.number("H"), fields.number("I")
    scale = fields.real("d")
    fields.end()
    joined = join_sources(sources)
    if not (1 <= rank <= MAX_RANK and columns and raw_size % (columns * numbers.width) == 0):
        raise corrupt(f"factors of rank {rank} with {columns} columns for {raw_size} bytes of {numbers.name}")
    rows = raw_size // (columns * numbers.width)
    first_end = raw_size + rows * rank * _SINGLE.itemsize
    if joined.size != first_end + rank * columns * _SINGLE.itemsize:
        raise corrupt(f"{joined.size} bytes of bases and factors for {raw_size} bytes of rank {rank}")
    base = widen(float_words(joined[:raw_size], numbers), numbers).reshape(rows, columns)
    with np.errstate(all="ignore"):
        left = joined[raw_size:first_end].view(_SINGLE).reshape(rows, rank).astype(np.float64)
        right = joined[first_end:].view(_SINGLE).reshape(rank, columns).astype(np.float64)
        total = _add_product(base, left, right, scale)
    return narrow(total.reshape(-1), numbers).view(np.uint8)


def _add_product(
    base: Floats, left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], scale: float
) -> Floats:
    rows, columns = base.shape
    step = max(1, _BLOCK_NUMBERS // columns)
    total = np.empty(base.shape, base.dtype)
    for start in range(0, rows, step):
        block = left[start : start + step]
        product = np.empty((len(block), columns))
        acc = np.zeros_like(product)
        for i in range(right.shape[0]):
            np.multiply(block[:, i, np.newaxis], right[np.newaxis, i], out=product)
            np.add(acc, product, out=acc)
        np.multiply(acc, scale, out=acc)
        np.add(base[start : start + step], acc.astype(base.dtype), out=total[start : start + step])
    return total
