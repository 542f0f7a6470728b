"""Garbage collection: what no present model needs goes, while others upload, read and commit.

Two marks with a transaction between them. What the first mark finds unreachable is *condemned*: one transaction
names the list of these copies and raises the epoch, so that no commit that was drafted before it succeeds, and
every draft after it is told that these copies are not there. What a commit before it made reachable, the second
mark finds and spares. Then the rest goes, by copy.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from mgit_core.errors import CorruptError, ErrorReason, FailedPreconditionError
from mgit_core.ports.graph import Page
from mgit_core.ports.maintenance import LeaseCheck, StoredDocument
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.condemning import Condemned
from mgit_service.use_cases.maintenance.copies import CopyTable, CopyView, list_copies
from mgit_service.use_cases.maintenance.digests import digest_array
from mgit_service.use_cases.maintenance.gc.candidates import Candidates, find_candidates
from mgit_service.use_cases.maintenance.leasing import HeldLease, held_lease
from mgit_service.use_cases.maintenance.marking import Marking
from mgit_service.use_cases.maintenance.reporting import Report, Teller, WorkProgress, reported

__all__ = ["DEFAULT_GRACE_S", "Collected", "CollectionJob", "collect"]

DEFAULT_GRACE_S = 86_400.0
# A running upload has packs that no index names yet, and nothing tells it from a killed one but its age.
_LEAST_SWEEP_AGE_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionJob:
    """What a collection may do.

    Attributes:
        dry_run: Only tell what would go.
        grace_s: What is younger stays.
        delete_everything: Whether a graph without models may empty a store with content.
    """

    dry_run: bool = False
    grace_s: float = DEFAULT_GRACE_S
    delete_everything: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection did, or in a dry run would do.

    Attributes:
        chunks: Copies of chunks that went.
        documents: Manifests, file lists and layer graphs that went.
        bytes_freed: Bytes by which the store shrank; in a dry run, bytes of what would go.
        spared_chunks: Copies that nothing needs and that are younger than the grace period.
        finished_earlier: Whether a collection that was cut before was finished first.
    """

    chunks: int = 0
    documents: int = 0
    bytes_freed: int = 0
    spared_chunks: int = 0
    finished_earlier: bool = False


def collect(backend: Backend, job: CollectionJob) -> AsyncGenerator[WorkProgress | Collected]:
    """Delete what no present model needs and is older than the grace period.

    Gives its progress about once a second, and the result at last. Closing the generator ends the work before its
    next step; the next collection finishes what it began. Memory: some 200 bytes for each copy of a chunk.

    Raises:
        ConflictError: MAINTENANCE_BUSY or LEASE_LOST.
        FailedPreconditionError: STORE_MISMATCH, or GRAPH_WITHOUT_MODELS for a store with content.
        CorruptError: MANIFEST_CORRUPT, CHUNK_CORRUPT or INDEX_CORRUPT: what models need is not known; nothing
            more was deleted.
        ResourceExhaustedError: DISK_FULL.
    """

    async def work(report: Report[WorkProgress]) -> Collected:
        await backend.lineage.binding.state()  # Whether the graph is still that of this store.
        await _check_graph(backend, job)
        if job.dry_run:
            return await _foretell(backend, job, report)
        async with held_lease(backend, "gc") as held:
            return await _Collection(backend, job, held, report).run()

    return reported(work)


async def _check_graph(backend: Backend, job: CollectionJob) -> None:
    """Refuses to empty a store because its graph is empty, which is more often a mistake than a wish."""
    if job.delete_everything or await backend.lineage.content.parameter_sets(Page(size=1)):
        return
    if await in_thread(backend, _has_content, backend):
        raise FailedPreconditionError(
            ErrorReason.GRAPH_WITHOUT_MODELS,
            "The graph has no model and the store has content, all of which would go. Check that the graph is the "
            "right one; --delete-everything empties the store.",
        )


def _has_content(backend: Backend) -> bool:
    has_copies = any(part for part in backend.chunks.maintenance.copies())
    return has_copies or bool(backend.parameters.maintenance.documents())


