"""The index of a store: all index objects together, kept fresh against other processes.

Large index objects stay mapped files. Small ones are joined into one table in memory, so that a look-up
touches few tables. A look-up costs 48 bytes a chunk, and for the entries of small objects once more that.
What takes entries away, or joins objects, is ``mgit_storage.chunks.upkeep``.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Sequence

import numpy as np

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, NotFoundError, UnavailableError
from mgit_storage.chunks.segment import Place, Segment, digest_table, index_key
from mgit_storage.objects import ObjectStore

__all__ = ["LARGE_ENTRIES", "ChunkIndex", "PackClaim"]

LARGE_ENTRIES = 8_192
"""From here on a table is looked up in its own mapped file: joining costs memory and, at each seal, time."""
_MOST_LISTINGS = 50
_FOLDER = "indexes"
_SUFFIX = ".index"


class PackClaim:
    """Says, while it lives, that somebody is about to index a pack."""


class ChunkIndex:
    """Which chunk lies where. Thread-safe."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._lock = threading.Lock()
        self._loaded: dict[str, Segment] = {}
        self._damaged: dict[str, CorruptError] = {}
        self._current: dict[str, Segment] = {}
        self._tables: tuple[Segment, ...] = ()
        self._claims: weakref.WeakValueDictionary[str, PackClaim] = weakref.WeakValueDictionary()
        self._listings = 0
        self._losses = 0
        self.refresh()

    def __len__(self) -> int:
        """Number of entries, every copy counted."""
        return sum(map(len, self._tables))

    @property
    def chunk_bytes(self) -> int:
        """Bytes in packs of all entries, every copy counted."""
        return sum(int(table.places["length"].sum()) for table in self._tables)

    @property
    def losses(self) -> int:
        """How often entries may have gone: what was concluded from an entry holds while this stays."""
        return self._losses

    @property
    def tables(self) -> tuple[Segment, ...]:
        """All entries as they are now."""
        return self._tables

    @property
    def claimed(self) -> frozenset[str]:
        """Packs of this process that may get their entries later."""
        with self._lock:
            return frozenset(self._claims.keys())

    def find(self, digest: Digest) -> list[Place]:
        """Every known copy, without looking at the disk."""
        return [place for table in self._tables for place in table.find(digest)]

    def find_missing(self, digests: Sequence[Digest], *, alone: bool = False) -> list[Digest]:
        """Those without a known copy, each once, in order, without looking at the disk.

        Args:
            digests: What is asked for.
            alone: Whether only copies that need no bases count.
        """
        wanted = list(dict.fromkeys(digests))
        rows = digest_table(wanted)
        missing = np.arange(len(wanted))
        for table in self._tables:
            if not len(missing):
                break
            missing = missing[~table.has(rows[missing], alone=alone)]
        return [wanted[at] for at in missing.tolist()]

    def check_whole(self) -> None:
        """Refuses to call a chunk missing while an index object cannot be read.

        Raises:
            CorruptError: INDEX_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """
        for error in self._damaged.values():
            raise CorruptError(error.reason, error.message, **error.details)

    def claim(self, pack: str) -> PackClaim:
        """Keep a pack that has no entries yet from being swept, as long as the caller keeps what this returns."""
        claim = PackClaim()
        with self._lock:
            self._claims[pack] = claim
        return claim

    def add(self, segment: Segment) -> int:
        """Make a table durable as an index object, and visible.

        Returns:
            Bytes of the index object.
        """
        name = uuid.uuid4().hex
        content = segment.to_bytes()
        self._objects.put(index_key(name), content)
        with self._lock:
            self._loaded[name] = segment
            self._arrange()
        return len(content)

    def loaded(self) -> tuple[dict[str, Segment], dict[str, Segment]]:
        """Index objects by name: those that count, and those that another one replaces and that may go."""
        with self._lock:
            replaced = {name: self._loaded[name] for name in self._loaded.keys() - self._current.keys()}
            return dict(self._current), replaced

    def damaged(self) -> dict[str, CorruptError]:
        """Why each index object that cannot be read cannot, by name."""
        with self._lock:
            return dict(self._damaged)

    def refresh(self) -> None:
        """Take in what other processes made and let go of what they replaced.

        The listing that this call relies on begins after the call does.

        Raises:
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
        loaded: dict[str, Segment] = {}
        damaged: dict[str, CorruptError] = {}
        for name in sorted(names):
            try:
                loaded[name] = self._load(name)
            except CorruptError as error:
                damaged[name] = error
        replaced = {name for segment in loaded.values() for name in segment.replaced}
        self._loaded = loaded
        self._damaged = {name: error for name, error in damaged.items() if name not in replaced}
        self._arrange()

    def _load(self, name: str) -> Segment:
        known = self._loaded.get(name)
        return known or Segment.from_view(name, self._objects.view(index_key(name)))

    def _arrange(self) -> None:
        """Build the look-up tables anew from the loaded objects."""
        replaced = {name for segment in self._loaded.values() for name in segment.replaced}
        current = {name: segment for name, segment in self._loaded.items() if name not in replaced}
        large = [segment for segment in current.values() if len(segment) >= LARGE_ENTRIES]
        small = [segment for segment in current.values() if 0 < len(segment) < LARGE_ENTRIES]
        tables = (*large, Segment.merged(small, ())) if small else tuple(large)
        is_loss = not self._current.keys() <= current.keys()
        self._current, self._tables = current, tables
        self._losses += is_loss
