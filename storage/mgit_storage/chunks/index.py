"""The index of a store: all index objects together, kept fresh against other processes.

Large index objects stay mapped files. Small ones are joined into one table in memory, so that a look-up
touches few tables. More than 64 objects that are not full are merged into one that names what it replaces. A
look-up costs 48 bytes a chunk, and for the entries of small objects once more that.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence

import numpy as np

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, NotFoundError, ResourceExhaustedError, UnavailableError
from mgit_storage.chunks.segment import Place, Segment, digest_table, index_key
from mgit_storage.objects import ObjectStore

__all__ = ["ChunkIndex"]

_MOST_INDEXES = 64
# From here on a table is looked up in its own mapped file: joining costs memory and, at each seal, time.
_LARGE_ENTRIES = 8_192
# An object so large is not merged again: that bounds how long a seal that merges takes, to some 0.1 s.
_FULL_ENTRIES = 1_000_000
_MOST_LISTINGS = 50
_FOLDER = "indexes"
_SUFFIX = ".index"


class ChunkIndex:
    """Which chunk lies where. Thread-safe."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._lock = threading.Lock()
        self._merging = threading.Lock()
        self._loaded: dict[str, Segment] = {}
        self._tables: list[Segment] = []
        self._listings = 0
        self.refresh()

    def __len__(self) -> int:
        """Number of entries, every copy counted."""
        return sum(map(len, self._tables))

    @property
    def chunk_bytes(self) -> int:
        """Bytes in packs of all entries, every copy counted."""
        return sum(int(table.places["length"].sum()) for table in self._tables)

    def find(self, digest: Digest) -> list[Place]:
        """Every known copy, without looking at the disk."""
        return [place for table in self._tables for place in table.find(digest)]

    def has(self, digest: Digest) -> bool:
        """Whether a copy is known, without looking at the disk."""
        return any(table.find(digest) for table in self._tables)

    def find_missing(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those without a known copy, each once, in order, without looking at the disk."""
        wanted = list(dict.fromkeys(digests))
        rows = digest_table(wanted)
        missing = np.arange(len(wanted))
        for table in self._tables:
            if not len(missing):
                break
            missing = missing[~table.has(rows[missing])]
        return [wanted[at] for at in missing.tolist()]

    def add(self, segment: Segment) -> int:
        """Make a table durable as an index object, and visible; merge objects if they are many.

        Returns:
            Bytes of the index object.
        """
        name = uuid.uuid4().hex
        content = segment.to_bytes()
        self._objects.put(index_key(name), content)
        with self._lock:
            self._loaded[name] = segment
            self._arrange()
        if len(self._loaded) > _MOST_INDEXES:
            self._merge()
        return len(content)

    def refresh(self) -> None:
        """Take in what other processes made and let go of what they replaced.

        The listing that this call relies on begins after the call does.

        Raises:
            CorruptError: INDEX_CORRUPT or UNKNOWN_FORMAT_VERSION.
            UnavailableError: STORE_UNAVAILABLE, if other processes change the folder faster than it is read.
        """
        needed = self._listings + 1  # The one that may be going on began before this call.
        with self._lock:
            if self._listings < needed:
                self._refresh()

    def _refresh(self) -> None:
        """List until it is certain that nothing was overlooked.

        A listing is no snapshot, and a merge makes one name and deletes others meanwhile: both may be
        overlooked. Then names of the listing before are gone from the next one, or an object is gone when it
        is opened. Two listings of which the second holds the whole first one saw no merge between them.
        """
        self._listings += 1
        names = self._names()
        for _ in range(_MOST_LISTINGS):
            again = self._names()
            if names <= again:
                try:
                    self._take(again)
                except NotFoundError:
                    again = self._names()
                else:
                    return
            names = again
        raise UnavailableError(
            ErrorReason.STORE_UNAVAILABLE,
            f"The indexes of the store changed during each of {_MOST_LISTINGS} listings; ask again.",
        )

    def _names(self) -> set[str]:
        keys = self._objects.list(_FOLDER)
        return {key[len(_FOLDER) + 1 : -len(_SUFFIX)] for key in keys if key.endswith(_SUFFIX)}

    def _take(self, names: set[str]) -> None:
        if names == self._loaded.keys():
            return
        self._loaded = {name: self._load(name) for name in sorted(names)}
        self._arrange()

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

    def _merge(self) -> None:
        """Write one object in place of many; the others go only when it is durable.

        The folder is listed first, so that what another process replaced does not come back. Look-ups and
        seals go on meanwhile.
        """
        if not self._merging.acquire(blocking=False):
            return
        try:
            self.refresh()
            chosen = self._choose()
            if not chosen:
                return
            merged = Segment.merged(list(chosen.values()), list(chosen))
            try:
                self._objects.put(index_key(uuid.uuid4().hex), merged.to_bytes())
            except ResourceExhaustedError:
                return  # Nothing depends on a merge. The next seal finds the disk full, or merges.
            for replaced in chosen:
                self._objects.delete(index_key(replaced))
            self.refresh()  # The new object is mapped from now on and no longer held in memory.
        finally:
            self._merging.release()

    def _choose(self) -> dict[str, Segment]:
        """Which objects to merge: none, or at least 64.

        They are taken from the smallest up, a larger one only where it is no larger than all before it
        together, so that an entry is copied a logarithmic number of times.
        """
        with self._lock:
            candidates = {
                name: segment for name, segment in self._loaded.items() if len(segment) < _FULL_ENTRIES
            }
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
