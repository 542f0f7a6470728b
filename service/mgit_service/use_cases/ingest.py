"""Raw chunks into the store: verified and encoded in threads, few at a time, sealed whatever happens."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from typing_extensions import Buffer

from mgit_core.digest import Digest
from mgit_core.errors import InvalidArgumentError
from mgit_core.ports.chunks import ChunkWriter
from mgit_service.use_cases.backend import Backend

__all__ = ["ChunkIngest", "RawChunk"]

_CHUNKS_PER_CORE = 4
_CHUNK_BYTES = 1 << 20
# Small chunks go to a thread together: the way there and back costs as much as encoding 100 KiB.
_BATCH_BYTES = 1 << 20
_BATCH_CHUNKS = 256


class RawChunk:
    """A chunk on its way in.

    Attributes:
        pieces: Its raw bytes, let go of when they are written.
        size_bytes: How many.
        width: Bytes of one number; 1 for files.
        digest: What the sender says; after the writing, what it is.
    """

    __slots__ = ("digest", "pieces", "size_bytes", "width")

    def __init__(self, size_bytes: int, width: int, digest: Digest = b"") -> None:
        self.pieces: list[Buffer] = []
        self.size_bytes = size_bytes
        self.width = width
        self.digest = digest


class ChunkIngest:
    """Takes the chunks of one call. As a context manager it seals on every way out.

    Sealing runs to its end even if the call is cancelled: what was verified is there for the next try.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._writer: ChunkWriter = backend.chunks.open_writer()
        self._room = (os.cpu_count() or 1) * _CHUNKS_PER_CORE * _CHUNK_BYTES
        self._batch: list[RawChunk] = []
        self._batch_bytes = 0
        self._running: deque[tuple[asyncio.Future[None], int]] = deque()
        self._running_bytes = 0
        self._is_sealed = False
        self.chunk_count = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes that the store grew by; right after the sealing."""
        return self._writer.stored_bytes

    async def add(self, chunk: RawChunk) -> None:
        """Take a whole chunk; waits while enough others are being written.

        Raises:
            InvalidArgumentError: DIGEST_MISMATCH, of this chunk or an earlier one.
            ResourceExhaustedError: DISK_FULL.
        """
        self._batch.append(chunk)
        self._batch_bytes += chunk.size_bytes
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_CHUNKS:
            await self._submit()

    async def finish(self) -> None:
        """Write what is left and seal. Every chunk has its digest then, and all are durable.

        Raises:
            InvalidArgumentError: DIGEST_MISMATCH.
            ResourceExhaustedError: DISK_FULL.
        """
        await self._submit()
        while self._running:
            await self._wait_for_oldest()
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
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._backend.threads, _write, self._writer, batch)
        self._running.append((written, size_bytes))
        self._running_bytes += size_bytes
        self.chunk_count += len(batch)

    async def _wait_for_oldest(self) -> None:
        written, size_bytes = self._running[0]
        await asyncio.shield(written)
        self._running.popleft()
        self._running_bytes -= size_bytes

    async def _seal(self) -> None:
        """Wait for the threads, then seal, not to be stopped by a cancellation, which is passed on at the end."""
        sealing = asyncio.ensure_future(self._wait_and_seal())
        cancelled: asyncio.CancelledError | None = None
        while not sealing.done():
            try:
                await asyncio.shield(sealing)
            except asyncio.CancelledError as error:
                cancelled = error
        sealing.result()
        self._is_sealed = True
        if cancelled is not None:
            raise cancelled

    async def _wait_and_seal(self) -> None:
        running = [written for written, _ in self._running]
        self._running.clear()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._backend.threads, self._writer.seal)


def _write(writer: ChunkWriter, batch: Sequence[RawChunk]) -> None:
    """Write each chunk of ``batch``; one that is not what its sender says does not keep the others out."""
    mismatch: InvalidArgumentError | None = None
    for chunk in batch:
        content = chunk.pieces[0] if len(chunk.pieces) == 1 else b"".join(chunk.pieces)
        chunk.pieces.clear()
        try:
            chunk.digest = writer.write(content, width=chunk.width, digest=chunk.digest or None)
        except InvalidArgumentError as error:
            mismatch = error
    if mismatch is not None:
        raise mismatch
