"""Ports to what is stored, for those who look after it: by copy, not by digest.

A chunk may have several copies. A copy is *usable* if it is indexed, not condemned, and every base that it needs
has a usable copy. Callers hold the maintenance lease; ``check`` in these methods is called before every step that
cannot be taken back, and raises (LEASE_LOST) where the lease may have passed to another.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mgit_core.coding.encoded import ChunkHeader
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError
from mgit_core.files import FileList
from mgit_core.layers.graph import LayerGraph
from mgit_core.manifest import Manifest

__all__ = [
    "ChunkMaintenance",
    "Copy",
    "Document",
    "DocumentMaintenance",
    "Dropped",
    "LeaseCheck",
    "PackState",
    "StoredDocument",
]

LeaseCheck: TypeAlias = Callable[[], None]
"""Raises ConflictError LEASE_LOST if the lease is not held with enough time left."""

Document: TypeAlias = Manifest | FileList | LayerGraph


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a chunk.

    Attributes:
        digest: Digest of the raw chunk.
        pack: Name of the pack.
        offset: First byte of its frame in the pack.
        length: Bytes of its frame.
        needs_bases: Whether it is a difference to other chunks.
    """

    digest: Digest
    pack: str
    offset: int
    length: int
    needs_bases: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A manifest, file list or layer graph as an object.

    Attributes:
        key: Its key.
        size_bytes: Bytes of the object.
        age_s: Seconds since it was made.
    """

    key: str
    size_bytes: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What a drop did.

    Attributes:
        copies: Copies that are gone.
        bytes_freed: By how much packs and indexes shrank; negative if they grew.
    """

    copies: int
    bytes_freed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackState:
    """A pack.

    Attributes:
        size_bytes: Bytes of the object.
        age_s: Seconds since it was made.
        is_dense: Whether a repack made it.
    """

    size_bytes: int
    age_s: float
    is_dense: bool


class ChunkMaintenance(abc.ABC):
    """Chunks by copy. Thread-safe; blocks."""

    @abc.abstractmethod
    def copies(self, digests: Sequence[Digest] | None = None) -> Iterator[list[Copy]]:
        """Every indexed copy, after a fresh listing of the indexes, in slices of some ten thousands.

        Args:
            digests: Only copies of these chunks, in their order, and of each chunk those first that a reader takes
                first; looked up, not found by going through the whole index.
        """

    @abc.abstractmethod
    def headers(self, copies: Sequence[Copy]) -> list[ChunkHeader]:
        """What the header of each copy says, in order; reads nothing else.

        Raises:
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION for a header that cannot be read.
        """

    @abc.abstractmethod
    def bases(self, copies: Sequence[Copy]) -> list[tuple[Digest, ...]]:
        """The chunks that each copy needs directly, in order; reads headers only.

        Raises:
            CorruptError: CHUNK_CORRUPT for a header that cannot be read.
        """

    @abc.abstractmethod
    def packs(self) -> dict[str, PackState]:
        """Every pack in the folder, indexed or not, by name."""

    @abc.abstractmethod
    def read_copy(self, copy: Copy) -> bytes:
        """The raw bytes of this very copy, verified; its bases may come from any copy.

        Raises:
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION, with the reason; PACK_CORRUPT if the pack has
                gone.
        """

    @abc.abstractmethod
    def condemn(self, copies: Sequence[Copy]) -> str:
        """Write the list of copies durably; returns its object key. Nothing is condemned until the graph says so."""

    @abc.abstractmethod
    def set_condemned(self, key: str | None) -> list[Copy]:
        """Take the copies of a list as condemned from now on in this process, or none; returns them.

        They can still be read, but do not count as usable.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
            CorruptError: INDEX_CORRUPT or UNKNOWN_FORMAT_VERSION; a list is laid out as an index.
        """

    @abc.abstractmethod
    def drop(self, copies: Sequence[Copy], check: LeaseCheck) -> Dropped:
        """Take copies out of the index, durably, and then their bytes out of the packs.

        A pack without other copies is deleted; one that is mostly dead is rewritten: its other frames are copied
        to a new pack, which is indexed before the old one goes. Others keep the dead bytes. May be repeated
        after a crash.

        Raises:
            ConflictError: LEASE_LOST.
            ResourceExhaustedError: DISK_FULL; nothing was taken away that was not replaced.
        """

    @abc.abstractmethod
    def table(self, pack: str) -> list[Copy]:
        """The copies that a pack's own table of contents names, whether they are indexed or not.

        Raises:
            CorruptError: PACK_CORRUPT, also if the pack is not there, or UNKNOWN_FORMAT_VERSION.
        """

    @abc.abstractmethod
    def damaged_indexes(self) -> dict[str, CorruptError]:
        """Why each index object that cannot be read cannot, by name, after a fresh listing.

        While there is one, a chunk that is not found gives that error and never CHUNK_NOT_FOUND.
        """

    @abc.abstractmethod
    def restore(self, copies: Sequence[Copy], check: LeaseCheck) -> None:
        """Index copies durably, in place of every index object that is damaged: those are deleted.

        One of a later version stays, and so does its error.

        Raises:
            ConflictError: LEASE_LOST.
            ResourceExhaustedError: DISK_FULL; nothing was deleted.
        """

    @abc.abstractmethod
    def sweep(self, older_than_s: float, check: LeaseCheck) -> int:
        """Delete what a killed process left: packs without an index, lists, temporary files. Bytes freed.

        Args:
            older_than_s: How old a thing must be. A pack gets its index when its upload ends, so this is to be
                longer than any upload of another process takes. Lists go at any age, but the one that is set never.
            check: As everywhere.

        Raises:
            ConflictError: LEASE_LOST.
        """

    @abc.abstractmethod
    def is_merge_due(self) -> bool:
        """Whether there are so many index objects that ``merge_indexes`` would merge; after a fresh listing."""

    @abc.abstractmethod
    def merge_indexes(self, check: LeaseCheck) -> bool:
        """Merge index objects if they are many; whether it was done.

        Raises:
            ConflictError: LEASE_LOST.
        """


class DocumentMaintenance(abc.ABC):
    """Manifests, file lists and layer graphs as objects. Thread-safe; blocks."""

    @abc.abstractmethod
    def documents(self) -> list[StoredDocument]:
        """Every document, by key."""

    @abc.abstractmethod
    def read(self, key: str) -> Document:
        """The document under ``key``, its digest verified, from the object itself: nothing kept in memory counts.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
            CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """

    @abc.abstractmethod
    def replace(self, key: str, intact: str, check: LeaseCheck) -> None:
        """Put the content of the object ``intact``, of the same digest, in the place of a damaged or lost one.

        After a crash in between the damaged one may be gone; a repeat finishes.

        Raises:
            ConflictError: LEASE_LOST.
            NotFoundError: OBJECT_NOT_FOUND, for ``intact``.
            CorruptError: MANIFEST_CORRUPT, if ``intact`` is damaged too.
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def delete(self, key: str, check: LeaseCheck) -> None:
        """Delete one; a no-op if it is not there.

        Raises:
            ConflictError: LEASE_LOST.
        """
