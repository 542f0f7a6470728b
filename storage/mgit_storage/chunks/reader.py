"""Reads chunks from their copies, with the chunks that they are predicted from.

A chunk's digest proves its bases too, as far as they were used. So a base is decoded without a look at its own
digest; only where the chunk comes out wrong are they all read again, each one checked, to find out which copy is
damaged and whether another one helps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.codec import decode_chunk
from mgit_core.coding.encoded import BaseRange, EncodedChunk
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_storage.chunks.chains import LONGEST_CHAIN, MOST_DECODED_BYTES
from mgit_storage.chunks.copies import Copies
from mgit_storage.chunks.headers import corrupt_copy
from mgit_storage.chunks.index import ChunkIndex
from mgit_storage.chunks.pack import pack_key
from mgit_storage.chunks.recent import RecentChunks
from mgit_storage.chunks.segment import Place
from mgit_storage.objects import ObjectStore

__all__ = ["CopyReader"]

# Neighbors of a chunk often start from the same bases: those of a cast, or of the mean of two relatives.
_RECENT_BYTES = 32 << 20

# A writer's chains have some ten frames; a store made by somebody else may try to keep a reader busy.
_MOST_FRAMES = 1_000

_Read = TypeVar("_Read")


@dataclass(slots=True)
class _Reading:
    """One read: what it has decoded so far.

    Attributes:
        is_careful: Whether each base is compared with its digest.
        path: Chunks that are being decoded, each one a base of the one before.
        contents: Bases that were decoded.
        frames: Frames so far, those that could not be decoded included.
        decoded_bytes: Raw bytes of those.
    """

    is_careful: bool
    path: list[Digest]
    contents: dict[Digest, bytes] = field(default_factory=dict)
    frames: int = 0
    decoded_bytes: int = 0

    def count(self, raw_size: int) -> None:
        """Refuses what takes too much memory or time.

        Raises:
            CorruptError: CHUNK_CORRUPT.
        """
        self.frames += 1
        self.decoded_bytes += raw_size
        if self.frames > _MOST_FRAMES or self.decoded_bytes > MOST_DECODED_BYTES:
            raise CorruptError(
                ErrorReason.CHUNK_CORRUPT,
                f"more than {MOST_DECODED_BYTES} bytes or {_MOST_FRAMES} chunks must be decoded for it",
            )


class CopyReader:
    """Reads copies. Thread-safe."""

    def __init__(
        self,
        objects: ObjectStore,
        algorithm: DigestAlgorithm,
        index: ChunkIndex,
        copies: Copies,
        *,
        recent_bytes: int = _RECENT_BYTES,
    ) -> None:
        """A reader; ``recent_bytes`` bounds the raw bytes of bases that are kept."""
        self._objects = objects
        self._algorithm = algorithm
        self._index = index
        self._copies = copies
        self._recent = RecentChunks(recent_bytes)

    @property
    def algorithm(self) -> DigestAlgorithm:
        """What digests are made with."""
        return self._algorithm

    def read(self, digest: Digest) -> bytes:
        """The raw bytes of a chunk, verified, of the first copy that can be read.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT, UNKNOWN_FORMAT_VERSION, or INDEX_CORRUPT.
        """
        content = self._recent.get(digest)
        # A base is kept as it was decoded, which its own digest has not been asked about.
        if content is not None and digest_of(self._algorithm, content) == digest:
            return content
        return self.from_any_copy(digest, self.read_place)

    def read_base(self, digest: Digest) -> bytes:
        """As ``read``, of a chunk that others are predicted from: it is kept for the next of them."""
        content = self.read(digest)
        self._recent.put(digest, content)
        return content

    def from_any_copy(self, digest: Digest, read: Callable[[Digest, Place], _Read]) -> _Read:
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
                    failure = corrupt_copy(digest, place, "the pack is not there")
                    failure.__cause__ = error
            self._index.refresh()
        raise failure or _not_found(digest)

    def read_frame(self, digest: Digest, place: Place) -> EncodedChunk:
        """A copy as it is stored, neither decoded nor verified.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND, if the pack has gone.
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """
        frame = self._objects.get_range(pack_key(place.pack), place.offset, place.length)
        try:
            encoded = EncodedChunk.from_bytes(frame)
        except CorruptError as error:
            raise corrupt_copy(digest, place, error.message, error.reason) from error
        if encoded.raw_size > CHUNK_BYTES:
            raise corrupt_copy(digest, place, f"{encoded.raw_size} raw bytes; at most {CHUNK_BYTES} are read")
        return encoded

    def read_place(self, digest: Digest, place: Place) -> bytes:
        """The raw bytes of one copy, verified; its bases may come from any of theirs.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND, if the pack has gone.
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION. ``base`` in its details names the base that is
                damaged or missing, if it is not the copy itself.
        """
        encoded = self.read_frame(digest, place)
        try:
            return self.decode(digest, encoded)
        except CorruptError as error:
            failure = corrupt_copy(digest, place, error.message, error.reason)
            failure.details.update(_blamed_base(digest, error))
            raise failure from error

    def decode(
        self, digest: Digest, encoded: EncodedChunk, known: Mapping[Digest, bytes] | None = None
    ) -> bytes:
        """The raw bytes of an encoded chunk, verified against ``digest``.

        Args:
            digest: What it is said to be.
            encoded: The frame.
            known: Verified raw bytes of bases that need not be read.

        Raises:
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """
        if encoded.bases:
            try:
                return self._decode(digest, encoded, _reading(digest, known, is_careful=False))
            except CorruptError:
                # Any copy of any base may be what is wrong. Now each one is looked at.
                return self._decode(digest, encoded, _reading(digest, known, is_careful=True))
        return self._decode(digest, encoded, _reading(digest, known, is_careful=True))

    def _decode(self, digest: Digest, encoded: EncodedChunk, reading: _Reading) -> bytes:
        raw = self._decode_unchecked(encoded, reading)
        if digest_of(self._algorithm, raw) != digest:
            raise CorruptError(ErrorReason.CHUNK_CORRUPT, "its bytes have another digest")
        return raw

    def _decode_unchecked(self, encoded: EncodedChunk, reading: _Reading) -> bytes:
        reading.count(encoded.raw_size)
        return decode_chunk(encoded, [self._range(base, reading) for base in encoded.bases])

    def _range(self, base: BaseRange, reading: _Reading) -> memoryview:
        content = self._base(base.digest, reading)
        if base.stop > len(content):
            raise CorruptError(
                ErrorReason.CHUNK_CORRUPT,
                f"bytes {base.start} to {base.stop} of base {base.digest.hex()} are wanted, which has "
                f"{len(content)}",
            )
        return memoryview(content)[base.start : base.stop]

    def _base(self, digest: Digest, reading: _Reading) -> bytes:
        content = reading.contents.get(digest)
        if content is not None:
            return content
        if not reading.is_careful:
            content = self._recent.get(digest)
        if content is not None:
            reading.count(len(content))
        else:
            content = self._read_base(digest, reading)
            self._recent.put(digest, content)
        reading.contents[digest] = content
        return content

    def _read_base(self, digest: Digest, reading: _Reading) -> bytes:
        """The bytes of a base, from the first copy that gives any."""
        if digest in reading.path:
            raise _base_error(digest, f"its bases form a loop through {digest.hex()}")
        if len(reading.path) > LONGEST_CHAIN:
            raise _base_error(digest, f"more than {LONGEST_CHAIN} bases lie behind each other")
        failure = _base_error(digest, f"its base {digest.hex()} is not there")
        reading.path.append(digest)
        try:
            for place in self._copies.find(digest):
                try:
                    encoded = self.read_frame(digest, place)
                    if reading.is_careful:
                        return self._decode(digest, encoded, reading)
                    return self._decode_unchecked(encoded, reading)
                except CorruptError as error:
                    found = f"its base {digest.hex()} in pack {place.pack} is damaged: {error.message}"
                    failure = _base_error(digest, found, error)
                except NotFoundError:
                    failure = _base_error(
                        digest, f"pack {place.pack} of its base {digest.hex()} is not there"
                    )
        finally:
            reading.path.pop()
        raise failure

    def _places(self, digest: Digest) -> Sequence[Place]:
        """Every copy, in the order in which they are tried; never empty."""
        places = self._copies.find(digest)
        if not places:
            self._index.refresh()
            places = self._copies.find(digest)
        if not places:
            self._index.check_whole()
            raise _not_found(digest)
        return places


def _reading(digest: Digest, known: Mapping[Digest, bytes] | None, *, is_careful: bool) -> _Reading:
    return _Reading(is_careful=is_careful, path=[digest], contents=dict(known or {}))


def _base_error(digest: Digest, found: str, cause: CorruptError | None = None) -> CorruptError:
    """The error that blames a base, or what an earlier one blames behind it."""
    blamed = digest.hex() if cause is None else cause.details.get("base", digest.hex())
    reason = ErrorReason.CHUNK_CORRUPT if cause is None else cause.reason
    error = CorruptError(reason, found, base=blamed)
    error.__cause__ = cause
    return error


def _blamed_base(digest: Digest, error: CorruptError) -> dict[str, str]:
    base = error.details.get("base")
    return {} if base is None or base == digest.hex() else {"base": base}


def _not_found(digest: Digest) -> NotFoundError:
    return NotFoundError(
        ErrorReason.CHUNK_NOT_FOUND, f"The store has no chunk {digest.hex()}.", digest=digest.hex()
    )
