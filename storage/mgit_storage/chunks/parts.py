"""What the parts of one chunk store share."""

from __future__ import annotations

from dataclasses import dataclass

from mgit_core.digest import DigestAlgorithm
from mgit_storage.chunks.copies import Copies
from mgit_storage.chunks.headers import Headers
from mgit_storage.chunks.index import ChunkIndex
from mgit_storage.chunks.reader import CopyReader
from mgit_storage.objects import ObjectStore

__all__ = ["ChunkParts", "open_parts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkParts:
    """Index, copies and reader over the same objects."""

    objects: ObjectStore
    index: ChunkIndex
    headers: Headers
    copies: Copies
    reader: CopyReader


def open_parts(objects: ObjectStore, algorithm: DigestAlgorithm) -> ChunkParts:
    """The parts of the store in ``objects``; lists its indexes."""
    index = ChunkIndex(objects)
    headers = Headers(objects)
    copies = Copies(index, headers)
    reader = CopyReader(objects, algorithm, index, copies)
    return ChunkParts(objects=objects, index=index, headers=headers, copies=copies, reader=reader)
