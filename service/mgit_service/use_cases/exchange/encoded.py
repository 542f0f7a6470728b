"""Chunks as they are stored, out of one store and into another."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.codec import encode_chunk
from mgit_core.digest import Digest
from mgit_core.ports.chunks import ChunkStore
from mgit_service.use_cases.backend import Backend, in_thread

__all__ = ["ChunkDescription", "describe_chunks", "read_encoded_chunks"]

_HEADERS_AT_ONCE = 1_000
_READ_AHEAD = 4 * (os.cpu_count() or 1)
_SMALL_CHUNKS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkDescription:
    """How a chunk is stored.

    Attributes:
        stored_bytes: Bytes of its frame.
        raw_bytes: Bytes of the raw chunk.
        bases: Digests of the chunks that it needs directly.
    """

    stored_bytes: int
    raw_bytes: int
    bases: tuple[Digest, ...]


async def describe_chunks(backend: Backend, digests: Sequence[Digest]) -> list[ChunkDescription]:
    """How each chunk is stored, in order.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT.
    """
    found: list[ChunkDescription] = []
    for start in range(0, len(digests), _HEADERS_AT_ONCE):
        part = digests[start : start + _HEADERS_AT_ONCE]
        found += await in_thread(backend, _describe, backend.chunks, part)
    return found


def _describe(chunks: ChunkStore, digests: Sequence[Digest]) -> list[ChunkDescription]:
    return [
        ChunkDescription(stored_bytes=form.size_bytes, raw_bytes=raw_bytes, bases=form.bases)
        for form, raw_bytes in zip(chunks.forms(digests), chunks.raw_sizes(digests), strict=True)
    ]


async def read_encoded_chunks(
    backend: Backend, digests: Sequence[Digest], alone: Sequence[Digest]
) -> AsyncGenerator[tuple[Digest, bytes]]:
    """Each chunk with its frame as it is stored, then those of ``alone`` encoded anew without bases, in order.

    Reads ahead, cores x 4 MiB or a little more.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT.
    """
    ahead: deque[tuple[Sequence[Digest], asyncio.Future[list[bytes]]]] = deque()
    batches = _Batches(backend, digests, alone)
    try:
        async for batch, read in batches.planned():
            ahead.append((batch, in_thread(backend, read, backend.chunks, batch)))
            if len(ahead) >= _READ_AHEAD:
                for frame in _paired(*await _first(ahead)):
                    yield frame
        while ahead:
            for frame in _paired(*await _first(ahead)):
                yield frame
    finally:
        for _, left in ahead:
            # Nobody waits for it any more, nor for its error.
            if not left.cancel() and not left.cancelled():
                left.exception()


async def _first(
    ahead: deque[tuple[Sequence[Digest], asyncio.Future[list[bytes]]]],
) -> tuple[Sequence[Digest], list[bytes]]:
    batch, reading = ahead[0]
    frames = await reading
    ahead.popleft()
    return batch, frames


def _paired(batch: Sequence[Digest], frames: Sequence[bytes]) -> Iterator[tuple[Digest, bytes]]:
    return zip(batch, frames, strict=True)


@dataclass(frozen=True, slots=True)
class _Batches:
    """What is read by one thread at a time: chunks that make 1 MiB together, by what the index says."""

    backend: Backend
    digests: Sequence[Digest]
    alone: Sequence[Digest]

    async def planned(
        self,
    ) -> AsyncGenerator[tuple[list[Digest], Callable[[ChunkStore, Sequence[Digest]], list[bytes]]]]:
        """The batches, with the function that reads each."""
        for digests, read in ((self.digests, _read_stored), (self.alone, _read_alone)):
            for start in range(0, len(digests), _HEADERS_AT_ONCE):
                part = digests[start : start + _HEADERS_AT_ONCE]
                sizes = await in_thread(self.backend, self.backend.chunks.stored_sizes, part)
                for batch in _cut(part, sizes):
                    yield batch, read


def _cut(digests: Sequence[Digest], sizes: Sequence[int]) -> Iterator[list[Digest]]:
    batch: list[Digest] = []
    size_bytes = 0
    for digest, size in zip(digests, sizes, strict=True):
        if batch and (size_bytes + size > CHUNK_BYTES or len(batch) == _SMALL_CHUNKS_AT_ONCE):
            yield batch
            batch, size_bytes = [], 0
        batch.append(digest)
        size_bytes += size
    if batch:
        yield batch


def _read_stored(chunks: ChunkStore, digests: Sequence[Digest]) -> list[bytes]:
    return [chunks.read_encoded(digest).to_bytes() for digest in digests]


def _read_alone(chunks: ChunkStore, digests: Sequence[Digest]) -> list[bytes]:
    return [_encode_alone(chunks, digest) for digest in digests]


def _encode_alone(chunks: ChunkStore, digest: Digest) -> bytes:
    stored = chunks.read_encoded(digest)
    if not stored.bases:
        return stored.to_bytes()
    return encode_chunk(chunks.read(digest), stored.width).to_bytes()
