"""Raw chunks into the store: planned, verified and encoded in threads, sealed whatever happens.

Chunks of which it is known where they belong are gathered to tensors, since a tensor as a whole tells best what
it was made from. What is gathered and what is being written fit a window, and a few chunks for each core.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from typing_extensions import Buffer

from mgit_core.digest import Digest
from mgit_core.errors import InvalidArgumentError
from mgit_core.ports.chunks import ChunkWriter
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.backend import Backend, finish_surely, in_thread
from mgit_service.use_cases.prediction.planning import TensorPlan, TensorPlanner

__all__ = ["ChunkIngest", "ChunkPlace", "RawChunk"]

_CHUNKS_PER_CORE = 4
_CHUNK_BYTES = 1 << 20
# Small chunks go to a thread together: the way there and back costs as much as encoding 100 KiB.
_BATCH_BYTES = 1 << 20
_BATCH_CHUNKS = 256
# A larger tensor is planned by one thread and then written by all.
_LARGE_BYTES = 2 << 20
_FACTOR_WIDTH = 4


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """Where a chunk belongs.

    Attributes:
        name: Parameter name.
        spec: Data type and shape of the parameter.
        position: Which of its chunks it is, from 0.
    """

    name: str
    spec: TensorSpec
    position: int


class RawChunk:
    """A chunk on its way in.

    Attributes:
        pieces: Its raw bytes, let go of when they are written.
        size_bytes: How many.
        width: Bytes of one number; 1 for files.
        digest: What the sender says; after the writing, what it is.
        place: Where it belongs, if that is known.
    """

    __slots__ = ("digest", "pieces", "place", "size_bytes", "width")

    def __init__(
        self, size_bytes: int, width: int, digest: Digest = b"", place: ChunkPlace | None = None
    ) -> None:
        self.pieces: list[Buffer] = []
        self.size_bytes = size_bytes
        self.width = width
        self.digest = digest
        self.place = place

    def content(self) -> Buffer:
        """Its bytes in one piece."""
        if len(self.pieces) != 1:
            self.pieces = [b"".join(self.pieces)]
        return self.pieces[0]


class ChunkIngest:
    """Takes the chunks of one call. As a context manager it seals on every way out.

    Sealing runs to its end even if the call is cancelled: what was verified is there for the next try.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._writer: ChunkWriter = backend.chunks.open_writer()
        self._room = (os.cpu_count() or 1) * _CHUNKS_PER_CORE * _CHUNK_BYTES
        self._planner: TensorPlanner | None = None
        self._tensor: list[RawChunk] = []
        self._tensor_bytes = 0
        self._batch: list[list[RawChunk]] = []
        self._batch_bytes = 0
        self._batch_chunks = 0
        self._running: deque[tuple[asyncio.Task[None], int]] = deque()
        self._running_bytes = 0
        self._is_sealed = False
        self.chunk_count = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes that the store grew by; right after the sealing."""
        return self._writer.stored_bytes

    def predict_with(self, planner: TensorPlanner) -> None:
        """Store chunks whose place is known as differences. Before the first chunk."""
        self._planner = planner
        self._room += self._backend.window_bytes

    async def add(self, chunk: RawChunk) -> None:
        """Take a whole chunk; waits while enough others are being written.

        Raises:
            InvalidArgumentError: DIGEST_MISMATCH, of this chunk or an earlier one.
            ResourceExhaustedError: DISK_FULL.
        """
        self.chunk_count += 1
        if self._planner is None or chunk.place is None:
            await self._enqueue([chunk], chunk.size_bytes)
            return
        before = self._tensor[-1].place if self._tensor else None
        is_other = before is not None and before.name != chunk.place.name
        if is_other or self._tensor_bytes + chunk.size_bytes > self._backend.window_bytes:
            await self._close_tensor()
        await self._make_room(self._tensor_bytes + chunk.size_bytes)
        self._tensor.append(chunk)
        self._tensor_bytes += chunk.size_bytes

    async def finish(self) -> None:
        """Write what is left and seal. Every chunk has its digest then, and all are durable.

        Raises:
            InvalidArgumentError: DIGEST_MISMATCH.
            ResourceExhaustedError: DISK_FULL.
        """
        await self._close_tensor()
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

    async def _close_tensor(self) -> None:
        if self._tensor:
            tensor, size_bytes = self._tensor, self._tensor_bytes
            self._tensor, self._tensor_bytes = [], 0
            await self._enqueue(tensor, size_bytes)

    async def _enqueue(self, group: list[RawChunk], size_bytes: int) -> None:
        if self._batch_bytes + size_bytes > _LARGE_BYTES:
            await self._submit()
        self._batch.append(group)
        self._batch_bytes += size_bytes
        self._batch_chunks += len(group)
        if self._batch_bytes >= _BATCH_BYTES or self._batch_chunks >= _BATCH_CHUNKS:
            await self._submit()

    async def _submit(self) -> None:
        if not self._batch:
            return
        await self._make_room(0)
        batch, size_bytes = self._batch, self._batch_bytes
        self._batch, self._batch_bytes, self._batch_chunks = [], 0, 0
        work = _Work(self._backend, self._writer, self._planner)
        self._running.append((asyncio.create_task(work.write(batch, size_bytes)), size_bytes))
        self._running_bytes += size_bytes

    async def _make_room(self, gathered_bytes: int) -> None:
        while self._running and self._running_bytes + self._batch_bytes + gathered_bytes > self._room:
            await self._wait_for_oldest()

    async def _wait_for_oldest(self) -> None:
        written, size_bytes = self._running[0]
        await asyncio.shield(written)
        self._running.popleft()
        self._running_bytes -= size_bytes

    async def _seal(self) -> None:
        """Wait for the threads, then seal, not to be stopped by a cancellation, which is passed on at the end."""
        await finish_surely(self._wait_and_seal())

    async def _wait_and_seal(self) -> None:
        running = [written for written, _ in self._running]
        self._running.clear()
        await asyncio.gather(*running, return_exceptions=True)
        await in_thread(self._backend, self._writer.seal)
        self._is_sealed = True


@dataclass(frozen=True, slots=True)
class _Work:
    """Plans and writes chunks, each step in a thread."""

    backend: Backend
    writer: ChunkWriter
    planner: TensorPlanner | None

    async def write(self, batch: Sequence[list[RawChunk]], size_bytes: int) -> None:
        """Write groups of chunks; a large one is planned whole and then written by all threads."""
        loop = asyncio.get_running_loop()
        threads = self.backend.threads
        if size_bytes <= _LARGE_BYTES:
            await loop.run_in_executor(threads, self._write_groups, batch)
            return
        for group in batch:
            plan = await loop.run_in_executor(threads, self._plan, group)
            written = [
                loop.run_in_executor(threads, self._write_some, some, plan) for some in _in_batches(group)
            ]
            results = await asyncio.gather(*written, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    def _write_groups(self, batch: Sequence[list[RawChunk]]) -> None:
        mismatch: InvalidArgumentError | None = None
        for group in batch:
            try:
                self._write_some(group, self._plan(group))
            except InvalidArgumentError as error:
                mismatch = error
        if mismatch is not None:
            raise mismatch

    def _plan(self, group: Sequence[RawChunk]) -> TensorPlan | None:
        """The plan for chunks of one tensor; the factors that it needs are written with it."""
        place = group[0].place
        if self.planner is None or place is None:
            return None
        plan = self.planner.plan(place.name, place.spec, _Contents(group))
        for factor in plan.factors:
            self.writer.write(factor, width=_FACTOR_WIDTH)
        return plan

    def _write_some(self, chunks: Sequence[RawChunk], plan: TensorPlan | None) -> None:
        """Write each chunk; one that is not what its sender says does not keep the others out."""
        mismatch: InvalidArgumentError | None = None
        for chunk in chunks:
            position = chunk.place.position if chunk.place else -1
            try:
                chunk.digest = self.writer.write(
                    chunk.content(),
                    width=chunk.width,
                    digest=chunk.digest or None,
                    plan=plan.chunks.get(position) if plan else None,
                )
            except InvalidArgumentError as error:
                mismatch = error
            chunk.pieces.clear()
        if mismatch is not None:
            raise mismatch


class _Contents(Mapping[int, Buffer]):
    """Raw bytes of gathered chunks by position, put in one piece when they are asked for.

    A plan mostly looks at few of them, and the pieces of a whole window are as large as the window.
    """

    def __init__(self, chunks: Sequence[RawChunk]) -> None:
        self._chunks = {chunk.place.position: chunk for chunk in chunks if chunk.place is not None}

    def __getitem__(self, position: int) -> Buffer:
        return self._chunks[position].content()

    def __iter__(self) -> Iterator[int]:
        return iter(self._chunks)

    def __len__(self) -> int:
        return len(self._chunks)


def _in_batches(chunks: Sequence[RawChunk]) -> list[list[RawChunk]]:
    batches: list[list[RawChunk]] = []
    size_bytes = _BATCH_BYTES
    for chunk in chunks:
        if size_bytes >= _BATCH_BYTES:
            batches.append([])
            size_bytes = 0
        batches[-1].append(chunk)
        size_bytes += chunk.size_bytes
    return batches
