"""The index of a store: all index objects together, kept fresh against other processes.

Large index objects stay mapped files. Small ones are joined into one table in memory, so that a look-up
touches few tables. More than 64 small objects are merged into one object that names what it replaces.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence

from mgit_core.digest import Digest
from mgit_core.errors import NotFoundError
from mgit_storage.chunks.segment import Place, Segment, index_key, prefixes_of
from mgit_storage.objects import ObjectStore

__all__ = ["ChunkIndex"]

_MOST_SMALL_INDEXES = 64
# From here on a table is looked up in its own mapped file.
_LARGE_ENTRIES = 100_000
_MOST_LISTINGS = 20


class ChunkIndex:
    """Which chunk lies where. Thread-safe."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._lock = threading.Lock()
        self._loaded: dict[str, Segment] = {}
        self._tables: list[Segment] = []
        self.refresh()

    def __len__(self) -> int:
        """Number of entries, every copy counted."""
        return sum(map(len, self._tables))

    def find(self, digest: Digest) -> list[Place]:
        """Every known copy, without looking at the disk."""
        return [place for table in self._tables for place in table.find(digest)]

    def find_missing(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those without a known copy, each once, in order, without looking at the disk."""
        missing = list(dict.fromkeys(digests))
        for table in self._tables:
            if not missing:
                break
            known = table.has(missing, prefixes_of(missing))
            missing = [digest for digest, is_known in zip(missing, known, strict=True) if not is_known]
        return missing

    def packs(self) -> set[str]:
        """Names of all indexed packs."""
        return {name for table in self._tables for name in table.packs}

    def add(self, segment: Segment) -> None:
        """Make a table durable as an index object, and visible; merge small objects if they are many."""
        name = uuid.uuid4().hex
        self._objects.put(index_key(name), segment.to_bytes())
        with self._lock:
            self._loaded[name] = segment
            self._arrange()
        self._merge_small()

    def refresh(self) -> None:
        """Take in what other processes made and let go of what they replaced.

        A listing of a folder is no snapshot, and a merge makes one name and deletes others meanwhile. So
        the folder is listed until two listings agree, and again if a listed object is gone.
        """
        with self._lock:
            names = self._names()
            for _ in range(_MOST_LISTINGS):
                try:
                    fresh = {name: self._load(name) for name in names}
                except NotFoundError:
                    names = self._names()
                    continue
                again = self._names()
                if again == names:
                    break
                names = again
            else:
                fresh = {name: self._load(name) for name in names}
            if fresh.keys() != self._loaded.keys() or not self._tables:
                self._loaded = fresh
                self._arrange()

    def _names(self) -> list[str]:
        return [key.rpartition("/")[2].removesuffix(".index") for key in self._objects.list("indexes")]

    def _load(self, name: str) -> Segment:
        known = self._loaded.get(name)
        return known or Segment.from_view(name, self._objects.view(index_key(name)))

    def _arrange(self) -> None:
        """Build the look-up tables anew from the loaded objects."""
        replaced = {name for segment in self._loaded.values() for name in segment.replaced}
        current = [segment for name, segment in self._loaded.items() if name not in replaced]
        large = [segment for segment in current if len(segment) >= _LARGE_ENTRIES]
        small = [segment for segment in current if 0 < len(segment) < _LARGE_ENTRIES]
        self._tables = [*large, Segment.merged(small, ())] if small else large

    def _merge_small(self) -> None:
        """Write one object in place of many; the others go only when it is durable.

        Objects are taken from the smallest up, a larger one only where it is no larger than all before it
        together, so that an entry is copied a logarithmic number of times.
        """
        with self._lock:
            if len(self._loaded) <= _MOST_SMALL_INDEXES:
                return
            chosen: dict[str, Segment] = {}
            total = 0
            for name, segment in sorted(self._loaded.items(), key=lambda item: len(item[1])):
                if len(chosen) >= _MOST_SMALL_INDEXES and len(segment) > total:
                    break
                chosen[name] = segment
                total += len(segment)
            merged = Segment.merged(list(chosen.values()), list(chosen))
            name = uuid.uuid4().hex
            self._objects.put(index_key(name), merged.to_bytes())
            self._loaded = {key: kept for key, kept in self._loaded.items() if key not in chosen}
            self._loaded[name] = merged
            self._arrange()
        for replaced in chosen:
            self._objects.delete(index_key(replaced))
