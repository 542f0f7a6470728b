"""Chunks that another store encoded, decoded and verified in threads, and kept whatever happens to the rest."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mgit_core.coding.encoded import EncodedChunk
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError
from mgit_core.ports.chunks import ChunkWriter
from mgit_service.use_cases.backend import Backend, finish_surely, in_thread

__all__ = ["EncodedIngest"]

_CHUNKS_PER_CORE = 4
_CHUNK_BYTES = 1 << 20
# Small chunks go to a thread together: the way there and back costs as much as decoding 100 KiB.
_BATCH_BYTES = 1 << 20
_BATCH_CHUNKS = 256


@dataclass(frozen=True, slots=True)
class _Running:
    """Chunks that a thread writes."""

    written: asyncio.Future[None]
    digests: frozenset[Digest]
    size_bytes: int


class EncodedIngest:
    """Takes the encoded chunks of one call. As a context manager it seals on every way out.

    Chunks of one batch are written in order by one thread, batches at once by several. A chunk that needs one of
    another batch waits until that is written.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._writer: ChunkWriter = backend.chunks.open_writer()
        self._room = (os.cpu_count() or 1) * _CHUNKS_PER_CORE * _CHUNK_BYTES
        self._batch: list[tuple[Digest, EncodedChunk]] = []
        self._batch_bytes = 0
        self._running: deque[_Running] = deque()
        self._running_bytes = 0
        self._is_sealed = False
        self.chunk_count = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes that the store grew by; right after the sealing."""
        return self._writer.stored_bytes

    async def add(self, digest: Digest, frame: bytes) -> None:
        """Take a whole frame; waits while enough others are being written.

        Raises:
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION, of this chunk or an earlier one.
            ResourceExhaustedError: DISK_FULL.
        """
        encoded = _parse(digest, frame)
        self.chunk_count += 1
        bases = {base.digest for base in encoded.bases}
        if any(not bases.isdisjoint(running.digests) for running in self._running):
            await self._submit()
            await self._wait_for_all()
        self._batch.append((digest, encoded))
        # What is held is the frame, and while it is decoded its content too.
        self._batch_bytes += len(frame) + min(encoded.raw_size, _CHUNK_BYTES)
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_CHUNKS:
            await self._submit()

    async def finish(self) -> None:
        """Write what is left and seal: all chunks are durable then.

        Raises:
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
            ResourceExhaustedError: DISK_FULL.
        """
        await self._submit()
        await self._wait_for_all()
        await self._seal()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._is_sealed:
            await self._seal()

    async def _submit(self) -> None:
        if not self._batch:
            return
        while self._running and self._running_bytes + self._batch_bytes > self._room:
            await self._wait_for_oldest()
        batch, size_bytes = self._batch, self._batch_bytes
        self._batch, self._batch_bytes = [], 0
        written = in_thread(self._backend, _write, self._writer, batch)
        self._running.append(_Running(written, frozenset(digest for digest, _ in batch), size_bytes))
        self._running_bytes += size_bytes

    async def _wait_for_all(self) -> None:
        while self._running:
            await self._wait_for_oldest()

    async def _wait_for_oldest(self) -> None:
        oldest = self._running[0]
        await asyncio.shield(oldest.written)
        self._running.popleft()
        self._running_bytes -= oldest.size_bytes

    async def _seal(self) -> None:
        """Wait for the threads, then seal, not to be stopped by a cancellation, which is passed on at the end."""
        await finish_surely(self._wait_and_seal())

    async def _wait_and_seal(self) -> None:
        running = [each.written for each in self._running]
        self._running.clear()
        await asyncio.gather(*running, return_exceptions=True)
        await in_thread(self._backend, self._writer.seal)
        self._is_sealed = True


def _parse(digest: Digest, frame: bytes) -> EncodedChunk:
    try:
        return EncodedChunk.from_bytes(frame)
    except CorruptError as error:
        raise CorruptError(
            error.reason,
            f"An encoded chunk was sent as {digest.hex()}, but cannot be kept: {error.message}",
            digest=digest.hex(),
        ) from error


def _write(writer: ChunkWriter, batch: Sequence[tuple[Digest, EncodedChunk]]) -> None:
    """Write each chunk; one that is not what its sender says does not keep the others out."""
    refused: CorruptError | None = None
    for digest, encoded in batch:
        try:
            writer.write_encoded(digest, encoded)
        except CorruptError as error:
            refused = refused or error
    if refused is not None:
        raise refused
