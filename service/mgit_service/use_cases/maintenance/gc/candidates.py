"""Which copies a collection may take away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, MGitError
from mgit_core.ports.maintenance import ChunkMaintenance, Copy, PackState
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.copies import CopyTable, CopyView, Flags, Rows, bases_of
from mgit_service.use_cases.maintenance.digests import DigestSet, digest_array

__all__ = ["Candidates", "find_candidates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Copies that may go.

    Attributes:
        table: Where they are listed.
        rows: Which of them, ascending.
        is_further: Whether each is a further copy of a chunk that is needed.
        young: Copies that nothing needs and that are younger than the grace period.
    """

    table: CopyTable
    rows: Rows
    is_further: Flags
    young: int

    @property
    def size_bytes(self) -> int:
        """Bytes of their frames."""
        return int(self.table.lengths[self.rows].sum())

    def without(self, needed: DigestSet) -> Rows:
        """The rows that may still go when ``needed`` is needed; a further copy may, the other one stays."""
        return self.rows[self.is_further | ~needed.has(self.table.digests[self.rows])]


async def find_candidates(
    backend: Backend, table: CopyTable, packs: Mapping[str, PackState], marked: DigestSet, grace_s: float
) -> Candidates:
    """The copies older than ``grace_s`` that nothing needs, what rests on them, and further equal copies.

    Args:
        backend: Where they lie.
        table: All copies.
        packs: All packs; a copy whose pack is not there counts as old.
        marked: The chunks that are needed.
        grace_s: Age in seconds of the pack.
    """
    ages = table.by_pack(lambda pack: packs[pack].age_s if pack in packs else math.inf)
    is_old = ages >= grace_s
    is_needed = marked.has(table.digests)
    goes = ~is_needed & is_old
    await _add_resting(backend, table, goes, ~is_needed & ~is_old & table.needs_bases)
    dense = {pack for pack, state in packs.items() if state.is_dense}
    is_further = await _further_copies(backend, table, is_needed & is_old, dense)
    rows = np.flatnonzero(goes | is_further)
    return Candidates(
        table=table,
        rows=rows,
        is_further=is_further[rows],
        young=int(np.count_nonzero(~is_needed & ~goes)),
    )


async def _add_resting(backend: Backend, table: CopyTable, goes: Flags, may_rest: Flags) -> None:
    """Flag in ``goes`` also those of ``may_rest`` that rest on chunks of which every copy goes."""
    rows = np.flatnonzero(may_rest)
    bases = dict(zip(rows.tolist(), await bases_of(backend, CopyView(table, rows)), strict=True))
    has_new = bool(len(rows))
    while has_new:
        stays = table.chunks_with(~goes)
        resting = [row for row, found in bases.items() if _rests(table, found, stays)]
        for row in resting:
            goes[row] = True
            del bases[row]
        has_new = bool(resting)


def _rests(table: CopyTable, bases: tuple[Digest, ...] | CorruptError, stays: Flags) -> bool:
    """Whether a base is there and goes. One that is not there at all makes waste, which grows old and goes."""
    if isinstance(bases, CorruptError):
        return False
    at = table.chunks.positions(digest_array(bases))
    return any(position >= 0 and not stays[position] for position in at.tolist())


async def _further_copies(backend: Backend, table: CopyTable, may_go: Flags, dense: set[str]) -> Flags:
    """Flags copies of which an equal one stays: one that rests on the same bases and was read back just now.

    What stays is the smallest, and one in a ``dense`` pack rather than another, or a repack would begin anew.

    Two uploads at once may both have written a chunk. Copies that rest on other bases are left to a repack: to
    take one of them may close a loop.
    """
    counts = np.diff(table.starts)
    several = np.repeat(counts > 1, counts)
    rows = np.flatnonzero(several & may_go)
    groups: dict[tuple[Digest, tuple[Digest, ...]], list[Copy]] = {}
    row_of: dict[tuple[str, int], int] = {}
    copies = CopyView(table, rows)
    for row, copy, bases in zip(rows.tolist(), copies, await bases_of(backend, copies), strict=True):
        if not isinstance(bases, CorruptError):
            groups.setdefault((copy.digest, bases), []).append(copy)
            row_of[copy.pack, copy.offset] = row
    further = np.zeros(len(table), np.bool_)
    for group in groups.values():
        if len(group) > 1:
            group.sort(key=lambda copy: (copy.pack not in dense, copy.length))
            gone = await in_thread(backend, _all_but_one, backend.chunks.maintenance, group)
            further[[row_of[copy.pack, copy.offset] for copy in gone]] = True
    return further


def _all_but_one(maintenance: ChunkMaintenance, copies: Sequence[Copy]) -> list[Copy]:
    """All but the first that can be read; none if none can."""
    for keeper in copies:
        try:
            maintenance.read_copy(keeper)
        except MGitError:
            continue
        return [copy for copy in copies if copy is not keeper]
    return []
