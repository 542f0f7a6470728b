"""Headers of frames and packs, read once and kept: what lies at a place never changes."""

from __future__ import annotations

from mgit_core.coding.encoded import HEADER_SIZE, LONGEST_HEADER, ChunkHeader, read_header
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_storage.chunks.pack import PACK_HEADER_SIZE, is_dense_pack, pack_key
from mgit_storage.chunks.segment import Place
from mgit_storage.objects import ObjectStore

__all__ = ["Headers", "corrupt_copy"]

# Some 300 bytes each, with the bases that they name.
_MOST_KEPT = 50_000


class Headers:
    """Reads headers; thread-safe."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._known: dict[tuple[str, int], ChunkHeader] = {}
        self._dense: dict[str, bool] = {}

    def read(self, digest: Digest, place: Place) -> ChunkHeader:
        """The header of a copy.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND, if the pack has gone.
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """
        at = (place.pack, place.offset)
        known = self._known.get(at)
        if known is None:
            size = min(place.length, LONGEST_HEADER if place.needs_bases else HEADER_SIZE)
            content = self._objects.get_range(pack_key(place.pack), place.offset, size)
            try:
                known = read_header(content)
            except CorruptError as error:
                raise corrupt_copy(digest, place, error.message, error.reason) from error
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[at] = known
        return known

    def is_dense(self, pack: str) -> bool:
        """Whether a repack made the pack; no pack that has gone."""
        known = self._dense.get(pack)
        if known is None:
            try:
                header = self._objects.get_range(pack_key(pack), 0, PACK_HEADER_SIZE)
            except NotFoundError:
                return False
            if len(self._dense) >= _MOST_KEPT:
                self._dense.clear()
            known = self._dense[pack] = is_dense_pack(header)
        return known


def corrupt_copy(
    digest: Digest, place: Place, found: str, reason: ErrorReason = ErrorReason.CHUNK_CORRUPT
) -> CorruptError:
    """The error that says what is wrong with one copy of a chunk."""
    return CorruptError(
        reason,
        f"Chunk {digest.hex()} in pack {place.pack} is damaged: {found}",
        digest=digest.hex(),
        pack=place.pack,
    )
