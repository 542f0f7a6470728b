"""The check of a store: every digest, every reference, every chain of differences, with the models that suffer.

Everything is read once; then whatever looked wrong is looked at again after a new listing, so that what a
collection, a repack or a commit moved meanwhile is not taken for damage.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError
from mgit_core.ports.maintenance import ChunkMaintenance, Copy
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.copies import CopyTable, CopyView, list_copies
from mgit_service.use_cases.maintenance.digests import DigestGatherer, DigestSet, digest_array
from mgit_service.use_cases.maintenance.fsck.findings import Findings, Orphans, StoreProblem
from mgit_service.use_cases.maintenance.fsck.inspecting import MOST_NAMED, GoodChunks, Inspection
from mgit_service.use_cases.maintenance.fsck.repairing import Repair
from mgit_service.use_cases.maintenance.fsck.scanning import Damage, scan_copies, scan_tables
from mgit_service.use_cases.maintenance.leasing import held_lease
from mgit_service.use_cases.maintenance.marking import LiveDocument, live_documents
from mgit_service.use_cases.maintenance.reporting import Report, WorkProgress, reported

__all__ = ["Checked", "check_store"]

# A repack moves a chunk once; so often in a row nobody moves it.
_MOST_LOOKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes:
        ok: Whether nothing is wrong, or everything was repaired.
        chunks: Copies of chunks that were read.
        raw_bytes: Raw bytes of them.
        documents: Manifests, file lists and layer graphs that were read.
        missing: Chunks that present models need and no copy gives, the first 10,000.
        promised: Chunks that present models need and that are in another store: no problem.
    """

    ok: bool
    chunks: int
    raw_bytes: int
    documents: int
    missing: tuple[Digest, ...]
    promised: int = 0


def check_store(backend: Backend, *, repair: bool) -> AsyncGenerator[WorkProgress | StoreProblem | Checked]:
    """Read everything that is stored and compare it with what it should be.

    Gives its progress about once a second, then the problems, the first 10,000 one by one, and the result at last. Memory: some 250 bytes for
    each copy of a chunk.

    Args:
        backend: What is checked.
        repair: Whether to repair what can be repaired from the store itself; under the lease of maintenance.

    Raises:
        FailedPreconditionError: STORE_MISMATCH.
        ConflictError: MAINTENANCE_BUSY or LEASE_LOST, with ``repair`` only.
        ResourceExhaustedError: DISK_FULL, with ``repair`` only.
    """

    async def work(report: Report[StoreProblem]) -> Checked:
        await backend.lineage.binding.state()  # Whether the graph is still that of this store.
        check = _Check(backend, report)
        if not repair:
            findings = await check.look()
            return check.tell(findings, list(findings.problems(frozenset())))
        async with held_lease(backend, "fsck") as held:
            return await _check_and_repair(check, Repair(backend, held))

    return reported(work)


async def _check_and_repair(check: _Check, mending: Repair) -> Checked:
    findings = await check.look()
    before = list(findings.problems(await mending.mend_documents_and_indexes(findings)))
    problems = [problem for problem in before if problem.repaired]
    if problems:
        findings = await check.look_closely(findings.suspects())
    problems += findings.problems(await mending.mend_copies(findings))
    return check.tell(findings, problems)


