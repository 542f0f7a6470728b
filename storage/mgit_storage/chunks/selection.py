"""Entries of index tables by copy: which there are, and a table without some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mgit_core.ports.maintenance import Copy
from mgit_storage.chunks.pack import NEEDS_BASES, PackEntry
from mgit_storage.chunks.segment import NEEDS_BASES_BIT, Segment

__all__ = ["Doomed", "copies_in", "copies_of_packs", "doomed_of", "rows_of", "segment_of", "without"]

Doomed: TypeAlias = Mapping[str, frozenset[int]]
"""Copies by pack: the offsets of their frames."""


def doomed_of(copies: Iterable[Copy]) -> Doomed:
    """Where these copies lie."""
    offsets: dict[str, set[int]] = {}
    for copy in copies:
        offsets.setdefault(copy.pack, set()).add(copy.offset)
    return {pack: frozenset(found) for pack, found in offsets.items()}


def segment_of(copies: Iterable[Copy]) -> Segment:
    """The table of these copies."""
    packs: dict[str, list[PackEntry]] = {}
    for copy in copies:
        flags = NEEDS_BASES if copy.needs_bases else 0
        packs.setdefault(copy.pack, []).append(PackEntry(copy.digest, copy.offset, copy.length, flags))
    return Segment.of_entries(packs.items())


def copies_in(segment: Segment, rows: npt.NDArray[np.intp]) -> list[Copy]:
    """The copies in some rows of a table."""
    prefixes = segment.prefixes[rows].astype(">u8").view(np.uint8).reshape(-1, 8)
    digests = np.concatenate((prefixes, segment.rests[rows]), axis=1)
    return [
        Copy(
            digest.tobytes(),
            segment.packs[pack & (NEEDS_BASES_BIT - 1)],
            offset,
            length,
            bool(pack & NEEDS_BASES_BIT),
        )
        for digest, (offset, length, pack) in zip(digests, segment.places[rows].tolist(), strict=True)
    ]


def copies_of_packs(segments: Iterable[Segment], packs: Sequence[str]) -> dict[str, list[Copy]]:
    """Every copy in these packs, in the order of their frames; a pack without one has an empty list."""
    found: dict[str, list[Copy]] = {pack: [] for pack in packs}
    for segment in segments:
        for pack, rows in _rows_by_pack(segment, found):
            found[pack] += copies_in(segment, rows)
    return {
        pack: sorted(dict.fromkeys(copies), key=lambda copy: copy.offset) for pack, copies in found.items()
    }


def rows_of(segment: Segment, doomed: Doomed) -> npt.NDArray[np.bool_]:
    """Which rows of the table are copies to go."""
    marked = np.zeros(len(segment), np.bool_)
    for pack, rows in _rows_by_pack(segment, doomed):
        offsets = np.fromiter(doomed[pack], np.uint64, len(doomed[pack]))
        marked[rows] = np.isin(segment.places["offset"][rows], offsets)
    return marked


def without(segment: Segment, marked: npt.NDArray[np.bool_]) -> Segment:
    """The table without the marked rows and without packs that nothing is left in. It replaces nothing."""
    kept = ~marked
    places = segment.places[kept]
    own = places["pack"] & np.uint32(NEEDS_BASES_BIT - 1)
    used, numbers = np.unique(own, return_inverse=True)
    places["pack"] = numbers.astype(np.uint32) | (places["pack"] & np.uint32(NEEDS_BASES_BIT))
    return Segment(
        packs=tuple(segment.packs[number] for number in used.tolist()),
        replaced=(),
        prefixes=segment.prefixes[kept],
        rests=segment.rests[kept],
        places=places,
    )


def _rows_by_pack(
    segment: Segment, packs: Mapping[str, object]
) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """The rows of each of these packs that the table has."""
    wanted = np.array([number for number, name in enumerate(segment.packs) if name in packs], np.uint32)
    if not len(wanted):
        return
    numbers = segment.places["pack"] & np.uint32(NEEDS_BASES_BIT - 1)
    rows = np.flatnonzero(np.isin(numbers, wanted))
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    sorted_numbers = numbers[rows]
    firsts = np.searchsorted(sorted_numbers, wanted)
    lasts = np.searchsorted(sorted_numbers, wanted, side="right")
    for number, first, last in zip(wanted.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
        if first < last:
            yield segment.packs[number], rows[first:last]
