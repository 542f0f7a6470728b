"""Predictors: what a chunk is likely to be, from other chunks and how the one was made from the others.

Every predictor is part of the format: it is elementwise IEEE arithmetic in a fixed order, without fused
operations, and gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding.encoded import Predictor
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.predictors import base, cast, combination, lattice, low_rank, mask, scale, ties
from mgit_core.coding.refusals import corrupt, unknown

__all__ = ["MAX_SOURCE_BYTES", "complete_parameters", "predict"]

MAX_SOURCE_BYTES = 1 << 26
"""Most bytes that the base ranges of one chunk may have together."""

_VERSION = 1

_PREDICTORS: dict[int, Callable[[bytes, Sequence[Buffer], int], npt.NDArray[np.uint8]]] = {
    Predictor.BASE: base.predict,
    Predictor.MASK: mask.predict,
    Predictor.COMBINATION: combination.predict,
    Predictor.CAST: cast.predict,
    Predictor.LOW_RANK: low_rank.predict,
    Predictor.SCALE: scale.predict,
    Predictor.LATTICE: lattice.predict,
    Predictor.TIES: ties.predict,
}


def predict(
    predictor: int, parameters: bytes, sources: Sequence[Buffer], raw_size: int, *, version: int = _VERSION
) -> npt.NDArray[np.uint8]:
    """The bytes that a predictor gives. Pure; thread-safe. May be a view of a source: not to be written to.

    Args:
        predictor: Its number.
        parameters: As its module writes them.
        sources: One buffer for each base range, already cut to it, in order.
        raw_size: Bytes of the chunk.
        version: Version of the predictor.

    Raises:
        CorruptError: CHUNK_CORRUPT for parameters or sources that cannot be; UNKNOWN_FORMAT_VERSION.
    """
    known = _PREDICTORS.get(predictor)
    if known is None or version != _VERSION:
        raise unknown(f"predictor {predictor} version {version}")
    size = sum(memoryview(source).nbytes for source in sources)
    if size > MAX_SOURCE_BYTES:
        raise corrupt(f"its base ranges have {size} bytes, at most {MAX_SOURCE_BYTES} are read")
    return known(parameters, sources, raw_size)


def complete_parameters(
    predictor: int, parameters: bytes, content: Buffer, sources: Sequence[Buffer], *, numbers: NumberFormat
) -> bytes | None:
    """Parameters with what only the content tells: a mask, or the multiples of a lattice.

    Those of other predictors, and those that are whole, come back as they are.

    Args:
        predictor: Its number.
        parameters: Empty for a mask to be found; ``lattice.make_hint`` for multiples to be found.
        content: The raw chunk.
        sources: One buffer for each base range.
        numbers: Format of the content.

    Returns:
        None where the predictor does not help with this content.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    if predictor == Predictor.MASK and not parameters:
        return mask.complete(numbers, content, sources)
    if predictor == Predictor.LATTICE and lattice.is_hint(parameters):
        return lattice.complete(parameters, content, sources)
    return parameters