class _Check:
    """One check."""

    def __init__(self, backend: Backend, report: Report[StoreProblem]) -> None:
        self._backend = backend
        self._report = report
        self._tables: Mapping[str, CorruptError] = {}
        self._good = GoodChunks.none()
        self._live: dict[str, LiveDocument] = {}
        self._copies = 0
        self._raw_bytes = 0
        self._documents = 0

    async def look(self) -> Findings:
        """Read everything, and what looks wrong once more."""
        packs = await in_thread(self._backend, self._backend.chunks.maintenance.packs)
        table = await list_copies(self._backend)
        self._tables = await scan_tables(self._backend, table, set(packs), self._report)
        scan = await scan_copies(self._backend, table, self._report)
        self._copies, self._raw_bytes = scan.copies, scan.raw_bytes
        self._good = scan.good_chunks()
        return await self.look_closely(
            DigestSet(digest_array(each.copy.digest for each in scan.damages.values()))
        )

    async def look_closely(self, suspects: DigestSet) -> Findings:
        """Look whether what models need was read; if not, list and read it once more, and all of ``suspects``."""
        maintenance = self._backend.chunks.maintenance
        self._live = await live_documents(self._backend)
        inspection = await self._inspect(suspects)
        indexes = await in_thread(self._backend, maintenance.damaged_indexes)
        wanted = suspects.joined(inspection.all_missing.digests)
        packs, table, damages = await self._read_again(wanted)
        orphans = Orphans()
        if len(wanted) or indexes or inspection.unreadable:
            culprits = digest_array(bytes.fromhex(damage.culprit) for damage in damages)
            lacking = None if indexes else inspection.all_missing.joined(culprits)
            orphans = await self._orphans(packs - set(table.packs), lacking)
            damaged = digest_array(damage.copy.digest for damage in damages)
            still = await live_documents(self._backend)
            self._live = {key: document for key, document in self._live.items() if key in still}
            inspection = await self._inspect(orphans.chunks.joined(damaged))
        self._documents = len(self._live) - len(inspection.unreadable)
        return Findings(
            documents=self._live,
            indexes=indexes,
            tables={pack: error for pack, error in self._tables.items() if pack in packs},
            orphans=orphans,
            lost_packs=frozenset(table.packs) - packs,
            damages=damages,
            inspection=inspection,
            table=table,
        )

    async def _inspect(self, suspects: DigestSet) -> Inspection:
        """Compare what present models need with what was read."""
        inspection = Inspection(good=self._good, suspects=suspects)
        await inspection.inspect(self._backend, self._live.values(), self._report)
        return inspection

    async def _read_again(
        self, digests: DigestSet, looks: int = _MOST_LOOKS
    ) -> tuple[set[str], CopyTable, list[Damage]]:
        """List anew, and read all copies of these chunks: packs, copies, and those that cannot be read.

        A copy that was read in vain and is indexed no more was moved meanwhile: then all is listed once more.
        """
        packs = set(await in_thread(self._backend, self._backend.chunks.maintenance.packs))
        table = await list_copies(self._backend)
        rows = np.zeros(len(table), np.bool_)
        rows[table.rows_of(digests.digests)] = True
        scan = await scan_copies(self._backend, table, self._report, rows)
        self._good = self._good.joined(scan.good_chunks())
        damages = list(scan.damages.values())
        if damages:
            later = await list_copies(self._backend)
            left = set(CopyView(later, later.rows_of(digests.digests)))
            damages = [damage for damage in damages if damage.copy in left]
        if len(damages) < len(scan.damages) and looks > 1:
            return await self._read_again(digests, looks - 1)
        return packs, table, damages

    async def _orphans(self, packs: set[str], wanted: DigestSet | None) -> Orphans:
        """Those of ``packs`` that hold a wanted chunk; all of them if it is not known what is wanted."""
        if wanted is not None and not len(wanted):
            return Orphans()
        copies: dict[str, Sequence[Copy]] = {}
        gatherer = DigestGatherer()
        for pack in sorted(packs):
            found = await in_thread(self._backend, _table_of, self._backend.chunks.maintenance, pack)
            digests = digest_array(copy.digest for copy in found)
            if wanted is None or wanted.has(digests).any():
                copies[pack] = found
                gatherer.add(DigestSet(digests))
        return Orphans(copies=copies, chunks=gatherer.finish())

    def tell(self, findings: Findings, problems: Sequence[StoreProblem]) -> Checked:
        """Hand the problems on, and sum up."""
        for problem in problems[:MOST_NAMED]:
            self._report.find(problem)
        if len(problems) > MOST_NAMED:
            self._report.find(_more(problems[MOST_NAMED:]))
        missing = findings.missing()
        return Checked(
            ok=not missing and all(problem.repaired for problem in problems),
            chunks=self._copies,
            raw_bytes=self._raw_bytes,
            documents=self._documents,
            missing=tuple(missing),
            promised=findings.inspection.promised,
        )


def _more(problems: Sequence[StoreProblem]) -> StoreProblem:
    """One problem for those that are not told one by one."""
    return StoreProblem(
        reason=problems[0].reason,
        message=f"{len(problems)} more problems were found.",
        subject="more",
        repaired=all(problem.repaired for problem in problems),
    )


def _table_of(maintenance: ChunkMaintenance, pack: str) -> list[Copy]:
    """What lies in a pack that no index names; nothing if that cannot be told."""
    try:
        return maintenance.table(pack)
    except CorruptError:
        return []
