"""Tensors to predict from, by byte range: which chunks a range touches, and its bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from mgit_core.chunking import CHUNK_BYTES, chunk_sizes
from mgit_core.coding.encoded import BaseRange
from mgit_core.coding.numbers import NumberFormat, format_of_dtype
from mgit_core.digest import Digest
from mgit_core.manifest import Parameter
from mgit_core.tensor import TensorSpec

__all__ = ["ChunkRead", "SourceTensor", "factor_tensor", "source_of"]

ChunkRead: TypeAlias = Callable[[Digest], bytes | memoryview]
"""Gives the raw bytes of a chunk."""


class SourceTensor:
    """A tensor whose chunks can be bases.

    Attributes:
        spec: Data type and shape.
        numbers: What its bytes mean.
        chunks: Its chunks, in order.
        size_bytes: Bytes of the tensor.
    """

    __slots__ = ("_read", "_starts", "chunks", "numbers", "size_bytes", "spec")

    def __init__(
        self, spec: TensorSpec, chunks: Sequence[Digest], sizes: Sequence[int], read: ChunkRead
    ) -> None:
        self.spec = spec
        self.numbers: NumberFormat = format_of_dtype(spec.dtype)
        self.chunks = tuple(chunks)
        self._starts = [0, *accumulate(sizes)]
        self.size_bytes = self._starts[-1]
        self._read = read

    def ranges(self, start: int, stop: int) -> tuple[BaseRange, ...]:
        """The parts of chunks that make the bytes from ``start`` to ``stop``, cut at the tensor's end."""
        return tuple(
            BaseRange(self.chunks[position], first, last)
            for position, first, last in self._touched(start, stop)
        )

    def read(self, start: int, stop: int) -> bytes | memoryview:
        """The bytes from ``start`` to ``stop``; shorter where the tensor ends before."""
        pieces = [
            memoryview(self._read(self.chunks[position]))[first:last]
            for position, first, last in self._touched(start, stop)
        ]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _touched(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        stop = min(stop, self.size_bytes)
        position = bisect_right(self._starts, start) - 1
        while start < stop:
            chunk_start, chunk_stop = self._starts[position], self._starts[position + 1]
            last = min(stop, chunk_stop)
            if last > start:
                yield position, start - chunk_start, last - chunk_start
                start = last
            position += 1


def source_of(parameter: Parameter, read: ChunkRead) -> SourceTensor:
    """A stored parameter as a source."""
    return SourceTensor(parameter.spec, parameter.chunks, list(chunk_sizes(parameter.spec)), read)


def factor_tensor(
    spec: TensorSpec, content: bytes, digest_of: Callable[[bytes], Digest]
) -> tuple[SourceTensor, Mapping[Digest, bytes]]:
    """A tensor that is stored only to predict from, and its chunks, each 1 MiB at most."""
    pieces = [content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)]
    chunks = {digest_of(piece): piece for piece in pieces}
    digests = [digest_of(piece) for piece in pieces]
    return SourceTensor(spec, digests, list(map(len, pieces)), chunks.__getitem__), chunks
