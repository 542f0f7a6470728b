"""A base of another float format, rounded."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from typing_extensions import Buffer

from mgit_core.coding.floats import Rounding, narrow, widen
from mgit_core.coding.numbers import NumberFormat, word_type
from mgit_core.coding.predictors.blocks import by_blocks
from mgit_core.coding.predictors.fields import Bytes, Fields, float_words, join_sources
from mgit_core.coding.refusals import corrupt, unknown

__all__ = ["make_parameters", "predict"]

_LAYOUT = struct.Struct("<BBB")
_ROUNDINGS = frozenset(int(rounding) for rounding in Rounding)


def make_parameters(
    source: NumberFormat, target: NumberFormat, rounding: Rounding = Rounding.NEAREST_EVEN
) -> bytes:
    """Parameters that turn floats of ``source`` into those of ``target``; widening is exact."""
    return _LAYOUT.pack(source, target, rounding)


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """The sources joined, each number rounded to the target format.

    Raises:
        CorruptError: CHUNK_CORRUPT, if the sources do not hold exactly as many numbers; UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    source, target, rounding = fields.float_format(), fields.float_format(), fields.number("B")
    fields.end()
    if rounding not in _ROUNDINGS:
        raise unknown(f"rounding {rounding}")
    words = float_words(join_sources(sources), source)
    if words.size * target.width != raw_size:
        raise corrupt(f"{words.size} numbers are cast to {raw_size} bytes of {target.name}")
    how = Rounding(rounding)
    cast = by_blocks(
        words.size, word_type(target), lambda part: narrow(widen(words[part], source), target, how)
    )
    return cast.view(np.uint8)
