"""A tensor and its sources as a sample of its rows shows them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding.floats import widen
from mgit_core.coding.numbers import NumberFormat, Words, format_of_dtype, words_of
from mgit_core.coding.predictors import predict
from mgit_core.prediction.hypotheses import Hypothesis, Part, Reach, row_bytes
from mgit_core.prediction.sampling import Sample, cost_bits, take_sample
from mgit_core.tensor import TensorSpec

__all__ = ["SampledTensor"]


class SampledTensor:
    """A tensor of which some rows were taken. Reads of a source what the sample needs, once.

    Attributes:
        spec: Data type and shape of the tensor.
        numbers: What its bytes mean.
        contents: Raw bytes of the chunks that are at hand, by position.
        sample: The rows.
    """

    def __init__(self, spec: TensorSpec, contents: Mapping[int, Buffer], *, is_dense: bool) -> None:
        self.spec = spec
        self.numbers: NumberFormat = format_of_dtype(spec.dtype)
        self.contents = contents
        self.sample: Sample = take_sample(
            spec, contents, most_chunks=4 if is_dense else 2, most_row_bytes=2048 if is_dense else 1024
        )
        # The sources live as long as this: they are the caller's.
        self._read: dict[tuple[int, Reach], bytes] = {}

    @property
    def poor_cost(self) -> float:
        """Bits from which on a plain base is hardly one: three quarters of what the numbers have."""
        return 6 * self.numbers.width

    def cost(self, hypothesis: Hypothesis) -> float:
        """Bits that a hypothesis leaves of each number of the sample."""
        sources = [self.read(part) for part in hypothesis.parts]
        return self.cost_of(
            predict(hypothesis.predictor, hypothesis.parameters, sources, len(self.sample.content))
        )

    def cost_of(self, prediction: npt.NDArray[np.uint8]) -> float:
        """Bits that a prediction of the sample leaves of each number."""
        return cost_bits(self.numbers, self.sample.content, prediction.data)

    def read(self, part: Part) -> bytes:
        """The bytes of a source for the sample; zeros where the source ends before."""
        content = self._read.get((id(part.source), part.reach))
        if content is None:
            content = self._read[id(part.source), part.reach] = self._read_anew(part)
        return content

    def words(self, content: Buffer) -> Words:
        """Bytes as the tensor's numbers."""
        return words_of(content, self.numbers)

    def values(self, content: Buffer) -> npt.NDArray[np.float64]:
        """Bytes as the values of the tensor's numbers, which are floats."""
        with np.errstate(invalid="ignore"):
            return widen(self.words(content), self.numbers).astype(np.float64)

    def _read_anew(self, part: Part) -> bytes:
        pieces: list[bytes] = []
        for start, stop in self.sample.segments:
            if part.reach is Reach.HEADS:
                at = start // row_bytes(self.spec) * row_bytes(part.source.spec)
                piece = part.source.read(at, at + stop - start)
            else:
                piece = part.read(self.spec, start, stop)
            wanted = (stop - start) * part.source.spec.number_bytes // self.spec.number_bytes
            pieces.append(bytes(piece).ljust(wanted, b"\0"))
        return b"".join(pieces)
