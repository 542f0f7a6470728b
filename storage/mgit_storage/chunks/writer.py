"""Writes new chunks into packs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from typing_extensions import Buffer

from mgit_core.coding.codec import decode_chunk, encode_chunk
from mgit_core.coding.encoded import EncodedChunk
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit_core.ports.chunks import ChunkWriter
from mgit_storage.chunks.index import ChunkIndex
from mgit_storage.chunks.pack import NEEDS_BASES, PACK_HEADER, PackEntry, pack_key, pack_tail
from mgit_storage.chunks.segment import Segment
from mgit_storage.objects import ObjectStore, StagedObject

__all__ = ["PackWriter"]

_PACK_BYTES = 256 << 20


class PackWriter(ChunkWriter):
    """Appends encoded chunks to a pack, begins another when it is full, and indexes all at the end."""

    def __init__(
        self,
        objects: ObjectStore,
        index: ChunkIndex,
        algorithm: DigestAlgorithm,
        *,
        pack_bytes: int = _PACK_BYTES,
        on_seal: Callable[[], None] | None = None,
    ) -> None:
        self._objects = objects
        self._index = index
        self._algorithm = algorithm
        self._pack_bytes = pack_bytes
        self._on_seal = on_seal
        self._lock = threading.Lock()
        self._seen: set[Digest] = set()
        self._finished: list[tuple[str, list[PackEntry]]] = []
        self._staged: StagedObject | None = None
        self._entries: list[PackEntry] = []
        self._offset = 0
        self._is_sealed = False

    def write(self, content: Buffer, *, width: int, digest: Digest | None = None) -> Digest:
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
            try:
                self._append(found, encode_chunk(content, width))
            except BaseException:
                self._release(found)
                raise
        return found

    def write_encoded(self, digest: Digest, encoded: EncodedChunk) -> None:
        if digest_of(self._algorithm, decode_chunk(encoded)) != digest:
            raise CorruptError(
                ErrorReason.CHUNK_CORRUPT,
                f"An encoded chunk was sent as {digest.hex()}, but decodes to other bytes; it was not kept.",
                digest=digest.hex(),
            )
        if self._claim(digest):
            self._append(digest, encoded)

    def seal(self) -> None:
        with self._lock:
            if self._is_sealed:
                return
            self._is_sealed = True
            self._finish_pack()
            finished, self._finished = self._finished, []
        if finished:
            self._index.add(Segment.of_entries(finished))
            if self._on_seal is not None:
                self._on_seal()

    def _claim(self, digest: Digest) -> bool:
        """Whether the caller is to write the chunk: nobody has it, and nobody else is at it here."""
        with self._lock:
            if self._is_sealed:
                raise FailedPreconditionError(ErrorReason.INTERNAL, "A sealed writer takes no more chunks.")
            if digest in self._seen:
                return False
            self._seen.add(digest)
        return bool(self._index.find_missing([digest]))

    def _release(self, digest: Digest) -> None:
        with self._lock:
            self._seen.discard(digest)

    def _append(self, digest: Digest, encoded: EncodedChunk) -> None:
        frame = encoded.to_bytes()
        with self._lock:
            if self._staged is None:
                self._staged = self._objects.stage()
                self._staged.write(PACK_HEADER)
                self._offset = len(PACK_HEADER)
            try:
                self._staged.write(frame)
            except BaseException:
                self._give_up_pack()
                raise
            flags = NEEDS_BASES if encoded.bases else 0
            self._entries.append(PackEntry(digest, self._offset, len(frame), flags))
            self._offset += len(frame)
            if self._offset >= self._pack_bytes:
                self._finish_pack()

    def _finish_pack(self) -> None:
        if self._staged is None:
            return
        name = uuid.uuid4().hex
        try:
            self._staged.write(pack_tail(self._entries, self._offset))
            self._staged.commit(pack_key(name))
        except BaseException:
            self._give_up_pack()
            raise
        self._finished.append((name, self._entries))
        self._staged, self._entries = None, []

    def _give_up_pack(self) -> None:
        """Let go of a pack that cannot be written: none of its chunks counts as written."""
        if self._staged is not None:
            self._staged.discard()
        self._seen.difference_update(entry.digest for entry in self._entries)
        self._staged, self._entries = None, []
