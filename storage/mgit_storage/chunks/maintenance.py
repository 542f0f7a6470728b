"""Collection, repack and fsck over packs: copies by pack and offset."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mgit_core.coding.encoded import ChunkHeader
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.maintenance import ChunkMaintenance, Copy, Dropped, LeaseCheck, PackState
from mgit_storage.chunks.dropping import CopyDropper
from mgit_storage.chunks.headers import corrupt_copy
from mgit_storage.chunks.pack import NEEDS_BASES, pack_key, pack_name, read_table
from mgit_storage.chunks.parts import ChunkParts
from mgit_storage.chunks.segment import Place, Segment
from mgit_storage.chunks.selection import copies_in, segment_of
from mgit_storage.chunks.upkeep import IndexUpkeep

__all__ = ["PackMaintenance"]

_CONDEMNED = "condemned"
_SLICE = 20_000


class PackMaintenance(ChunkMaintenance):
    """Looks after the packs and indexes of one store.

    A list of condemned copies, the object ``condemned/NAME``, is laid out as an index.
    """

    def __init__(self, parts: ChunkParts) -> None:
        self._parts = parts
        self._objects = parts.objects
        self._upkeep = IndexUpkeep(parts.objects, parts.index)
        self._dropper = CopyDropper(parts, self._upkeep)
        self._lock = threading.Lock()
        self._condemned: tuple[str, list[Copy]] | None = None

    def copies(self, digests: Sequence[Digest] | None = None) -> Iterator[list[Copy]]:
        self._parts.index.refresh()
        if digests is not None:
            for start in range(0, len(digests), _SLICE):
                yield [
                    Copy(digest, place.pack, place.offset, place.length, place.needs_bases)
                    for digest in digests[start : start + _SLICE]
                    for place in self._parts.copies.find(digest)
                ]
            return
        for table in self._parts.index.tables:
            for start in range(0, len(table), _SLICE):
                yield copies_in(table, np.arange(start, min(start + _SLICE, len(table))))

    def headers(self, copies: Sequence[Copy]) -> list[ChunkHeader]:
        return [self._header(copy) for copy in copies]

    def bases(self, copies: Sequence[Copy]) -> list[tuple[Digest, ...]]:
        return [
            tuple(dict.fromkeys(base.digest for base in self._header(copy).bases)) if copy.needs_bases else ()
            for copy in copies
        ]

    def packs(self) -> dict[str, PackState]:
        named = ((pack_name(key), state) for key, state in self._objects.survey("packs").items())
        return {
            name: PackState(
                size_bytes=state.size_bytes, age_s=state.age_s, is_dense=self._parts.headers.is_dense(name)
            )
            for name, state in named
            if name is not None
        }

    def read_copy(self, copy: Copy) -> bytes:
        try:
            return self._parts.reader.read_place(copy.digest, _place(copy))
        except NotFoundError as error:
            raise _gone(copy.pack) from error

    def condemn(self, copies: Sequence[Copy]) -> str:
        key = f"{_CONDEMNED}/{uuid.uuid4().hex}"
        self._objects.put(key, segment_of(copies).to_bytes())
        return key

    def set_condemned(self, key: str | None) -> list[Copy]:
        with self._lock:
            if key is None:
                self._condemned = None
                self._parts.copies.set_condemned(None)
                return []
            if self._condemned is None or self._condemned[0] != key:
                table = Segment.from_view(key, self._objects.view(key))
                self._parts.copies.set_condemned(table)
                self._condemned = key, copies_in(table, np.arange(len(table)))
            return list(self._condemned[1])

    def drop(self, copies: Sequence[Copy], check: LeaseCheck) -> Dropped:
        self._parts.index.refresh()
        self._parts.index.check_whole()  # Else what a damaged index names would be taken for dead.
        return self._dropper.drop(copies, check)

    def table(self, pack: str) -> list[Copy]:
        try:
            entries = read_table(self._objects, pack)
        except NotFoundError as error:
            raise _gone(pack) from error
        return [
            Copy(entry.digest, pack, entry.offset, entry.length, bool(entry.flags & NEEDS_BASES))
            for entry in entries
        ]

    def damaged_indexes(self) -> dict[str, CorruptError]:
        self._parts.index.refresh()
        return self._parts.index.damaged()

    def restore(self, copies: Sequence[Copy], check: LeaseCheck) -> None:
        self._upkeep.restore(segment_of(copies), check)

    def sweep(self, older_than_s: float, check: LeaseCheck) -> int:
        # Packs first: one that is indexed meanwhile is then known.
        packs = self._old("packs", older_than_s)
        freed = self._upkeep.clean(check)
        if not self._parts.index.damaged():
            indexed = {name for table in self._parts.index.tables for name in table.packs}
            kept = {pack_key(name) for name in indexed | self._parts.index.claimed}
            freed += self._delete({key: size for key, size in packs.items() if key not in kept}, check)
        with self._lock:
            in_use = self._condemned[0] if self._condemned else None
        lists = self._old(
            _CONDEMNED, 0.0
        )  # Whoever writes one holds the lease until it is in use or done with.
        freed += self._delete({key: size for key, size in lists.items() if key != in_use}, check)
        check()
        return freed + self._objects.discard_stale(older_than_s)

    def is_merge_due(self) -> bool:
        return self._upkeep.is_merge_due()

    def merge_indexes(self, check: LeaseCheck) -> bool:
        return self._upkeep.merge(check)

    def _old(self, folder: str, older_than_s: float) -> dict[str, int]:
        """Bytes of each object in a folder that is old enough, by key."""
        states = self._objects.survey(folder)
        return {key: state.size_bytes for key, state in states.items() if state.age_s >= older_than_s}

    def _delete(self, sizes: Mapping[str, int], check: LeaseCheck) -> int:
        for key in sizes:
            check()
            self._objects.delete(key)
        return sum(sizes.values())

    def _header(self, copy: Copy) -> ChunkHeader:
        try:
            return self._parts.headers.read(copy.digest, _place(copy))
        except NotFoundError as error:
            raise corrupt_copy(copy.digest, _place(copy), "the pack is not there") from error


def _place(copy: Copy) -> Place:
    return Place(copy.pack, copy.offset, copy.length, copy.needs_bases)


def _gone(pack: str) -> CorruptError:
    return CorruptError(ErrorReason.PACK_CORRUPT, f"Pack {pack} is not there.", pack=pack)
