"""Chunks by digest over packs and indexes in an object store."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mgit_core.coding.codec import decode_chunk
from mgit_core.coding.encoded import HEADER_SIZE, EncodedChunk, raw_size_of
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.chunks import ChunkStore, ChunkWriter
from mgit_storage.chunks.index import ChunkIndex
from mgit_storage.chunks.pack import pack_key
from mgit_storage.chunks.segment import Place
from mgit_storage.chunks.writer import PackWriter
from mgit_storage.objects import ObjectStore

__all__ = ["PackChunkStore"]

_READ_AHEAD_PER_CORE = 4

_Read = TypeVar("_Read")


class PackChunkStore(ChunkStore):
    """The chunk store; several processes may have one over the same objects."""

    def __init__(self, objects: ObjectStore, algorithm: DigestAlgorithm) -> None:
        self._objects = objects
        self._algorithm = algorithm
        self._index = ChunkIndex(objects)
        self._cores = os.cpu_count() or 1

    @property
    def algorithm(self) -> DigestAlgorithm:
        return self._algorithm

    @property
    def chunk_count(self) -> int:
        """Indexed chunks, every copy counted."""
        return len(self._index)

    @property
    def chunk_bytes(self) -> int:
        """Bytes in packs of the indexed chunks, every copy counted, headers included."""
        return self._index.chunk_bytes

    def find_missing(self, digests: Sequence[Digest]) -> list[Digest]:
        missing = self._index.find_missing(digests)
        if missing:
            self._index.refresh()
            missing = self._index.find_missing(missing)
        return missing

    def read(self, digest: Digest) -> bytes:
        return self._from_any_copy(digest, self._read_place)

    def read_many(self, digests: Iterable[Digest]) -> Generator[bytes]:
        ahead: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(self._cores, thread_name_prefix="read") as pool:
            try:
                for digest in digests:
                    ahead.append(pool.submit(self.read, digest))
                    if len(ahead) >= self._cores * _READ_AHEAD_PER_CORE:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def read_encoded(self, digest: Digest) -> EncodedChunk:
        return self._from_any_copy(digest, self._read_frame)

    def open_writer(self) -> ChunkWriter:
        return PackWriter(self._objects, self._index, self._algorithm)

    def stored_sizes(self, digests: Sequence[Digest]) -> list[int]:
        if self._index.find_missing(digests):
            self._index.refresh()
        copies = (_in_reading_order(self._index.find(digest)) for digest in digests)
        return [places[0].length if places else 0 for places in copies]

    def raw_sizes(self, digests: Sequence[Digest]) -> list[int]:
        return [self._from_any_copy(digest, self._read_raw_size) for digest in digests]

    def refresh(self) -> None:
        self._index.refresh()

    def _from_any_copy(self, digest: Digest, read: Callable[[Digest, Place], _Read]) -> _Read:
        """What ``read`` makes of the first copy that it can read.

        A pack that has gone was rewritten, and its chunks are elsewhere now: then the index is read anew.
        """
        failure: CorruptError | None = None
        for _ in range(2):
            for place in self._places(digest):
                try:
                    return read(digest, place)
                except CorruptError as error:
                    failure = error
                except NotFoundError as error:
                    failure = _corrupt(digest, place, "the pack is not there", ErrorReason.CHUNK_CORRUPT)
                    failure.__cause__ = error
            self._index.refresh()
        raise failure or _not_found(digest)

    def _places(self, digest: Digest) -> list[Place]:
        """Every copy, in the order in which they are tried; never empty."""
        places = self._index.find(digest)
        if not places:
            self._index.refresh()
            places = self._index.find(digest)
        if not places:
            raise _not_found(digest)
        return _in_reading_order(places)

    def _read_frame(self, digest: Digest, place: Place) -> EncodedChunk:
        frame = self._objects.get_range(pack_key(place.pack), place.offset, place.length)
        try:
            return EncodedChunk.from_bytes(frame)
        except CorruptError as error:
            raise _corrupt(digest, place, error.message, error.reason) from error

    def _read_raw_size(self, digest: Digest, place: Place) -> int:
        header = self._objects.get_range(pack_key(place.pack), place.offset, HEADER_SIZE)
        try:
            return raw_size_of(header)
        except CorruptError as error:
            raise _corrupt(digest, place, error.message, error.reason) from error

    def _read_place(self, digest: Digest, place: Place) -> bytes:
        encoded = self._read_frame(digest, place)
        try:
            raw = decode_chunk(encoded)
        except CorruptError as error:
            raise _corrupt(digest, place, error.message, error.reason) from error
        if digest_of(self._algorithm, raw) != digest:
            raise _corrupt(digest, place, "its bytes have another digest", ErrorReason.CHUNK_CORRUPT)
        return raw


def _in_reading_order(places: list[Place]) -> list[Place]:
    """Copies that need no base first."""
    return sorted(places, key=lambda place: place.needs_bases)


def _not_found(digest: Digest) -> NotFoundError:
    return NotFoundError(
        ErrorReason.CHUNK_NOT_FOUND, f"The store has no chunk {digest.hex()}.", digest=digest.hex()
    )


def _corrupt(digest: Digest, place: Place, found: str, reason: ErrorReason) -> CorruptError:
    return CorruptError(
        reason,
        f"Chunk {digest.hex()} in pack {place.pack} is damaged: {found}",
        digest=digest.hex(),
        pack=place.pack,
    )
