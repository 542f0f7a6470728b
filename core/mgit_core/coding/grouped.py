"""Ordered differences, grouped by the exponent of what they were predicted from.

How many bits training moves depends mostly on a weight's exponent, and a reader knows the prediction: so the
grouping costs no side information. Differences count away from zero, so that weight decay moves both signs alike;
how far it moves a float32 depends on the top bit of the mantissa too. Blocks of numbers that did not change at all
are left out by a map, one bit a block; rows of an embedding that a training never met are most of them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mgit_core.coding import zstd
from mgit_core.coding.numbers import NumberFormat, Words, layout_of
from mgit_core.coding.ordered import Signed, signed_view
from mgit_core.coding.pco import compress_numbers, decompress_numbers
from mgit_core.coding.refusals import corrupt, unknown
from mgit_core.coding.scratch import SPARE, scratch

__all__ = ["GROUPED_FORMATS", "decode_groups", "encode_groups"]

GROUPED_FORMATS = frozenset(
    {NumberFormat.FLOAT16, NumberFormat.BFLOAT16, NumberFormat.FLOAT32, NumberFormat.FLOAT64}
)
"""Formats whose exponents are worth grouping by."""

_BLOCK = 64
_SMALLEST_GROUP = 2048
_MAP_LEVEL = 3
_MOST_MANTISSA_BITS = 2
# A map pays where at least every 64th block can be left out; below, it is mere noise.
_FEWEST_SKIPPED = 1 / 64
_SIZE = struct.Struct("<I")
_KEY = struct.Struct("<BH")
_CLASSES = 256

_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Key:
    """What numbers are grouped by: exponent and top bits of the mantissa, in 256 classes from ``first`` on."""

    mantissa_bits: int
    first: int


# The classes cover every exponent of 5 bits or 8; of wider keys those of 2^-100 to 2^27, or 2^-223 to 2^32.
_KEYS = {
    NumberFormat.FLOAT16: _Key(0, 0),
    NumberFormat.BFLOAT16: _Key(0, 0),
    NumberFormat.FLOAT32: _Key(1, 54),
    NumberFormat.FLOAT64: _Key(0, 800),
}


def _classes(words: Words, numbers: NumberFormat, key: _Key) -> npt.NDArray[np.uint8]:
    """The class of each number."""
    layout = layout_of(numbers)
    word = words.dtype.type
    shifted = scratch(SPARE, words.dtype, words.size)
    np.right_shift(words, layout.mantissa_bits - key.mantissa_bits, out=shifted)
    np.bitwise_and(shifted, word((1 << (layout.exponent_bits + key.mantissa_bits)) - 1), out=shifted)
    np.maximum(shifted, word(key.first), out=shifted)
    np.subtract(shifted, word(key.first), out=shifted)
    np.minimum(shifted, word(_CLASSES - 1), out=shifted)
    classes = scratch("grouped.classes", np.dtype(np.uint8), words.size)
    np.copyto(classes, shifted, casting="unsafe")
    return classes


def _flip_where_negative(steps: Signed, prediction: Words) -> None:
    """Negate, modulo the width, the differences to negative numbers; its own inverse."""
    signs = scratch(SPARE, steps.dtype, steps.size)
    np.right_shift(signed_view(prediction), 8 * steps.dtype.itemsize - 1, out=signs)
    np.bitwise_xor(steps, signs, out=steps)
    np.subtract(steps, signs, out=steps)


def encode_groups(steps: Signed, prediction: Words, numbers: NumberFormat) -> bytes:
    """The payload for differences to a prediction: the map, then a pcodec file for each group.

    Args:
        steps: Ordered differences; overwritten.
        prediction: What they are differences to; as many numbers.
        numbers: One of ``GROUPED_FORMATS``.
    """
    key = _KEYS[numbers]
    pieces = [_KEY.pack(key.mantissa_bits, key.first)]
    kept = _kept_blocks(steps)
    if kept is None:
        pieces.append(_SIZE.pack(0))
    else:
        frame = zstd.compress(np.packbits(kept).data, _MAP_LEVEL)
        pieces += [_SIZE.pack(len(frame)), frame]
        steps, prediction = _keep(steps, kept), _keep(prediction, kept)
    if steps.size:
        _flip_where_negative(steps, prediction)
        order, ends = _groups(_classes(prediction, numbers, key))
        # Indices come from a sort, so they are in range: clipping only spares numpy the check.
        sorted_steps = np.take(steps, order, mode="clip", out=scratch(SPARE, steps.dtype, steps.size))
        for start, stop in zip([0, *ends[:-1]], ends, strict=True):
            blob = compress_numbers(sorted_steps[start:stop])
            pieces += [_SIZE.pack(len(blob)), blob]
    return b"".join(pieces)


def decode_groups(payload: memoryview, prediction: Words, numbers: NumberFormat, out: Signed) -> None:
    """Fill ``out`` with the differences that ``payload`` holds.

    Raises:
        CorruptError: CHUNK_CORRUPT.
    """
    if len(payload) < _KEY.size:
        raise corrupt("its groups end early")
    key = _Key(*_KEY.unpack_from(payload))
    if key.mantissa_bits > _MOST_MANTISSA_BITS:
        raise unknown(f"groups by {key.mantissa_bits} bits of the mantissa")
    frame, payload = _piece(payload[_KEY.size :])
    if not len(frame):
        _decode_kept(payload, prediction, _classes(prediction, numbers, key), out)
        return
    blocks = out.size // _BLOCK
    packed = zstd.decompress(frame, (blocks + 7) // 8)
    kept = np.unpackbits(np.frombuffer(packed, np.uint8), count=blocks).view(np.bool_)
    kept_prediction = _keep(prediction, kept)
    steps = scratch("grouped.kept", out.dtype, kept_prediction.size)
    _decode_kept(payload, kept_prediction, _classes(kept_prediction, numbers, key), steps)
    body = out[: blocks * _BLOCK].reshape(-1, _BLOCK)
    in_blocks = int(np.count_nonzero(kept)) * _BLOCK
    body[~kept] = 0
    body[kept] = steps[:in_blocks].reshape(-1, _BLOCK)
    out[blocks * _BLOCK :] = steps[in_blocks:]


def _decode_kept(payload: memoryview, prediction: Words, classes: npt.NDArray[np.uint8], out: Signed) -> None:
    if out.size:
        order, ends = _groups(classes)
        steps = scratch(SPARE, out.dtype, out.size)
        for start, stop in zip([0, *ends[:-1]], ends, strict=True):
            blob, payload = _piece(payload)
            decompress_numbers(blob, steps[start:stop])
        out[order] = steps
        _flip_where_negative(out, prediction)
    if len(payload):
        raise corrupt(f"{len(payload)} bytes behind its last group")


def _kept_blocks(steps: Signed) -> _Flags | None:
    """Which whole blocks hold a difference; None where leaving the others out saves nothing."""
    blocks = steps.size // _BLOCK
    kept: _Flags = np.any(steps[: blocks * _BLOCK].reshape(-1, _BLOCK), axis=1)
    skipped = blocks - int(np.count_nonzero(kept))
    return kept if skipped > max(1, blocks * _FEWEST_SKIPPED) else None


def _keep(values: npt.NDArray[Any], kept: _Flags) -> npt.NDArray[Any]:
    """The values of the kept blocks, and those behind the last whole block."""
    end = kept.size * _BLOCK
    return np.concatenate((values[:end].reshape(-1, _BLOCK)[kept].reshape(-1), values[end:]))


def _groups(classes: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], list[int]]:
    """The order of the numbers by class, stable, and where each group ends in it."""
    order = np.argsort(classes, kind="stable")
    in_order = np.take(
        classes, order, mode="clip", out=scratch("grouped.sorted", classes.dtype, classes.size)
    )
    stops = np.searchsorted(in_order, np.arange(_CLASSES, dtype=np.uint8), side="right")
    ends: list[int] = []
    last = 0
    for stop in stops.tolist():
        if stop - last >= _SMALLEST_GROUP:
            ends.append(stop)
            last = stop
    if ends:
        ends[-1] = classes.size
    else:
        ends.append(classes.size)
    return order, ends


def _piece(payload: memoryview) -> tuple[memoryview, memoryview]:
    """The next piece behind its length, and what follows it."""
    if len(payload) < _SIZE.size:
        raise corrupt("its groups end early")
    end = _SIZE.size + _SIZE.unpack_from(payload)[0]
    if end > len(payload):
        raise corrupt("a group is longer than its payload")
    return payload[_SIZE.size : end], payload[end:]
