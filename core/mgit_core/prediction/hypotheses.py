"""Hypotheses: ways in which a whole tensor may have come from others, cut to its chunks."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass

from mgit_core.coding.encoded import BaseRange, Predictor
from mgit_core.coding.plans import Prediction
from mgit_core.prediction.sources import SourceTensor
from mgit_core.tensor import TensorSpec

__all__ = ["Hypothesis", "Part", "Reach", "row_bytes"]

_MOST_BASES = 64  # A frame names no more.


class Reach(enum.Enum):
    """Which bytes of a source a range of the target needs."""

    NUMBERS = "numbers"
    """The same numbers, whatever their width."""
    HEADS = "heads"
    """Of each row the first bytes, as many as the target's rows have."""
    ROWS = "rows"
    """The same rows, whatever their length."""
    WHOLE = "whole"
    """All."""


@dataclass(frozen=True, slots=True)
class Part:
    """A source of a prediction.

    Attributes:
        source: The tensor.
        reach: Which bytes of it are needed.
        first_row: Row of the target at which the source begins, for ROWS.
    """

    source: SourceTensor
    reach: Reach = Reach.NUMBERS
    first_row: int = 0

    def spans(self, target: TensorSpec, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Byte ranges of the source for the bytes from ``start`` to ``stop`` of ``target``; rows are whole."""
        own = self.source.spec
        if self.reach is Reach.NUMBERS:
            scale = own.number_bytes, target.number_bytes
            yield start * scale[0] // scale[1], stop * scale[0] // scale[1]
        elif self.reach is Reach.WHOLE:
            yield 0, self.source.size_bytes
        else:
            length = row_bytes(target)
            first, last = start // length - self.first_row, stop // length - self.first_row
            step = row_bytes(own)
            if self.reach is Reach.ROWS:
                yield first * step, last * step
            else:
                yield from ((row * step, row * step + length) for row in range(first, last))

    def read(self, target: TensorSpec, start: int, stop: int) -> bytes | memoryview:
        """The bytes of the source for a range of ``target``."""
        pieces = [self.source.read(*span) for span in self.spans(target, start, stop)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One way in which a tensor may have come about.

    Attributes:
        predictor: Which operation.
        parts: What it starts from, in the predictor's order.
        parameters: What else the predictor needs.
        cost: Expected bits for each number, what has to be stored besides the residue included.
    """

    predictor: Predictor
    parts: tuple[Part, ...]
    parameters: bytes = b""
    cost: float = math.inf

    def prediction(self, target: TensorSpec, start: int, stop: int) -> Prediction | None:
        """The prediction of one chunk; None if it would need no base, too many, or more than there is."""
        bases: list[BaseRange] = []
        for part in self.parts:
            spans = list(part.spans(target, start, stop))
            found = [each for span in spans for each in part.source.ranges(*span)]
            wanted = sum(last - first for first, last in spans)
            if not found or (
                self.predictor != Predictor.BASE and sum(base.stop - base.start for base in found) < wanted
            ):
                return None
            bases += found
            if len(bases) > _MOST_BASES:
                return None
        return Prediction(predictor=self.predictor, bases=tuple(bases), parameters=self.parameters)


def row_bytes(spec: TensorSpec) -> int:
    """Bytes of one step on the first axis; of a tensor without axes, all."""
    return math.prod(spec.shape[1:]) * spec.itemsize
