"""Writes new chunks into packs."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Generator

from typing_extensions import Buffer

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.codec import decode_chunk, encode_chunk
from mgit_core.coding.encoded import EncodedChunk
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, InternalError, InvalidArgumentError
from mgit_core.ports.chunks import ChunkWriter
from mgit_storage.chunks.index import ChunkIndex
from mgit_storage.chunks.pack import NEEDS_BASES, PACK_HEADER, PackEntry, pack_key, pack_tail
from mgit_storage.chunks.segment import Segment
from mgit_storage.objects import ObjectStore, StagedObject

__all__ = ["PackWriter"]

_PACK_BYTES = 256 << 20


class PackWriter(ChunkWriter):
    """Appends encoded chunks to a pack, begins another when it is full, and indexes all at the end.

    Digests and encoding run in the calling threads at once; only appending takes turns. After an error
    while writing, the chunks of that pack do not count, and ``seal`` raises the error once more: a caller
    who was told that a chunk is written learns that it is not.
    """

    def __init__(
        self,
        objects: ObjectStore,
        index: ChunkIndex,
        algorithm: DigestAlgorithm,
        *,
        pack_bytes: int = _PACK_BYTES,
    ) -> None:
        """A writer into ``objects``; a pack ends with the chunk that fills ``pack_bytes``."""
        self._objects = objects
        self._index = index
        self._algorithm = algorithm
        self._pack_bytes = pack_bytes
        self._lock = threading.Lock()
        self._seen: set[Digest] = set()
        self._finished: list[tuple[str, list[PackEntry]]] = []
        self._staged: StagedObject | None = None
        self._entries: list[PackEntry] = []
        self._offset = 0
        self._is_sealed = False
        self._failure: BaseException | None = None
        self._stored_bytes = 0

    @property
    def stored_bytes(self) -> int:
        return self._stored_bytes

    def write(self, content: Buffer, *, width: int, digest: Digest | None = None) -> Digest:
        size = memoryview(content).nbytes
        if not 1 <= size <= CHUNK_BYTES:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"A chunk has 1 to {CHUNK_BYTES} bytes; found {size}."
            )
        found = digest_of(self._algorithm, content)
        if digest is not None and digest != found:
            raise InvalidArgumentError(
                ErrorReason.DIGEST_MISMATCH,
                f"A chunk was sent as {digest.hex()}, but its bytes have digest {found.hex()}; it was not "
                "kept. Send it again.",
                wanted=digest.hex(),
                found=found.hex(),
            )
        if self._claim(found):
            with self._released_on_error(found):
                self._append(found, encode_chunk(content, width))
        return found

    def write_encoded(self, digest: Digest, encoded: EncodedChunk) -> None:
        raw = decode_chunk(encoded)
        if not 1 <= len(raw) <= CHUNK_BYTES or digest_of(self._algorithm, raw) != digest:
            raise CorruptError(
                ErrorReason.CHUNK_CORRUPT,
                f"An encoded chunk was sent as {digest.hex()}, but decodes to other bytes; it was not kept.",
                digest=digest.hex(),
            )
        if self._claim(digest):
            with self._released_on_error(digest):
                self._append(digest, encoded)

    def seal(self) -> None:
        with self._lock:
            self._is_sealed = True
            try:
                self._finish_pack()
            finally:  # Packs that were full before stay useful, even if the last one cannot be written.
                if self._finished:
                    self._stored_bytes += self._index.add(Segment.of_entries(self._finished))
                    self._finished = []
            if self._failure is not None:
                raise self._failure

    def _claim(self, digest: Digest) -> bool:
        """Whether the caller is to write the chunk: nobody has it, and nobody else is at it here."""
        with self._lock:
            self._check_open()
            if digest in self._seen:
                return False
            self._seen.add(digest)
        return not self._index.has(digest)

    def _check_open(self) -> None:
        if self._is_sealed:
            raise InternalError(ErrorReason.INTERNAL, "A sealed writer takes no more chunks.")

    def _append(self, digest: Digest, encoded: EncodedChunk) -> None:
        frame = encoded.to_bytes()
        with self._lock:
            self._check_open()
            with self._pack_given_up_on_error():
                if self._staged is None:
                    self._staged = self._objects.stage()
                    self._staged.write(PACK_HEADER)
                    self._offset = len(PACK_HEADER)
                self._staged.write(frame)
            flags = NEEDS_BASES if encoded.bases else 0
            self._entries.append(PackEntry(digest, self._offset, len(frame), flags))
            self._offset += len(frame)
            if self._offset >= self._pack_bytes:
                self._finish_pack()

    def _finish_pack(self) -> None:
        if self._staged is None:
            return
        name = uuid.uuid4().hex
        tail = pack_tail(self._entries, self._offset)
        with self._pack_given_up_on_error():
            self._staged.write(tail)
            self._staged.commit(pack_key(name))
        self._stored_bytes += self._offset + len(tail)
        self._finished.append((name, self._entries))
        self._staged, self._entries = None, []

    @contextlib.contextmanager
    def _released_on_error(self, digest: Digest) -> Generator[None]:
        """Lets the chunk be written again, by a sender who tries once more."""
        try:
            yield
        except BaseException:
            with self._lock:
                self._seen.discard(digest)
            raise

    @contextlib.contextmanager
    def _pack_given_up_on_error(self) -> Generator[None]:
        """Lets go of a pack that cannot be written: half a frame may stand at its end."""
        try:
            yield
        except BaseException as error:
            if self._staged is not None:
                self._staged.discard()
            self._seen.difference_update(entry.digest for entry in self._entries)
            if self._entries:
                self._failure = error
            self._staged, self._entries = None, []
            raise
