"""The two codecs of MGit's paper for quantized differences, written anew."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CODECS", "Codec"]

Quanta = npt.NDArray[np.int64]

_SIGNED = (np.int8, np.int16, np.int32, np.int64)
_UNSIGNED = (np.uint8, np.uint16, np.uint32, np.int64)  # Its last step up is signed.


@dataclass(frozen=True, slots=True)
class Codec:
    """Codes the whole multiples of one tensor, flat."""

    encode: Callable[[Quanta], bytes]
    decode: Callable[[bytes], Quanta]


def _encode_lzma(quanta: Quanta) -> bytes:
    return lzma.compress(quanta.tobytes())


def _decode_lzma(blob: bytes) -> Quanta:
    return np.frombuffer(lzma.decompress(blob), np.int64)


def _encode_runs(quanta: Quanta) -> bytes:
    """Each run's value in the least signed type that holds all, its length in the least unsigned one."""
    starts = np.flatnonzero(np.concatenate([[True], quanta[1:] != quanta[:-1]]))
    values = quanta[starts]
    lengths = np.diff(np.append(starts, quanta.size))
    value_type = _least(_SIGNED, int(values.min()), int(values.max()))
    length_type = _least(_UNSIGNED, 0, int(lengths.max()))
    head = struct.pack("<QBB", values.size, value_type, length_type)
    return (
        head + values.astype(_SIGNED[value_type]).tobytes() + lengths.astype(_UNSIGNED[length_type]).tobytes()
    )


def _decode_runs(blob: bytes) -> Quanta:
    head = struct.Struct("<QBB")
    count, value_type, length_type = head.unpack_from(blob)
    values = np.frombuffer(blob, _SIGNED[value_type], count, head.size)
    lengths = np.frombuffer(blob, _UNSIGNED[length_type], count, head.size + values.nbytes)
    return np.repeat(values.astype(np.int64), lengths)


def _least(types: tuple[type[np.integer], ...], low: int, high: int) -> int:
    return next(
        place for place, kind in enumerate(types) if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
    )


CODECS = {"LZMA": Codec(_encode_lzma, _decode_lzma), "RLE": Codec(_encode_runs, _decode_runs)}
"""By the name that the paper has for it."""
