"""Every copy of every chunk as a table of columns, some 90 bytes a copy."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, overload

import numpy as np
import numpy.typing as npt

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError
from mgit_core.ports.maintenance import ChunkMaintenance, Copy
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.digests import DigestArray, DigestSet, digest_array

__all__ = ["CopyTable", "CopyView", "Flags", "Rows", "bases_of", "list_copies"]

Rows: TypeAlias = npt.NDArray[np.intp]
Flags: TypeAlias = npt.NDArray[np.bool_]

# Headers read in one go; between two of them a cancelled call ends.
_HEADERS_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTable:
    """Copies in ascending order of their digests.

    Attributes:
        packs: Names of packs, by number.
        digests: One for each copy.
        pack_numbers: Which pack each lies in.
        offsets: First byte of each frame.
        lengths: Bytes of each frame.
        needs_bases: Whether each is a difference to other chunks.
        chunks: The distinct digests.
        starts: First row of each distinct digest, and the number of rows at last.
    """

    packs: tuple[str, ...]
    digests: DigestArray
    pack_numbers: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint32]
    needs_bases: Flags
    chunks: DigestSet
    starts: Rows

    def __len__(self) -> int:
        return len(self.digests)

    def copy(self, row: int) -> Copy:
        """The copy in a row."""
        return Copy(
            digest=self.digests[row].tobytes(),
            pack=self.packs[self.pack_numbers[row]],
            offset=int(self.offsets[row]),
            length=int(self.lengths[row]),
            needs_bases=bool(self.needs_bases[row]),
        )

    def rows_of(self, digests: DigestArray) -> Rows:
        """Every row that has one of ``digests``, which are distinct."""
        at = self.chunks.positions(digests)
        at = at[at >= 0]
        counts = self.starts[at + 1] - self.starts[at]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows: Rows = np.repeat(self.starts[at], counts) + within
        return rows

    def by_pack(self, values: Callable[[str], object]) -> npt.NDArray[np.float64]:
        """A number for each row: what ``values`` says of its pack."""
        of_packs = np.array([values(pack) for pack in self.packs], np.float64)
        return of_packs[self.pack_numbers]

    def chunks_with(self, rows: Flags) -> Flags:
        """Whether each distinct digest has a copy among the flagged rows."""
        if not len(self):
            return np.zeros(0, np.bool_)
        return np.logical_or.reduceat(rows, self.starts[:-1])


class CopyView(Sequence[Copy]):
    """Some rows of a table as copies, each made when it is asked for."""

    def __init__(self, table: CopyTable, rows: Rows) -> None:
        self._table = table
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Copy: ...
    @overload
    def __getitem__(self, at: slice) -> CopyView: ...
    def __getitem__(self, at: int | slice) -> Copy | CopyView:
        if isinstance(at, slice):
            return CopyView(self._table, self._rows[at])
        return self._table.copy(int(self._rows[at]))

    def __iter__(self) -> Iterator[Copy]:
        return map(self._table.copy, self._rows.tolist())


async def list_copies(backend: Backend) -> CopyTable:
    """Every indexed copy, after a fresh listing of the indexes.

    Raises:
        CorruptError: INDEX_CORRUPT.
        UnavailableError: STORE_UNAVAILABLE.
    """
    return await in_thread(backend, _table_of, backend.chunks.maintenance)


def _table_of(maintenance: ChunkMaintenance) -> CopyTable:
    numbers: dict[str, int] = {}
    digests: list[DigestArray] = [digest_array([])]
    packs, offsets, lengths, needs = array("L"), array("Q"), array("L"), array("B")
    for part in maintenance.copies():
        digests.append(digest_array(copy.digest for copy in part))
        packs.extend(numbers.setdefault(copy.pack, len(numbers)) for copy in part)
        offsets.extend(copy.offset for copy in part)
        lengths.extend(copy.length for copy in part)
        needs.extend(copy.needs_bases for copy in part)
    joined = np.concatenate(digests)
    chunks = DigestSet(joined)
    at = chunks.positions(joined)
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(len(chunks) + 1))
    return CopyTable(
        packs=tuple(numbers),
        digests=joined[order],
        pack_numbers=np.array(packs, np.uint32)[order],
        offsets=np.array(offsets, np.uint64)[order],
        lengths=np.array(lengths, np.uint32)[order],
        needs_bases=np.array(needs, np.bool_)[order],
        chunks=chunks,
        starts=starts.astype(np.intp),
    )


async def bases_of(backend: Backend, copies: Sequence[Copy]) -> list[tuple[Digest, ...] | CorruptError]:
    """The chunks that each copy needs directly, or why that cannot be read; reads headers only."""
    found: list[tuple[Digest, ...] | CorruptError] = []
    for start in range(0, len(copies), _HEADERS_AT_ONCE):
        part = copies[start : start + _HEADERS_AT_ONCE]
        found += await in_thread(backend, _read_bases, backend.chunks.maintenance, part)
    return found


def _read_bases(
    maintenance: ChunkMaintenance, copies: Sequence[Copy]
) -> list[tuple[Digest, ...] | CorruptError]:
    try:
        return list(maintenance.bases(copies))
    except CorruptError:
        return [_bases_of_one(maintenance, copy) for copy in copies]


def _bases_of_one(maintenance: ChunkMaintenance, copy: Copy) -> tuple[Digest, ...] | CorruptError:
    try:
        return maintenance.bases([copy])[0]
    except CorruptError as error:
        return error