async def _foretell(backend: Backend, job: CollectionJob, report: Teller) -> Collected:
    """What a collection would do; takes no lease and changes nothing."""
    found = await _look(backend, job, Marking(backend), report)
    documents = [document for document in found.documents if document.key not in found.needed]
    return Collected(
        chunks=len(found.candidates.rows),
        documents=len(documents),
        bytes_freed=found.candidates.size_bytes + sum(document.size_bytes for document in documents),
        spared_chunks=found.candidates.young,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the first mark found.

    Attributes:
        candidates: Copies that may go.
        documents: Documents that were there before the mark and are older than the grace period.
        needed: Keys of the documents that present models need.
    """

    candidates: Candidates
    documents: list[StoredDocument]
    needed: set[str]


async def _look(backend: Backend, job: CollectionJob, marking: Marking, report: Teller) -> _Found:
    """List first and mark then: what came between the two is reachable, or not listed."""
    report.tell("listing")
    documents = await in_thread(backend, backend.parameters.maintenance.documents)
    packs = await in_thread(backend, backend.chunks.maintenance.packs)
    table = await _list_all_copies(backend)
    await marking.mark(table, report)
    report.tell("choosing")
    candidates = await find_candidates(backend, table, packs, marking.marked, job.grace_s)
    old = [document for document in documents if document.age_s >= job.grace_s]
    return _Found(candidates=candidates, documents=old, needed=marking.documents)


async def _list_all_copies(backend: Backend) -> CopyTable:
    """Every copy; refuses to go on where some may be unknown, since their packs would look like waste."""
    for error in (await in_thread(backend, backend.chunks.maintenance.damaged_indexes)).values():
        raise CorruptError(
            error.reason,
            f"An index cannot be read, so nothing was deleted: {error.message} 'mgit fsck --repair' rebuilds it.",
            **error.details,
        )
    return await list_copies(backend)


class _Collection:
    """One collection, under the lease."""

    def __init__(self, backend: Backend, job: CollectionJob, held: HeldLease, report: Teller) -> None:
        self._backend = backend
        self._job = job
        self._report = report
        self._held = held
        self._condemned = Condemned(backend, held)
        self._marking = Marking(backend)

    async def run(self) -> Collected:
        state = await self._backend.lineage.binding.state()
        earlier = 0
        if state.condemned is not None:
            earlier = await self._finish(state.condemned)
        found = await _look(self._backend, self._job, self._marking, self._report)
        chunks, chunk_bytes, documents, document_bytes = await self._take_away(found)
        self._report.tell("sweeping")
        age_s = max(self._job.grace_s, _LEAST_SWEEP_AGE_S)
        swept = await self._held.in_thread(
            self._backend, self._backend.chunks.maintenance.sweep, age_s, self._held.check
        )
        return Collected(
            chunks=chunks,
            documents=documents,
            bytes_freed=earlier + chunk_bytes + document_bytes + swept,
            spared_chunks=found.candidates.young,
            finished_earlier=state.condemned is not None,
        )

    async def _finish(self, key: str) -> int:
        """Do what a collection that was cut had left to do; gives the bytes that went."""
        copies = await self._condemned.recall(key)
        await self._mark_again()
        is_needed = self._marking.marked.has(digest_array(copy.digest for copy in copies))
        left = [copy for copy, needed in zip(copies, is_needed.tolist(), strict=True) if not needed]
        freed = await self._condemned.drop(left, self._report)
        await self._condemned.end()
        return freed

    async def _mark_again(self) -> None:
        await self._marking.mark(await _list_all_copies(self._backend), self._report)

    async def _take_away(self, found: _Found) -> tuple[int, int, int, int]:
        """Copies and documents, each as number and bytes."""
        candidates = found.candidates
        is_wanted = any(document.key not in found.needed for document in found.documents)
        if not len(candidates.rows) and not is_wanted:
            return 0, 0, 0, 0
        await self._condemned.begin(CopyView(candidates.table, candidates.rows))
        await self._mark_again()
        left = CopyView(candidates.table, candidates.without(self._marking.marked))
        chunk_bytes = await self._condemned.drop(left, self._report)
        documents = [each for each in found.documents if each.key not in self._marking.documents]
        await self._held.in_thread(
            self._backend, _delete_documents, self._backend, documents, self._held.check
        )
        await self._condemned.end()
        return len(left), chunk_bytes, len(documents), sum(each.size_bytes for each in documents)


def _delete_documents(backend: Backend, documents: Sequence[StoredDocument], check: LeaseCheck) -> None:
    for document in documents:
        backend.parameters.maintenance.delete(document.key, check)
