"""Repack: what was stored fast is encoded again, densely, while the service serves.

Models are walked by uid, parents first, so that all that a chunk may be predicted from is dense already: no chunk
comes to rest on itself, and what a base costs to decode no longer grows. A chunk with a copy in a dense pack is
passed over, which is all that a later repack needs to go on where an earlier one stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mgit_core.coding.plans import Effort
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, MGitError, NotFoundError
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest
from mgit_core.names import Reference
from mgit_core.ports.graph import Page
from mgit_core.ports.maintenance import LeaseCheck
from mgit_service.use_cases.backend import Backend, finish_surely, in_thread
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.maintenance.leasing import held_lease
from mgit_service.use_cases.maintenance.repack.pieces import (
    ModelDocuments,
    file_pieces,
    find_states,
    read_documents,
    tensor_pieces,
)
from mgit_service.use_cases.maintenance.repack.rewriting import Piece, RewriteStep
from mgit_service.use_cases.maintenance.reporting import WorkProgress
from mgit_service.use_cases.maintenance.sketching import find_similar
from mgit_service.use_cases.prediction.lattices import lattices_of_model
from mgit_service.use_cases.prediction.planning import TensorPlanner
from mgit_service.use_cases.prediction.relatives import relatives_of_model

__all__ = ["RepackDone", "RepackJob", "repack"]

_LOG = logging.getLogger(__name__)

# Raw bytes after which a step ends: old copies stay on the disk until then.
_STEP_BYTES = 256 << 20
_PAGE_SIZE = 100
_SECONDS_BETWEEN_ANSWERS = 0.5
_MOST_SIMILAR = 8
# A wrong one costs time, since it is tried, never bytes.
_LEAST_SIMILARITY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RepackJob:
    """What a repack may take.

    Attributes:
        seconds: Stop after this time, at the end of a step; None means until all is done.
        cores: Threads that encode; None means one for each core.
    """

    seconds: float | None = None
    cores: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepackDone:
    """What a repack did.

    Attributes:
        chunks: Chunks that were encoded again.
        bytes_before: Bytes of packs and indexes before.
        bytes_after: Bytes of packs and indexes after.
        is_complete: Whether all was looked at; False if the time was over, or a manifest could not be read.
        damaged_chunks: Chunks that could not be read and were left as they are.
    """

    chunks: int
    bytes_before: int
    bytes_after: int
    is_complete: bool
    damaged_chunks: int


async def repack(backend: Backend, job: RepackJob) -> AsyncGenerator[WorkProgress | RepackDone]:
    """Encode densely what present models use and is stored fast; parents first.

    Progress, in tensors of distinct models, comes about twice a second, the result at last. Closing the iterator, or cancelling, ends the work
    within some seconds; what was encoded by then counts, and the next repack goes on behind it.

    Raises:
        ConflictError: MAINTENANCE_BUSY or LEASE_LOST.
        FailedPreconditionError: STORE_MISMATCH.
        ResourceExhaustedError: DISK_FULL.
    """
    cores = job.cores or os.cpu_count() or 1
    async with held_lease(backend, "repack") as held, _threads(cores) as threads:
        await EpochWatch(backend).read()
        bytes_before = await _bytes_stored(backend)
        run = _Run(backend, threads, held.check, job.seconds)
        async with contextlib.aclosing(run.work()) as steps:
            async for progress in steps:
                yield progress
        done = RepackDone(
            chunks=run.chunks,
            bytes_before=bytes_before,
            bytes_after=await _bytes_stored(backend),
            is_complete=run.is_complete,
            damaged_chunks=len(run.damaged),
        )
    yield done  # Whoever hears it may begin the next work: the lease is given back.


@contextlib.asynccontextmanager
async def _threads(count: int) -> AsyncGenerator[ThreadPoolExecutor]:
    """Threads for one repack. None of them works any more when the block has ended, however it ends."""
    threads = ThreadPoolExecutor(count, thread_name_prefix="repack")
    try:
        yield threads
    finally:
        await finish_surely(asyncio.to_thread(threads.shutdown, cancel_futures=True))


async def _bytes_stored(backend: Backend) -> int:
    usage = await in_thread(backend, backend.parameters.usage)
    return usage.pack_bytes + usage.index_bytes


class _Run:
    """One repack.

    Attributes:
        chunks: Chunks that were encoded again.
        damaged: Chunks that could not be read.
        is_complete: Whether all was looked at.
    """

    def __init__(
        self, backend: Backend, threads: ThreadPoolExecutor, check: LeaseCheck, seconds: float | None
    ) -> None:
        self._backend = backend
        self._threads = threads
        self._check = check
        self._end = None if seconds is None else time.monotonic() + seconds
        self._step = RewriteStep(backend.chunks, threads)
        self._dense_packs: frozenset[str] = frozenset()
        self._done = 0
        self.chunks = 0
        self.damaged: set[Digest] = set()
        self.is_complete = True

    async def work(self) -> AsyncGenerator[WorkProgress]:
        """Do all of it; progress about twice a second."""
        total = await self._count_tensors()
        told_at = time.monotonic()
        try:
            await self._begin_step()
            async for _ in self._pieces_taken():
                if self._step.raw_bytes >= _STEP_BYTES:
                    await self._end_step()
                    await self._begin_step()
                if time.monotonic() - told_at >= _SECONDS_BETWEEN_ANSWERS:
                    told_at = time.monotonic()
                    yield WorkProgress(phase="encoding", done=self._done, total=total)
            await self._end_step()
        except BaseException:
            await finish_surely(self._abandon())
            raise

    async def _pieces_taken(self) -> AsyncIterator[None]:
        """Hand every piece to the step of its time, until the time is over; yields after each tensor."""
        async for model in self._models():
            documents = await in_thread(self._backend, read_documents, self._backend.parameters, model)
            if documents is None:
                _LOG.warning("what %s is made of cannot be read; it is passed over", model.ref)
                self.is_complete = False
                continue
            async for piece in self._pieces(model, documents):
                if piece is not None:
                    if self._is_over():
                        self.is_complete = False
                        return
                    await self._step.add(piece)
                yield
            await self._step.settle()

    async def _pieces(self, model: Model, documents: ModelDocuments) -> AsyncIterator[Piece | None]:
        """What is to be encoded again of a model; None after each tensor."""
        chunks = self._backend.chunks
        states = await in_thread(self._backend, find_states, chunks, documents.chunks(), self._dense_packs)
        self._step.claim(states.doubled)
        wanted = {digest for digest in states.fast - self.damaged if not self._step.has(digest)}
        planner = await self._planner(model, documents.manifest if wanted else None)
        for parameter in documents.manifest.parameters:
            for piece in tensor_pieces(parameter, wanted, planner):
                wanted.difference_update(piece.chunks)
                yield piece
            self._done += 1
            yield None
        for piece in file_pieces(documents.files, wanted) if documents.files else ():
            yield piece

    async def _planner(self, model: Model, manifest: Manifest | None) -> TensorPlanner:
        """What to predict a model from; nothing if it was removed a moment ago, or has no work in it."""
        chunks = self._backend.chunks
        if manifest is None:
            return TensorPlanner(chunks, (), Effort.DENSE)
        try:
            whole = await self._backend.lineage.models.get(Reference(uid=model.uid))
        except NotFoundError:
            return TensorPlanner(chunks, (), Effort.DENSE)
        is_alone = not whole.parents and whole.previous is None
        similar = await self._similar(manifest) if is_alone else ()
        relatives = await relatives_of_model(self._backend, whole, similar)
        lattices = await lattices_of_model(self._backend, whole, manifest)
        return TensorPlanner(chunks, relatives, Effort.DENSE, lattices=lattices)

    async def _similar(self, manifest: Manifest) -> list[str]:
        """UIDs of models that are alike, for one of which nobody says what it was made from."""
        try:
            found = await find_similar(self._backend, manifest, _MOST_SIMILAR)
        except (CorruptError, NotFoundError):
            return []
        return [each.model.uid for each in found if each.similarity >= _LEAST_SIMILARITY]

    async def _models(self) -> AsyncIterator[Model]:
        """Present models with different content, by uid; those of which chunks are in another store are left out."""
        seen: set[tuple[Digest, Digest | None]] = set()
        after: str | None = None
        while page := await self._backend.lineage.content.parameter_sets(Page(size=_PAGE_SIZE, after=after)):
            for model in page:
                if model.parameters is None or not model.parameters.is_whole:
                    continue
                if (model.parameters.digest, model.files) not in seen:
                    seen.add((model.parameters.digest, model.files))
                    yield model
            after = page[-1].uid

    async def _count_tensors(self) -> int:
        total = 0
        async for model in self._models():
            total += model.parameters.tensor_count if model.parameters else 0
        return total

    def _is_over(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end

    async def _begin_step(self) -> None:
        self._check()
        packs = await in_thread(self._backend, self._backend.chunks.maintenance.packs)
        self._dense_packs = frozenset(name for name, pack in packs.items() if pack.is_dense)
        self._step = RewriteStep(self._backend.chunks, self._threads)

    async def _end_step(self) -> None:
        await self._step.finish(self._check)
        self.damaged |= self._step.damaged
        self.chunks += len(self._step.written - self._step.damaged)

    async def _abandon(self) -> None:
        try:
            await self._step.abandon()
        except MGitError as error:
            _LOG.warning("what a stopped repack had encoded could not be kept: %s", error.message)
