"""A sample of a tensor's rows, and what a prediction of them would leave to be stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from typing_extensions import Buffer

from mgit_core.chunking import chunk_ranges
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.ordered import differences, zigzag
from mgit_core.tensor import TensorSpec

__all__ = ["Sample", "cost_bits", "take_sample"]

_MOST_ROWS = 64
# Of a tensor with fewer than two axes, and of rows that are longer, this much is a row.
_PIECE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some rows of a tensor, evenly spread over the chunks that are at hand, all equally long.

    Attributes:
        segments: Byte ranges in the tensor, in order.
        content: Their bytes, joined.
    """

    segments: tuple[tuple[int, int], ...]
    content: bytes

    @property
    def segment_bytes(self) -> int:
        """Bytes of each row."""
        return len(self.content) // len(self.segments)


def take_sample(
    spec: TensorSpec, contents: Mapping[int, Buffer], *, most_chunks: int, most_row_bytes: int
) -> Sample:
    """About 64 rows of the chunks in ``contents``.

    Args:
        spec: Data type and shape of the tensor.
        contents: Raw bytes of some of its chunks, at least one, by position.
        most_chunks: From how many chunks rows are taken: a base chunk is decoded whole for a row of it.
        most_row_bytes: Longer rows are sampled by their first bytes.
    """
    row_bytes = math.prod(spec.shape[1:]) * spec.itemsize if len(spec.shape) > 1 else _PIECE_BYTES
    ranges = list(chunk_ranges(spec))
    at_hand = sorted(contents)
    chosen = [at_hand[at] for at in _spread(len(at_hand), most_chunks)]
    rows_each = max(1, _MOST_ROWS // len(chosen))
    wanted = min(row_bytes, most_row_bytes, *(ranges[at][1] - ranges[at][0] for at in chosen))
    wanted = max(1, wanted // spec.itemsize) * spec.itemsize
    segments: list[tuple[int, int]] = []
    pieces: list[memoryview] = []
    for position in chosen:
        view = memoryview(contents[position]).cast("B")
        step = min(row_bytes, len(view))
        for row in _spread(len(view) // step, rows_each):
            start = row * step
            segments.append((ranges[position][0] + start, ranges[position][0] + start + wanted))
            pieces.append(view[start : start + wanted])
    return Sample(segments=tuple(segments), content=b"".join(pieces))


def _spread(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers from 0 to ``count``, ends included, evenly spread."""
    if count <= most:
        return list(range(count))
    return [at * (count - 1) // max(1, most - 1) for at in range(most)]


def cost_bits(numbers: NumberFormat, content: Buffer, prediction: Buffer) -> float:
    """Mean bit length of what is left of each number: 0.0 where the prediction is the content.

    The bit length of a zig-zag difference of ordered numbers follows what every encoding of the residue takes.
    """
    own, predicted = words_of(content, numbers), words_of(prediction, numbers)
    if np.array_equal(own, predicted):
        return 0.0
    folded = zigzag(differences(own, predicted, numbers), np.empty_like(own))
    # The exponent of a float is the bit length of the integer; float32 holds 16 bits exactly.
    wide = np.float32 if own.dtype.itemsize <= 2 else np.float64
    return float(np.frexp(folded.astype(wide))[1].mean())
