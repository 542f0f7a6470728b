"""Repairs what a check found, from what the store itself has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.chunks import ChunkStore
from mgit_core.ports.maintenance import Copy, DocumentMaintenance, LeaseCheck
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance.condemning import Condemned
from mgit_service.use_cases.maintenance.copies import CopyTable, CopyView
from mgit_service.use_cases.maintenance.fsck.findings import Findings
from mgit_service.use_cases.maintenance.leasing import HeldLease

__all__ = ["Repair"]


class Repair:
    """Repairs, under the lease. Each method gives the subjects of the problems that are no more."""

    def __init__(self, backend: Backend, held: HeldLease) -> None:
        self._backend = backend
        self._held = held
        self._condemned = Condemned(backend, held)

    async def mend_documents_and_indexes(self, findings: Findings) -> frozenset[str]:
        """Put intact documents in the place of damaged ones, and index packs anew."""
        documents = self._backend.parameters.maintenance
        mended = await self._held.in_thread(
            self._backend, _mend_documents, documents, list(findings.inspection.unreadable), self._held.check
        )
        if findings.indexes or findings.orphans.copies:
            copies = [copy for found in findings.orphans.copies.values() for copy in found]
            await self._held.in_thread(
                self._backend, self._backend.chunks.maintenance.restore, copies, self._held.check
            )
        return frozenset(mended) | findings.indexes.keys() | findings.orphans.copies.keys()

    async def mend_copies(self, findings: Findings) -> frozenset[str]:
        """Take damaged copies away, and write those in packs with a damaged table anew.

        A chunk whose last copy goes counts as missing from then on, so that it can be uploaded. What a later
        version wrote is left alone.
        """
        damaged = [
            damage
            for damage in findings.damages
            if damage.is_own and damage.error.reason is not ErrorReason.UNKNOWN_FORMAT_VERSION
        ]
        bad = {(damage.copy.pack, damage.copy.offset) for damage in findings.damages}
        moving = [
            copy
            for copy in _copies_in(findings.table, findings.tables)
            if (copy.pack, copy.offset) not in bad
        ]
        gone = [*(damage.copy for damage in damaged), *moving]
        if not gone:
            return frozenset()
        await self._condemned.begin(gone)
        # While they are condemned they can be read, but do not count: so a writer takes them as new.
        moved = await self._held.in_thread(self._backend, _write_anew, self._backend.chunks, moving)
        await self._condemned.drop([*(damage.copy for damage in damaged), *moved])
        await self._condemned.end()
        kept = {copy.pack for copy in moving} if len(moved) < len(moving) else set[str]()
        harmful = {
            self._subject(findings, damage.copy) for damage in damaged if not findings.is_harmless(damage)
        }
        mended = {self._subject(findings, damage.copy) for damage in damaged} - harmful
        return frozenset(mended | (findings.tables.keys() - kept))

    @staticmethod
    def _subject(findings: Findings, copy: Copy) -> str:
        return copy.pack if copy.pack in findings.lost_packs else copy.digest.hex()


def _mend_documents(documents: DocumentMaintenance, damaged: Sequence[str], check: LeaseCheck) -> list[str]:
    """The keys of those that have an intact object of the same digest, and have its content now."""
    if not damaged:
        return []
    others: dict[str, list[str]] = {}
    for document in documents.documents():
        others.setdefault(_stem(document.key), []).append(document.key)
    return [key for key in damaged if _mend_document(documents, key, others.get(_stem(key), []), check)]


def _mend_document(
    documents: DocumentMaintenance, key: str, others: Iterable[str], check: LeaseCheck
) -> bool:
    for other in others:
        if other != key:
            try:
                documents.read(other)
            except (CorruptError, NotFoundError):
                continue
            documents.replace(key, other, check)
            return True
    return False


def _stem(key: str) -> str:
    """Kind and digest of a document's key."""
    return key.rpartition("/")[0]


def _copies_in(table: CopyTable, packs: Mapping[str, object]) -> CopyView:
    numbers = [number for number, pack in enumerate(table.packs) if pack in packs]
    return CopyView(table, np.flatnonzero(np.isin(table.pack_numbers, numbers)))


def _write_anew(chunks: ChunkStore, copies: Sequence[Copy]) -> list[Copy]:
    """Write these chunks once more, durably; those that could be."""
    moved: list[Copy] = []
    if copies:
        with chunks.open_writer() as writer:
            for copy in copies:
                try:
                    writer.write_encoded(copy.digest, chunks.read_encoded(copy.digest))
                except (CorruptError, NotFoundError):
                    continue  # It stays where it is.
                moved.append(copy)
    return moved
