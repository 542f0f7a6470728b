"""Packs and indexes that no writer of ours would make: what another program, or an attacker, left in a store."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding, Predictor
from mgit_core.digest import Digest
from mgit_storage.chunks.pack import (
    NEEDS_BASES,
    PACK_HEADER_SIZE,
    PackEntry,
    pack_header,
    pack_key,
    pack_tail,
)
from mgit_storage.chunks.segment import Segment, index_key
from mgit_storage.testing.raw import RawObjects

__all__ = ["Planted", "exact_copy", "plant", "plant_chain"]


@dataclass(frozen=True, slots=True)
class Planted:
    """Where a planted pack lies.

    Attributes:
        pack: Its name.
        entries: Its frames, in order.
    """

    pack: str
    entries: Sequence[PackEntry]

    @property
    def key(self) -> str:
        """Key of the pack."""
        return pack_key(self.pack)


def plant(
    raw: RawObjects, frames: Sequence[tuple[Digest, EncodedChunk]], *, is_indexed: bool = True
) -> Planted:
    """Put frames under digests, fitting or not, into a pack of their own."""
    name = uuid.uuid4().hex
    content = pack_header(is_dense=False)
    entries: list[PackEntry] = []
    for digest, encoded in frames:
        frame = encoded.to_bytes()
        flags = NEEDS_BASES if encoded.bases else 0
        entries.append(PackEntry(digest, len(content), len(frame), flags))
        content += frame
    assert entries[0].offset == PACK_HEADER_SIZE
    raw.write(pack_key(name), content + pack_tail(entries, len(content)))
    if is_indexed:
        raw.write(index_key(uuid.uuid4().hex), Segment.of_entries([(name, entries)]).to_bytes())
    return Planted(name, entries)


def exact_copy(raw_size: int, *bases: BaseRange) -> EncodedChunk:
    """A frame that says: the chunk is these ranges joined."""
    return EncodedChunk(
        encoding=Encoding.EXACT,
        width=1,
        raw_size=raw_size,
        payload=b"",
        predictor=Predictor.BASE,
        predictor_version=1,
        bases=bases,
    )


def plant_chain(raw: RawObjects, contents: Sequence[tuple[Digest, bytes]]) -> Planted:
    """Chunks of which each is the one before, less its last byte; the first one is stored alone."""
    first, content = contents[0]
    frames = [(first, EncodedChunk(encoding=Encoding.RAW, width=1, raw_size=len(content), payload=content))]
    for (base, _), (digest, content) in itertools.pairwise(contents):
        frames.append((digest, exact_copy(len(content), BaseRange(base, 0, len(content)))))
    return plant(raw, frames)
