"""The base times a factor: what pure weight decay leaves."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from typing_extensions import Buffer

from mgit_core.coding.floats import narrow, widen, working_type
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.predictors.blocks import by_blocks
from mgit_core.coding.predictors.fields import Bytes, Fields, float_words, join_padded

__all__ = ["make_parameters", "predict"]

_LAYOUT = struct.Struct("<Bd")


def make_parameters(numbers: NumberFormat, factor: float) -> bytes:
    """Parameters that multiply every number by ``factor``, rounded to the working type."""
    return _LAYOUT.pack(numbers, factor)


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """``round(p * factor)``.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    numbers = fields.float_format()
    factor = fields.real("d")
    fields.end()
    words = float_words(join_padded(sources, raw_size), numbers)
    with np.errstate(all="ignore"):
        rounded = working_type(numbers).type(factor)
        return by_blocks(
            words.size, words.dtype, lambda part: narrow(widen(words[part], numbers) * rounded, numbers)
        ).view(np.uint8)
