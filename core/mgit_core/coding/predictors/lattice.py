"""The base plus whole multiples of a step: what guarded loss makes of a tensor."""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding import zstd
from mgit_core.coding.floats import Floats, narrow, widen
from mgit_core.coding.numbers import NumberFormat, Words
from mgit_core.coding.pco import compress_numbers, decompress_numbers
from mgit_core.coding.planes import PLANE_WIDTHS, join_words, split_words
from mgit_core.coding.predictors.blocks import blocks_of, by_blocks
from mgit_core.coding.predictors.fields import Bytes, Fields, float_words, join_padded
from mgit_core.coding.predictors.mask import Mask, find_mask, read_mask
from mgit_core.coding.refusals import unknown
from mgit_core.coding.scratch import scratch

__all__ = ["complete", "is_hint", "make_hint", "make_parameters", "on_lattice", "predict", "steps_to"]

Multiples = npt.NDArray[np.int32]

_HINT = struct.Struct("<Bf")
_SIZE = struct.Struct("<I")
_LEVEL = 3
_LARGEST = 2**31 - 1


class _Kind(enum.IntEnum):
    PCODEC = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3


_UNSIGNED: dict[_Kind, np.dtype[np.unsignedinteger[Any]]] = {
    _Kind.INT8: np.dtype("u1"),
    _Kind.INT16: np.dtype("<u2"),
    _Kind.INT32: np.dtype("<u4"),
}
_SIGNED: dict[_Kind, np.dtype[np.signedinteger[Any]]] = {
    _Kind.INT8: np.dtype("i1"),
    _Kind.INT16: np.dtype("<i2"),
    _Kind.INT32: np.dtype("<i4"),
}


def make_hint(numbers: NumberFormat, step: float) -> bytes:
    """What is known of a lattice before the content is seen: format, and the step as float32."""
    return _HINT.pack(numbers, step)


def is_hint(parameters: bytes) -> bool:
    """Whether parameters are those of ``make_hint``, which no reader takes."""
    return len(parameters) == _HINT.size


def make_parameters(
    numbers: NumberFormat, step: float, multiples: Multiples, mask: Mask | None = None
) -> bytes:
    """Parameters of a lattice.

    Args:
        numbers: Format of base and content.
        step: Rounded to float32.
        multiples: How many steps each number is away from the base.
        mask: Applied to the base first.
    """
    masked = mask.to_bytes(numbers) if mask else b""
    return make_hint(numbers, step) + _SIZE.pack(len(masked)) + masked + _encode_multiples(multiples)


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """``round(fp64(p) + fp64(q) * fp64(step))``, p the joined base, padded with zeros, and masked.

    Where q is 0 it is p, the sign of a zero too.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    numbers = fields.float_format()
    step = fields.real("f")
    words = float_words(join_padded(sources, raw_size), numbers)
    masked = fields.take(fields.number("I"))
    if len(masked):
        words = read_mask(Fields(masked), numbers, words.size).apply(words)
    multiples = _decode_multiples(fields.number("B"), fields.rest(), words.size)
    return by_blocks(
        words.size,
        words.dtype,
        lambda part: on_lattice(widen(words[part], numbers), multiples[part], step, numbers),
    ).view(np.uint8)


def steps_to(content: Floats, base: Floats, step: float) -> Multiples | None:
    """``round-half-even((content - base) / step)`` in float64; None if one does not fit int32 or is no number."""
    found = np.empty(content.size, np.int32)
    with np.errstate(all="ignore"):
        for part in blocks_of(content.size):
            multiples = np.subtract(content[part], base[part], dtype=np.float64)
            np.divide(multiples, step, out=multiples)
            np.rint(multiples, out=multiples)
            # False for NaN too.
            if not (np.abs(multiples) <= _LARGEST).all():
                return None
            found[part] = multiples
    return found


def complete(parameters: bytes, content: Buffer, sources: Sequence[Buffer]) -> bytes | None:
    """The parameters of a hint with the multiples, and a mask, that lead to ``content``.

    Returns:
        None if there is no such lattice: a step that is not positive, or numbers that are not finite.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    numbers, step = fields.float_format(), fields.real("f")
    fields.end()
    words = float_words(np.frombuffer(memoryview(content), np.uint8), numbers)
    base = float_words(join_padded(sources, words.nbytes), numbers)
    mask = find_mask(words, base)
    if mask:
        base = mask.apply(base)
    values = widen(words, numbers)
    if not step > 0 or not np.isfinite(step):
        return None
    multiples = steps_to(values, widen(base, numbers), step)
    return None if multiples is None else make_parameters(numbers, step, multiples, mask)


def on_lattice(base: Floats, multiples: Multiples, step: float, numbers: NumberFormat) -> Words:
    """The numbers that are ``multiples`` of ``step`` away from ``base``, as ``predict`` gives them."""
    with np.errstate(all="ignore"):
        # Taking +0 away changes nothing, while adding it would make +0 of a base of -0.
        values = np.subtract(0, multiples, dtype=np.float64)
        np.multiply(values, step, out=values)
        np.subtract(base, values, out=values)
    return narrow(values, numbers)


def _encode_multiples(multiples: Multiples) -> bytes:
    kind = _Kind.INT32
    for narrower in (_Kind.INT16, _Kind.INT8):
        limits = np.iinfo(_SIGNED[narrower])
        if limits.min <= multiples.min(initial=0) and multiples.max(initial=0) <= limits.max:
            kind = narrower
    words = multiples.astype(_SIGNED[kind]).view(_UNSIGNED[kind])
    planes = split_words(words) if kind != _Kind.INT8 else words
    framed = zstd.compress(planes.data, _LEVEL)
    packed = compress_numbers(multiples)
    return bytes([kind]) + framed if len(framed) < len(packed) else bytes([_Kind.PCODEC]) + packed


def _decode_multiples(kind: int, payload: memoryview, count: int) -> Multiples:
    if kind == _Kind.PCODEC:
        multiples = scratch("lattice.multiples", np.dtype(np.int32), count)
        decompress_numbers(payload, multiples)
        return multiples
    if kind > _Kind.INT32:
        raise unknown(f"multiples of kind {kind}")
    width = _UNSIGNED[_Kind(kind)].itemsize
    planes = zstd.decompress(payload, count * width)
    words = join_words(planes, width) if width in PLANE_WIDTHS else np.frombuffer(planes, np.uint8)
    return words.view(_SIGNED[_Kind(kind)]).astype(np.int32)
