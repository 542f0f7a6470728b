"""Parameters of a predictor, read field by field and refused where they cannot be."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding.numbers import NumberFormat, Words, format_of_number, words_of
from mgit_core.coding.refusals import corrupt

__all__ = ["Fields", "cut_sources", "float_words", "join_padded", "join_sources"]

Bytes = npt.NDArray[np.uint8]


class Fields:
    """A cursor over parameters."""

    def __init__(self, parameters: bytes | memoryview) -> None:
        self._rest = memoryview(parameters)

    def number(self, layout: str) -> int:
        """The next whole number, in a layout of ``struct``."""
        return int(struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))[0])

    def real(self, layout: str) -> float:
        """The next float, in a layout of ``struct``."""
        return float(struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))[0])

    def float_format(self) -> NumberFormat:
        """The next byte, as a format of floats."""
        numbers = format_of_number(self.number("B"))
        if not numbers.is_float:
            raise corrupt(f"a prediction of floats has format {numbers.name}")
        return numbers

    def take(self, size: int) -> memoryview:
        """The next ``size`` bytes."""
        if size > len(self._rest):
            raise corrupt("the parameters of its prediction end early")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def rest(self) -> memoryview:
        """All that is left."""
        return self.take(len(self._rest))

    def end(self) -> None:
        """Refuse what is left."""
        if len(self._rest):
            raise corrupt(f"{len(self._rest)} bytes behind the parameters of its prediction")


def join_sources(sources: Sequence[Buffer]) -> Bytes:
    """The sources one after another; a view if there is only one."""
    if len(sources) == 1:
        return np.frombuffer(memoryview(sources[0]), np.uint8)
    if not sources:
        return np.empty(0, np.uint8)
    return np.concatenate([np.frombuffer(memoryview(source), np.uint8) for source in sources])


def join_padded(sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """The sources one after another, zeros behind them up to ``raw_size``.

    Raises:
        CorruptError: CHUNK_CORRUPT if they are longer.
    """
    joined = join_sources(sources)
    if joined.size == raw_size:
        return joined
    if joined.size > raw_size:
        raise corrupt(f"{joined.size} bytes of bases predict {raw_size}")
    padded = np.zeros(raw_size, np.uint8)
    padded[: joined.size] = joined
    return padded


def cut_sources(sources: Sequence[Buffer], raw_size: int) -> list[Bytes]:
    """The sources joined and cut into pieces of ``raw_size``; views where they have it already.

    Raises:
        CorruptError: CHUNK_CORRUPT if they are no whole number of pieces, or none.
    """
    whole = [join_sources([source]) for source in sources]
    if not raw_size or not whole:
        raise corrupt(f"{len(whole)} bases for {raw_size} bytes")
    if all(piece.size == raw_size for piece in whole):
        return whole
    joined = join_sources(sources)
    if joined.size % raw_size:
        raise corrupt(f"{joined.size} bytes of bases for {raw_size} bytes")
    return [joined[at : at + raw_size] for at in range(0, joined.size, raw_size)]


def float_words(content: Bytes, numbers: NumberFormat) -> Words:
    """The words of some numbers.

    Raises:
        CorruptError: CHUNK_CORRUPT if the size is no multiple of their width.
    """
    if content.size % numbers.width:
        raise corrupt(f"{content.size} bytes are no {numbers.name}")
    return words_of(content.data, numbers)
