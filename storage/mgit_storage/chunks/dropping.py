"""Takes copies away: first out of the index, then their bytes out of the packs.

At every step each chunk that is kept has an indexed copy whose bytes are there. A step that was cut leaves at
most a pack without an index, a second copy of a chunk, or dead bytes; the same call once more clears them away.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence

from mgit_core.errors import NotFoundError
from mgit_core.ports.maintenance import Copy, Dropped, LeaseCheck
from mgit_storage.chunks.index import PackClaim
from mgit_storage.chunks.pack import (
    NEEDS_BASES,
    PACK_HEADER_SIZE,
    PackEntry,
    pack_header,
    pack_key,
    pack_tail,
    tail_size,
)
from mgit_storage.chunks.parts import ChunkParts
from mgit_storage.chunks.segment import Segment
from mgit_storage.chunks.selection import copies_of_packs, doomed_of
from mgit_storage.chunks.upkeep import IndexUpkeep

__all__ = ["CopyDropper"]

# What is copied before the index is told: that bounds how much disk a drop takes for a while.
_BATCH_BYTES = 1 << 30


class CopyDropper:
    """Drops copies for one holder of the lease at a time."""

    def __init__(self, parts: ChunkParts, upkeep: IndexUpkeep) -> None:
        self._parts = parts
        self._objects = parts.objects
        self._upkeep = upkeep

    def drop(self, copies: Sequence[Copy], check: LeaseCheck) -> Dropped:
        """As ``ChunkMaintenance.drop``."""
        doomed = doomed_of(copies)
        freed = self._upkeep.remove(doomed, check)
        alive = copies_of_packs(self._parts.index.tables, list(doomed))
        sizes = {pack: self._size(pack) for pack in alive}
        freed += sum(self._delete(pack, check) for pack, left in alive.items() if not left)
        mostly_dead = {
            pack: left
            for pack, left in alive.items()
            if left and 2 * _dead_bytes(sizes[pack], left) > sizes[pack]
        }
        for batch in _batches(mostly_dead):
            freed += self._rewrite(batch, mostly_dead.keys(), check)
        return Dropped(copies=sum(map(len, doomed.values())), bytes_freed=freed)

    def _size(self, pack: str) -> int:
        try:
            return len(self._objects.view(pack_key(pack)))
        except NotFoundError:
            return 0

    def _delete(self, pack: str, check: LeaseCheck) -> int:
        """Delete a pack that the index does not name; how many bytes it had."""
        size = self._size(pack)
        check()
        self._objects.delete(pack_key(pack))
        return size

    def _rewrite(
        self, packs: Mapping[str, Sequence[Copy]], leaving: Collection[str], check: LeaseCheck
    ) -> int:
        """Copy what is alive in ``packs`` to new packs, index those, and delete the old ones; bytes freed.

        Args:
            packs: The copies that are alive in each pack.
            leaving: Packs that may be deleted soon, these among them.
            check: Of the lease.
        """
        freed = 0
        moved: list[Copy] = []
        claims: list[PackClaim] = []
        fresh: list[tuple[str, list[PackEntry]]] = []
        for pack, copies in packs.items():
            if not self._is_whole(copies):
                continue  # Damaged: what is left of it stays where fsck finds it.
            moved += copies
            kept = [copy for copy in copies if not self._is_elsewhere(copy, leaving)]
            if kept:
                name = uuid.uuid4().hex
                claims.append(self._parts.index.claim(name))
                is_dense = self._parts.headers.is_dense(pack)
                entries, size = self._write_pack(name, kept, is_dense=is_dense)
                fresh.append((name, entries))
                freed -= size
        if fresh:
            check()
            freed -= self._parts.index.add(Segment.of_entries(fresh))
        doomed = doomed_of(moved)
        return freed + self._upkeep.remove(doomed, check) + sum(self._delete(pack, check) for pack in doomed)

    def _frame(self, copy: Copy) -> bytes:
        return self._objects.get_range(pack_key(copy.pack), copy.offset, copy.length)

    def _is_whole(self, copies: Sequence[Copy]) -> bool:
        """Whether the pack has the bytes of every frame; what is in them is not looked at."""
        end = max(copy.offset + copy.length for copy in copies)
        return self._size(copies[0].pack) >= end

    def _is_elsewhere(self, copy: Copy, leaving: Collection[str]) -> bool:
        """Whether another pack that stays has the same frame: a drop that was cut copied it there."""
        return any(
            place.pack not in leaving
            and place.length == copy.length
            and self._objects.get_range(pack_key(place.pack), place.offset, place.length) == self._frame(copy)
            for place in self._parts.index.find(copy.digest)
        )

    def _write_pack(
        self, name: str, copies: Sequence[Copy], *, is_dense: bool
    ) -> tuple[list[PackEntry], int]:
        """Make a new pack with the frames of these copies as they are: its entries and bytes."""
        entries: list[PackEntry] = []
        with self._objects.stage() as staged:
            staged.write(pack_header(is_dense=is_dense))
            offset = PACK_HEADER_SIZE
            for copy in copies:
                staged.write(self._frame(copy))
                flags = NEEDS_BASES if copy.needs_bases else 0
                entries.append(PackEntry(copy.digest, offset, copy.length, flags))
                offset += copy.length
            tail = pack_tail(entries, offset)
            staged.write(tail)
            staged.commit(pack_key(name))
        return entries, offset + len(tail)


def _dead_bytes(size: int, alive: Sequence[Copy]) -> int:
    """Bytes of a pack that are neither its own nor those of the frames that are alive."""
    return size - PACK_HEADER_SIZE - tail_size(len(alive)) - sum(copy.length for copy in alive)


def _batches(packs: Mapping[str, Sequence[Copy]]) -> Iterator[dict[str, Sequence[Copy]]]:
    """The packs in groups of about ``_BATCH_BYTES`` that are alive."""
    batch: dict[str, Sequence[Copy]] = {}
    size = 0
    for pack, copies in packs.items():
        batch[pack] = copies
        size += sum(copy.length for copy in copies)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch
