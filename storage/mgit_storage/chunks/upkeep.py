"""Changes of the index other than new entries: joining objects, taking entries out, healing.

Index objects never change. Whatever happens to their entries, a new object says it and names those that it
replaces; it is durable before they are deleted. So after a crash in between, the old ones do not count, and no
entry that was taken out comes back. The caller holds the lease of maintenance: nobody else does this meanwhile,
but seals and look-ups go on.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Mapping

from mgit_core.errors import ErrorReason
from mgit_core.ports.maintenance import LeaseCheck
from mgit_storage.chunks.index import LARGE_ENTRIES, ChunkIndex
from mgit_storage.chunks.segment import Segment, index_key
from mgit_storage.chunks.selection import Doomed, rows_of, without
from mgit_storage.objects import ObjectStore

__all__ = ["IndexUpkeep"]

_MOST_INDEXES = 64
# An object so large is not merged again: that bounds how long a merge takes, to some 0.1 s.
_FULL_ENTRIES = 1_000_000


class IndexUpkeep:
    """Replaces index objects. Thread-safe."""

    def __init__(self, objects: ObjectStore, index: ChunkIndex) -> None:
        self._objects = objects
        self._index = index
        self._lock = threading.Lock()

    def is_merge_due(self) -> bool:
        """Whether there are more than 64 index objects that a merge would join."""
        self._index.refresh()
        return bool(_choose(self._index.loaded()[0]))

    def merge(self, check: LeaseCheck) -> bool:
        """Join index objects if there are more than 64; whether it was done.

        Raises:
            ConflictError: LEASE_LOST.
            ResourceExhaustedError: DISK_FULL; nothing was deleted.
        """
        with self._lock:
            self._index.refresh()
            self._delete_replaced(check)
            current, _ = self._index.loaded()
            chosen = _choose(current)
            if chosen:
                self._replace(chosen, Segment.merged(list(chosen.values()), ()), check)
            return bool(chosen)

    def remove(self, doomed: Doomed, check: LeaseCheck) -> int:
        """Take copies out, durably; a no-op for those that are not in.

        Returns:
            By how many bytes the index objects shrank.

        Raises:
            ConflictError: LEASE_LOST.
            ResourceExhaustedError: DISK_FULL; what was not replaced is as it was.
        """
        with self._lock:
            self._index.refresh()
            freed = self._delete_replaced(check)
            for group in self._groups():
                marks = {name: rows_of(segment, doomed) for name, segment in group.items()}
                touched = {name: group[name] for name, marked in marks.items() if marked.any()}
                if touched:
                    kept = [without(segment, marks[name]) for name, segment in touched.items()]
                    freed += self._replace(touched, Segment.merged(kept, ()), check)
            return freed

    def clean(self, check: LeaseCheck) -> int:
        """Delete objects that others replace; bytes freed.

        Raises:
            ConflictError: LEASE_LOST.
        """
        with self._lock:
            self._index.refresh()
            return self._delete_replaced(check)

    def restore(self, segment: Segment, check: LeaseCheck) -> None:
        """Add entries, in place of every object that is damaged; one of a later version is not.

        Raises:
            ConflictError: LEASE_LOST.
            ResourceExhaustedError: DISK_FULL; nothing was deleted.
        """
        with self._lock:
            self._index.refresh()
            damaged = [
                name
                for name, error in self._index.damaged().items()
                if error.reason is ErrorReason.INDEX_CORRUPT
            ]
            self._replace(dict.fromkeys(damaged, segment), segment, check)

    def _groups(self) -> Iterable[Mapping[str, Segment]]:
        """Objects that may become one: each large one by itself, since it is copied whole."""
        current, _ = self._index.loaded()
        for name, segment in current.items():
            if len(segment) >= LARGE_ENTRIES:
                yield {name: segment}
        yield {name: segment for name, segment in current.items() if len(segment) < LARGE_ENTRIES}

    def _replace(self, old: Mapping[str, Segment], new: Segment, check: LeaseCheck) -> int:
        """Write ``new`` durably in place of ``old``, and delete those; by how many bytes they shrink."""
        check()
        content = new.replacing(list(old)).to_bytes()
        self._objects.put(index_key(uuid.uuid4().hex), content)
        # It is mapped from now on and no longer held in memory; and the old ones do not count any more.
        self._index.refresh()
        return self._delete(old, check) - len(content)

    def _delete_replaced(self, check: LeaseCheck) -> int:
        """Delete what a killed process left: objects that others replace, then empty ones."""
        _, replaced = self._index.loaded()
        freed = self._delete(replaced, check)
        current, _ = self._index.loaded()
        # One without entries is there for what it replaces only, and that is gone.
        return freed + self._delete([name for name, segment in current.items() if not len(segment)], check)

    def _delete(self, names: Iterable[str], check: LeaseCheck) -> int:
        states = self._objects.survey("indexes")
        freed = 0
        for key in map(index_key, names):
            check()
            self._objects.delete(key)
            freed += states[key].size_bytes if key in states else 0
        if freed:
            self._index.refresh()
        return freed


def _choose(current: Mapping[str, Segment]) -> dict[str, Segment]:
    """Which objects to merge: none, or at least 64.

    They are taken from the smallest up, a larger one only where it is no larger than all before it
    together, so that an entry is copied a logarithmic number of times.
    """
    candidates = {name: segment for name, segment in current.items() if len(segment) < _FULL_ENTRIES}
    chosen: dict[str, Segment] = {}
    if len(candidates) <= _MOST_INDEXES:
        return chosen
    total = 0
    for name, segment in sorted(candidates.items(), key=lambda item: len(item[1])):
        if len(chosen) >= _MOST_INDEXES and (len(segment) > total or total >= _FULL_ENTRIES):
            break
        chosen[name] = segment
        total += len(segment)
    return chosen
