"""A whole store: its root object, chunks, and parameter sets."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import AlreadyExistsError, CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.chunks import ChunkStore, ParameterStore
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import LocalObjectStore, MemoryObjectStore, ObjectStore
from mgit_storage.parameters import ObjectParameterStore

__all__ = ["Store", "memory_store", "open_objects", "open_store"]

_ROOT = "root.json"
_FORMAT = "mgit-store"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An opened store.

    Attributes:
        id: UUID in the root object; the graph holds the same.
        chunks: Its chunks.
        parameters: Its manifests, file lists and layer graphs.
    """

    id: str
    chunks: ChunkStore
    parameters: ParameterStore
    objects: ObjectStore

    def is_empty(self) -> bool:
        """Whether there is nothing but the root object."""
        # Indexes first: a store with content has some, and they are few where packs are many.
        return not any(self.objects.list(folder) for folder in ("indexes", "packs", "manifests", "files"))

    def is_there(self) -> bool:
        """Whether its root object can still be read, and is still its own.

        Raises:
            UnavailableError: STORE_UNAVAILABLE.
        """
        try:
            return _parse_root(self.objects.get(_ROOT))[0] == self.id
        except (NotFoundError, CorruptError):
            return False


def open_store(folder: Path, algorithm: DigestAlgorithm) -> Store:
    """The store in ``folder``; made there, with ``algorithm``, if there is none.

    An existing store keeps the algorithm that it was made with. Two processes may make it at once.

    Raises:
        CorruptError: UNKNOWN_FORMAT_VERSION or MANIFEST_CORRUPT for a root object that cannot be read.
        UnavailableError: STORE_UNAVAILABLE.
        ResourceExhaustedError: DISK_FULL.
    """
    return open_objects(LocalObjectStore(folder), algorithm)


def memory_store(algorithm: DigestAlgorithm) -> Store:
    """A new store in memory."""
    return open_objects(MemoryObjectStore(), algorithm)


def open_objects(objects: ObjectStore, algorithm: DigestAlgorithm) -> Store:
    """The store in ``objects``; made there if there is none."""
    try:
        root = objects.get(_ROOT)
    except NotFoundError:
        root = _make_root(objects, algorithm)
    store_id, algorithm = _parse_root(root)
    chunks = PackChunkStore(objects, algorithm)
    parameters = ObjectParameterStore(objects, chunks)
    return Store(id=store_id, chunks=chunks, parameters=parameters, objects=objects)


def _make_root(objects: ObjectStore, algorithm: DigestAlgorithm) -> bytes:
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "id": str(uuid.uuid4()),
        "digest_algorithm": algorithm.value,
    }
    with contextlib.suppress(AlreadyExistsError):  # Another process was first; its root counts.
        objects.put(_ROOT, json.dumps(document, sort_keys=True).encode("ascii") + b"\n")
    return objects.get(_ROOT)


def _parse_root(root: bytes) -> tuple[str, DigestAlgorithm]:
    try:
        document = json.loads(root)
        if (document["format"], document["version"]) != (_FORMAT, _VERSION):
            raise CorruptError(
                ErrorReason.UNKNOWN_FORMAT_VERSION,
                f"A store of version {_VERSION} was wanted; found {document['format']!r} of version "
                f"{document['version']!r}.",
            )
        return str(uuid.UUID(document["id"])), DigestAlgorithm(document["digest_algorithm"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CorruptError(
            ErrorReason.MANIFEST_CORRUPT, "The root object of the store cannot be read."
        ) from error
