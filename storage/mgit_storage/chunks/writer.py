"""Writes new chunks into packs."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Generator

from typing_extensions import Buffer

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.codec import encode_chunk, encode_planned
from mgit_core.coding.encoded import HEADER_SIZE, EncodedChunk
from mgit_core.coding.plans import LITTLE, ChunkPlan
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import (
    CorruptError,
    ErrorReason,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from mgit_core.ports.chunks import ChunkWriter
from mgit_storage.chunks.candidates import BaseFinder
from mgit_storage.chunks.index import PackClaim
from mgit_storage.chunks.pack import NEEDS_BASES, PackEntry, pack_header, pack_key, pack_tail
from mgit_storage.chunks.parts import ChunkParts
from mgit_storage.chunks.recent import RecentChunks
from mgit_storage.chunks.segment import Segment
from mgit_storage.objects import StagedObject

__all__ = ["PACK_BYTES", "PackWriter"]

PACK_BYTES = 256 << 20
"""A pack ends with the chunk that fills so many bytes."""
# Chunks of another store name bases that come shortly before them.
_FRESH_BYTES = 32 << 20


class PackWriter(ChunkWriter):
    """Appends encoded chunks to a pack, begins another when it is full, and indexes all at the end.

    Digests and encoding run in the calling threads at once; only appending takes turns. After an error
    while writing, the chunks of that pack do not count, and ``seal`` raises the error once more: a caller
    who was told that a chunk is written learns that it is not.
    """

    def __init__(self, parts: ChunkParts, *, pack_bytes: int = PACK_BYTES, rewrite: bool = False) -> None:
        """A writer into the store of ``parts``; ``rewrite`` as in ``ChunkStore.open_writer``."""
        self._objects = parts.objects
        self._index = parts.index
        self._copies = parts.copies
        self._reader = parts.reader
        self._bases = BaseFinder(parts.copies, parts.reader)
        self._fresh = RecentChunks(_FRESH_BYTES)
        self._header = pack_header(is_dense=rewrite)
        self._rewrite = rewrite
        self._pack_bytes = pack_bytes
        self._lock = threading.Lock()
        self._seen: set[Digest] = set()
        self._finished: list[tuple[str, list[PackEntry]]] = []
        self._claims: list[PackClaim] = []
        self._staged: StagedObject | None = None
        self._entries: list[PackEntry] = []
        self._offset = 0
        self._is_sealed = False
        self._failure: BaseException | None = None
        self._stored_bytes = 0

    @property
    def stored_bytes(self) -> int:
        return self._stored_bytes

    def write(
        self, content: Buffer, *, width: int, digest: Digest | None = None, plan: ChunkPlan | None = None
    ) -> Digest:
        size = memoryview(content).nbytes
        if not 1 <= size <= CHUNK_BYTES:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"A chunk has 1 to {CHUNK_BYTES} bytes; found {size}."
            )
        found = digest_of(self._reader.algorithm, content)
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
                self._append(found, self._encode(found, content, width, plan))
        return found

    def write_encoded(self, digest: Digest, encoded: EncodedChunk) -> None:
        if not 1 <= encoded.raw_size <= CHUNK_BYTES:
            raise _refused(
                digest, f"it says that it has {encoded.raw_size} raw bytes; 1 to {CHUNK_BYTES} are kept."
            )
        try:
            raw = self._reader.decode(digest, encoded, self._fresh_bases(encoded))
        except CorruptError as error:
            raise _refused(digest, error.message, error.reason) from error
        if self._claim(digest):
            with self._released_on_error(digest):
                self._append(digest, self._frame_to_keep(digest, encoded, raw))
                self._fresh.put(digest, raw)

    def seal(self) -> None:
        with self._lock:
            self._is_sealed = True
            self._publish()
            if self._failure is not None:
                raise self._failure

    def _claim(self, digest: Digest) -> bool:
        """Whether the caller is to write the chunk: nobody has it, and nobody else is at it here."""
        with self._lock:
            self._check_open()
            if digest in self._seen:
                return False
            self._seen.add(digest)
        return not (self._copies.has_dense(digest) if self._rewrite else self._copies.has(digest))

    def _fresh_bases(self, encoded: EncodedChunk) -> dict[Digest, bytes]:
        """Raw bytes of bases that this writer appended and no index names yet.

        One that is not at hand any more is indexed now, so that it is read as all others are.
        """
        found: dict[Digest, bytes] = {}
        for base in encoded.bases:
            content = self._fresh.get(base.digest)
            if content is not None:
                found[base.digest] = content
            elif self._bases.is_appended(base.digest) and not self._copies.has(base.digest):
                with self._lock:
                    self._publish()
        return found

    def _frame_to_keep(self, digest: Digest, encoded: EncodedChunk, raw: bytes) -> EncodedChunk:
        """The frame as another store made it, or one without bases where a reader here would pay too much.

        Raises:
            CorruptError: CHUNK_CORRUPT, if a base rests on the chunk itself.
        """
        has_bases = self._bases.has_all(encoded.bases)
        if has_bases and not self._bases.may_rest_on(digest, encoded.bases):
            raise _refused(digest, "a base of it rests on the chunk itself.")
        is_small = encoded.size_bytes <= HEADER_SIZE + encoded.raw_size
        is_cheap = has_bases and (not encoded.bases or self._bases.may_keep(digest, encoded))
        return encoded if is_small and is_cheap else encode_chunk(raw, encoded.width)

    def _encode(self, digest: Digest, content: Buffer, width: int, plan: ChunkPlan | None) -> EncodedChunk:
        encoded = (
            encode_chunk(content, width) if plan is None else self._encode_planned(digest, content, plan)
        )
        return self._older_frame(digest, encoded) or encoded if self._rewrite else encoded

    def _encode_planned(self, digest: Digest, content: Buffer, plan: ChunkPlan) -> EncodedChunk:
        size = memoryview(content).nbytes
        dear, others = self._bases.candidates(digest, size, plan)
        if dear:
            encoded = encode_planned(content, plan, dear)
            if encoded.size_bytes * LITTLE <= size:
                return encoded
        return encode_planned(content, plan, others)

    def _older_frame(self, digest: Digest, encoded: EncodedChunk) -> EncodedChunk | None:
        """What a copy has that is smaller than ``encoded``, if it may still be kept so.

        A better base may have been known when it was written. Whether it is whole is seen when it is read back.
        """
        for place in self._copies.find(digest):
            if place.length < encoded.size_bytes:
                try:
                    frame = self._reader.read_frame(digest, place)
                except (CorruptError, NotFoundError):
                    continue
                if self._bases.may_keep(digest, frame):
                    return frame
        return None

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
                    self._staged.write(self._header)
                    self._offset = len(self._header)
                self._staged.write(frame)
            self._bases.append(digest, encoded)
            flags = NEEDS_BASES if encoded.bases else 0
            self._entries.append(PackEntry(digest, self._offset, len(frame), flags))
            self._offset += len(frame)
            if self._offset >= self._pack_bytes:
                self._finish_pack()

    def _finish_pack(self) -> None:
        if self._staged is None:
            return
        name = uuid.uuid4().hex
        self._claims.append(self._index.claim(name))
        tail = pack_tail(self._entries, self._offset)
        with self._pack_given_up_on_error():
            self._staged.write(tail)
            self._staged.commit(pack_key(name))
        self._stored_bytes += self._offset + len(tail)
        self._finished.append((name, self._entries))
        self._staged, self._entries = None, []

    def _publish(self) -> None:
        """Make what was appended durable and visible; the caller holds the lock."""
        try:
            self._finish_pack()
        finally:  # Packs that were full before stay useful, even if the last one cannot be written.
            if self._finished:
                self._check_finished()
                self._stored_bytes += self._index.add(Segment.of_entries(self._finished))
                self._finished, self._claims = [], []

    def _check_finished(self) -> None:
        """Refuses to index a pack that was swept: another process may take an old one for left over."""
        for name, _ in self._finished:
            try:
                self._objects.get_range(pack_key(name), 0, 1)
            except NotFoundError as error:
                raise UnavailableError(
                    ErrorReason.STORE_UNAVAILABLE,
                    f"Pack {name} was swept before its upload ended; upload its chunks again.",
                    pack=name,
                ) from error

    @contextlib.contextmanager
    def _released_on_error(self, digest: Digest) -> Generator[None]:
        """Lets the chunk be written again, by a sender who tries once more."""
        try:
            yield
        except BaseException:
            with self._lock:
                self._seen.discard(digest)
                self._bases.forget([digest])
            raise

    @contextlib.contextmanager
    def _pack_given_up_on_error(self) -> Generator[None]:
        """Lets go of a pack that cannot be written: half a frame may stand at its end."""
        try:
            yield
        except BaseException as error:
            if self._staged is not None:
                self._staged.discard()
            lost = [entry.digest for entry in self._entries]
            self._seen.difference_update(lost)
            self._bases.forget(lost)
            if self._entries:
                self._failure = error
            self._staged, self._entries = None, []
            raise


def _refused(digest: Digest, found: str, reason: ErrorReason = ErrorReason.CHUNK_CORRUPT) -> CorruptError:
    return CorruptError(
        reason,
        f"An encoded chunk was sent as {digest.hex()}, but cannot be kept: {found}",
        digest=digest.hex(),
    )
