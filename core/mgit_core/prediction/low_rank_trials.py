"""Hypotheses of low rank about one tensor: the factors of adapters, or such as its difference shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import starmap

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.chunking import chunk_ranges
from mgit_core.coding.encoded import Predictor
from mgit_core.coding.floats import narrow, widen
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.predictors import low_rank
from mgit_core.digest import Digest
from mgit_core.prediction.hypotheses import Hypothesis, Part, Reach, row_bytes
from mgit_core.prediction.low_rank import (
    DifferenceBlock,
    Float32Matrix,
    Matrix,
    find_factors,
    fit_scale,
    visible_rank,
)
from mgit_core.prediction.sampled import SampledTensor
from mgit_core.prediction.sources import SourceTensor, factor_tensor
from mgit_core.tensor import TensorSpec

__all__ = ["LowRankTrials"]

_MATRIX = 2


class LowRankTrials:
    """Tries out whether thin matrices were added to a tensor.

    Attributes:
        factors: Chunks that a tried hypothesis starts from and no model has, by digest.
    """

    def __init__(self, tensor: SampledTensor, digest_of: Callable[[bytes], Digest]) -> None:
        self.factors: dict[Digest, bytes] = {}
        self._tensor = tensor
        self._digest_of = digest_of

    def run(
        self, base: Hypothesis, adapters: Iterable[tuple[SourceTensor, SourceTensor]]
    ) -> Iterator[Hypothesis]:
        """The base plus factors: those of adapters, or such as are found in the difference.

        Factors are looked for only where the sample's difference lies in few dimensions.
        """
        if (
            not self._is_matrix
            or base.parts[0].reach is not Reach.NUMBERS
            or base.parts[0].source.spec != self._tensor.spec
        ):
            return
        difference = self._sample_matrix(self._tensor.sample.content) - self._sample_matrix(
            self._tensor.read(base.parts[0])
        )
        found = list(starmap(lambda left, right: self._adapted(base, left, right, difference), adapters))
        hypotheses = [each for each in found if each is not None]
        yield from hypotheses
        if any(each.cost < base.cost / 2 for each in hypotheses):
            return
        rank = visible_rank(difference)
        if rank:
            yield from self._factored(base, rank)

    @property
    def _is_matrix(self) -> bool:
        """Whether it has rows, and chunks of whole rows."""
        spec = self._tensor.spec
        if not self._tensor.numbers.is_float or len(spec.shape) < _MATRIX or spec.dtype.startswith("complex"):
            return False
        length = row_bytes(spec)
        return all(stop % length == 0 for _, stop in chunk_ranges(spec))

    @property
    def _columns(self) -> int:
        return row_bytes(self._tensor.spec) // self._tensor.spec.itemsize

    def _adapted(
        self, base: Hypothesis, left: SourceTensor, right: SourceTensor, difference: Matrix
    ) -> Hypothesis | None:
        """The base plus an adapter's product, with the scale that fits the sample best."""
        rows, rank = left.spec.shape
        if right.spec.shape != (rank, self._columns) or rows != self._tensor.spec.shape[0]:
            return None
        if rank > low_rank.MAX_RANK:
            return None
        sides = [self._single(side) for side in (left, right)]
        product = self._sample_product(_matrix_of(sides[0]), _matrix_of(sides[1]))
        fitted = fit_scale(difference, product)
        if fitted is None:
            return None
        tries = [
            self._low_rank(base, sides[0], sides[1], factor)
            for factor in dict.fromkeys((float(f"{fitted:.3g}"), float(f"{fitted:.6g}")))
        ]
        return min(tries, key=lambda each: each.cost)

    def _single(self, source: SourceTensor) -> SourceTensor:
        """The factor in float32, which the predictor wants."""
        if source.spec.dtype == "float32":
            return source
        words = words_of(source.read(0, source.size_bytes), source.numbers)
        content = narrow(widen(words, source.numbers), NumberFormat.FLOAT32).tobytes()
        return self._store(source.spec.shape, content)

    def _store(self, shape: tuple[int, ...], content: bytes) -> SourceTensor:
        tensor, chunks = factor_tensor(TensorSpec("float32", shape), content, self._digest_of)
        self.factors.update(chunks)
        return tensor

    def _factored(self, base: Hypothesis, rank: int) -> Iterator[Hypothesis]:
        """The base plus factors of the difference of all chunks that are at hand."""
        positions = sorted(self._tensor.contents)
        ranges = list(chunk_ranges(self._tensor.spec))
        length = row_bytes(self._tensor.spec)
        spans = [ranges[position] for position in positions]

        def blocks() -> Iterator[DifferenceBlock]:
            for position, (start, stop) in zip(positions, spans, strict=True):
                own = self._tensor.values(self._tensor.contents[position])
                difference = own - self._tensor.values(base.parts[0].read(self._tensor.spec, start, stop))
                yield DifferenceBlock(
                    difference.reshape(-1, self._columns), np.frexp(own)[1].reshape(-1, self._columns)
                )

        rows = sum(stop - start for start, stop in spans) // length
        found = find_factors(blocks, rows, self._columns, rank)
        if found is None:
            return
        first = spans[0][0] // length
        left: Float32Matrix = np.zeros((spans[-1][1] // length - first, found.left.shape[1]), np.float32)
        taken = 0
        for start, stop in spans:
            count = (stop - start) // length
            left[start // length - first :][:count] = found.left[taken : taken + count]
            taken += count
        sides = [self._store(side.shape, side.tobytes()) for side in (left, found.right)]
        hypothesis = self._low_rank(base, sides[0], sides[1], 1.0, first)
        numbers = sum(stop - start for start, stop in spans) / self._tensor.numbers.width
        yield replace(hypothesis, cost=hypothesis.cost + 8 * found.size_bytes / numbers)

    def _low_rank(
        self, base: Hypothesis, left: SourceTensor, right: SourceTensor, factor: float, first_row: int = 0
    ) -> Hypothesis:
        rank = left.spec.shape[1]
        rows = self._sample_rows() - first_row
        columns = self._tensor.sample.segment_bytes // self._tensor.numbers.width
        sources: list[Buffer] = [
            self._tensor.read(base.parts[0]),
            np.ascontiguousarray(_matrix_of(left)[rows]).data,
            np.ascontiguousarray(_matrix_of(right)[:, :columns]).data,
        ]
        sampled = low_rank.make_parameters(self._tensor.numbers, rank=rank, columns=columns, scale=factor)
        prediction = low_rank.predict(sampled, sources, len(self._tensor.sample.content))
        return Hypothesis(
            predictor=Predictor.LOW_RANK,
            parts=(base.parts[0], Part(left, Reach.ROWS, first_row), Part(right, Reach.WHOLE)),
            parameters=low_rank.make_parameters(
                self._tensor.numbers, rank=rank, columns=self._columns, scale=factor
            ),
            cost=self._tensor.cost_of(prediction),
        )

    def _sample_rows(self) -> npt.NDArray[np.int64]:
        length = row_bytes(self._tensor.spec)
        return np.array([start // length for start, _ in self._tensor.sample.segments])

    def _sample_product(self, left: Float32Matrix, right: Float32Matrix) -> Matrix:
        columns = self._tensor.sample.segment_bytes // self._tensor.numbers.width
        product: Matrix = left[self._sample_rows()].astype(np.float64) @ right[:, :columns].astype(np.float64)
        return product

    def _sample_matrix(self, content: Buffer) -> Matrix:
        return self._tensor.values(content).reshape(len(self._tensor.sample.segments), -1)


def _matrix_of(source: SourceTensor) -> Float32Matrix:
    content = source.read(0, source.size_bytes)
    return np.frombuffer(content, "<f4").reshape(source.spec.shape)
