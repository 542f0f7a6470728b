"""Plans: what a writer is to try when it encodes a chunk."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from mgit_core.coding.encoded import BaseRange, Predictor
from mgit_core.coding.numbers import NumberFormat
from mgit_core.digest import Digest

__all__ = [
    "DECODED_PER_BYTE",
    "DECODED_PER_CAST_BYTE",
    "DECODED_TIMES_FOR_LITTLE",
    "LITTLE",
    "ChunkPlan",
    "Effort",
    "Prediction",
]

DECODED_PER_BYTE = 4
"""Most raw bytes that a writer lets one read of a chunk decode, its own and those of all its bases, for each of its
own bytes."""
DECODED_PER_CAST_BYTE = 6
"""The same for a chunk that is predicted from wider numbers."""
LITTLE = 16
"""A frame is little if it takes at most this part of the raw bytes."""
DECODED_TIMES_FOR_LITTLE = 2
"""So many times as much may be decoded for a chunk whose frame is little: a mean or a cast of models that rest on others
themselves would take a hundred times its bytes otherwise."""


class Effort(enum.Enum):
    """How hard a writer tries."""

    FAST = "fast"
    """zstd, byte planes and ordered differences of short floats: at the speed of an upload."""
    DENSE = "dense"
    """Every encoding: in a repack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One way to predict a chunk.

    A wrong one costs bytes, never correctness: what it misses is coded as a residue.

    Attributes:
        predictor: Which.
        bases: What it starts from, in its order.
        parameters: What else it needs, as ``mgit_core.coding.predictors`` writes it.
    """

    predictor: Predictor
    bases: tuple[BaseRange, ...]
    parameters: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlan:
    """What a writer is to try for a chunk. The smallest result wins; no prediction is always tried too.

    Attributes:
        numbers: What the bytes mean.
        effort: How hard to try.
        predictions: Best first. One whose bases are not usable, or cost too much to decode for what it leaves, is
            passed over.
        contents: Raw bytes of bases that are at hand, those among them that the same writer was just given.
    """

    numbers: NumberFormat
    effort: Effort = Effort.FAST
    predictions: tuple[Prediction, ...] = ()
    contents: Mapping[Digest, bytes] = field(default_factory=dict)
