"""Reads every copy of every chunk, on all cores, and compares indexes with the packs' own tables."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.maintenance import ChunkMaintenance, Copy
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.copies import CopyTable, CopyView, Flags, Rows
from mgit_service.use_cases.maintenance.digests import DigestSet
from mgit_service.use_cases.maintenance.fsck.inspecting import GoodChunks
from mgit_service.use_cases.maintenance.reporting import Teller

__all__ = ["Damage", "Scan", "scan_copies", "scan_tables"]

# What one thread reads in one go: long beside the way there and back, short beside a cancellation.
_BYTES_AT_ONCE = 4 << 20
_COPIES_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A copy that cannot be read.

    Attributes:
        copy: Which.
        error: Why; its details ``base`` name the base that is damaged or missing, if it is not the copy itself.
    """

    copy: Copy
    error: CorruptError | NotFoundError

    @property
    def culprit(self) -> str:
        """The chunk that is itself damaged or missing, in hexadecimal: the copy's own, or one that it rests on."""
        return self.error.details.get("base") or self.copy.digest.hex()

    @property
    def is_own(self) -> bool:
        """Whether the bytes of the copy itself are damaged."""
        return self.culprit == self.copy.digest.hex()


@dataclass(slots=True, kw_only=True)
class Scan:
    """What reading the copies in some rows of a table gave.

    Attributes:
        table: The table.
        raw_sizes: Bytes of the raw chunk of each row; 0 where it was not read, or cannot be.
        damages: What cannot be read, by row.
        raw_bytes: Bytes of all raw chunks that were read.
        copies: Copies that were looked at.
    """

    table: CopyTable
    raw_sizes: npt.NDArray[np.uint32]
    damages: dict[int, Damage] = field(default_factory=dict)
    raw_bytes: int = 0
    copies: int = 0

    def good_chunks(self) -> GoodChunks:
        """The chunks of which a copy could be read."""
        if not len(self.table):
            return GoodChunks.none()
        sizes = np.maximum.reduceat(self.raw_sizes, self.table.starts[:-1])
        digests = self.table.chunks.digests[sizes > 0]
        return GoodChunks(chunks=DigestSet(digests), sizes=sizes[sizes > 0])


async def scan_copies(backend: Backend, table: CopyTable, report: Teller, rows: Flags | None = None) -> Scan:
    """Decode every copy and compare it with its digest; of a table, or of its flagged rows.

    Memory: 12 bytes for each row, and what the cores work on.
    """
    scan = Scan(table=table, raw_sizes=np.zeros(len(table), np.uint32))
    wanted = np.arange(len(table)) if rows is None else np.flatnonzero(rows)
    order = wanted[np.lexsort((table.offsets[wanted], table.pack_numbers[wanted]))]
    running: deque[tuple[Rows, asyncio.Future[list[int | Damage]]]] = deque()
    try:
        for part in _parts(table, order):
            if len(running) >= 2 * (os.cpu_count() or 1):
                await _take(scan, *running.popleft())
                report.tell("reading", scan.copies, len(order))
            copies = list(CopyView(table, part))
            running.append((part, in_thread(backend, _read_all, backend.chunks.maintenance, copies)))
        while running:
            await _take(scan, *running.popleft())
    finally:
        for _, left in running:
            left.cancel()
    return scan


def _parts(table: CopyTable, order: Rows) -> list[Rows]:
    """``order`` cut into parts of some bytes."""
    if not len(order):
        return []
    at = np.cumsum(table.lengths[order], dtype=np.int64) // _BYTES_AT_ONCE
    by_bytes = np.split(order, np.flatnonzero(np.diff(at)) + 1)
    return [
        part[start : start + _COPIES_AT_ONCE]
        for part in by_bytes
        for start in range(0, len(part), _COPIES_AT_ONCE)
    ]


async def _take(scan: Scan, part: Rows, reading: asyncio.Future[list[int | Damage]]) -> None:
    for row, found in zip(part.tolist(), await reading, strict=True):
        scan.copies += 1
        if isinstance(found, Damage):
            scan.damages[row] = found
        else:
            scan.raw_sizes[row] = found
            scan.raw_bytes += found


def _read_all(maintenance: ChunkMaintenance, copies: Sequence[Copy]) -> list[int | Damage]:
    return [_read_one(maintenance, copy) for copy in copies]


def _read_one(maintenance: ChunkMaintenance, copy: Copy) -> int | Damage:
    try:
        return len(maintenance.read_copy(copy))
    except (CorruptError, NotFoundError) as error:
        return Damage(copy=copy, error=_bare(error))


def _bare(error: CorruptError | NotFoundError) -> CorruptError | NotFoundError:
    """The error without the frames that raised it, which hold the bytes that were read."""
    return type(error)(error.reason, error.message, **error.details)


async def scan_tables(
    backend: Backend, table: CopyTable, present: set[str], report: Teller
) -> dict[str, CorruptError]:
    """Packs whose own table cannot be read, or lacks what an index says, with the reason.

    Args:
        backend: Where they lie.
        table: All copies by the indexes.
        present: Names of the packs that are there; others are passed over.
        report: Hears how far it is.
    """
    found: dict[str, CorruptError] = {}
    order = np.argsort(table.pack_numbers, kind="stable")
    ends = np.searchsorted(table.pack_numbers[order], np.arange(len(table.packs) + 1))
    for number, pack in enumerate(table.packs):
        if pack in present:
            report.tell("comparing indexes", number, len(table.packs))
            rows = order[ends[number] : ends[number + 1]]
            error = await in_thread(
                backend, _compare, backend.chunks.maintenance, pack, CopyView(table, rows)
            )
            if error is not None:
                found[pack] = error
    return found


def _compare(maintenance: ChunkMaintenance, pack: str, indexed: Sequence[Copy]) -> CorruptError | None:
    try:
        written = set(maintenance.table(pack))
    except CorruptError as error:
        return CorruptError(error.reason, error.message, **error.details)
    strange = next((copy for copy in indexed if copy not in written), None)
    if strange is None:
        return None
    return CorruptError(
        ErrorReason.INDEX_CORRUPT,
        f"An index says that chunk {strange.digest.hex()} lies at byte {strange.offset} of pack {pack}; the table "
        "of the pack does not.",
        pack=pack,
        digest=strange.digest.hex(),
    )
