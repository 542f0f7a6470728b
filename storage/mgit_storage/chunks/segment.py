"""Index objects: sorted tables that say which chunk lies where, looked up without unpacking them.

Layout, all integers little-endian::

    header    "MGITINDX", u32 version, u32 pack count, u32 replaced count, u32 zero, u64 entry count
    packs     32 ASCII characters each: names of packs
    replaced  32 ASCII characters each: names of indexes that this one contains and replaces
    prefixes  u64 each, ascending: the first 8 bytes of a digest read as a big-endian number
    rests     24 bytes each: the other bytes of the digest
    places    u64 offset, u32 length, u32 pack number (bit 31: the entry needs bases)
    footer    32 bytes BLAKE3 of everything before it

An entry takes 48 bytes. A digest may occur several times, once for each copy.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mgit_core.digest import DIGEST_SIZE, Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_storage.chunks.pack import NEEDS_BASES, PackEntry

__all__ = ["NEEDS_BASES_BIT", "Place", "Segment", "digest_table", "index_key"]

_VERSION = 1
_MAGIC = b"MGITINDX"
_HEADER = struct.Struct("<8sIIIIQ")
_NAME_SIZE = 32
_NAME = re.compile("[0-9a-f]{32}")
_PLACE = np.dtype([("offset", "<u8"), ("length", "<u4"), ("pack", "<u4")])
_REST = DIGEST_SIZE - 8
NEEDS_BASES_BIT = 1 << 31
"""Of a pack number in a place: the entry needs bases."""


@dataclass(frozen=True, slots=True)
class Place:
    """One copy of a chunk: the pack, and where in it."""

    pack: str
    offset: int
    length: int
    needs_bases: bool


def index_key(name: str) -> str:
    """Key of the index called ``name``, which is 32 hexadecimal characters."""
    return f"indexes/{name}.index"


def digest_table(digests: Sequence[Digest]) -> npt.NDArray[np.uint8]:
    """The digests as rows of 32 bytes.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, if one is longer or shorter.
    """
    if any(len(digest) != DIGEST_SIZE for digest in digests):
        raise InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, f"A digest has {DIGEST_SIZE} bytes.")
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_SIZE)


def _prefixes(table: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of each digest as numbers that sort as the digests do."""
    return np.ascontiguousarray(table[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A sorted table of entries; its arrays may lie in a mapped file.

    Attributes:
        packs: Names of packs, by number.
        replaced: Names of the indexes that this one contains.
        prefixes: Ascending, one for each entry.
        rests: uint8, entries x 24.
        places: Structured, one for each entry.
    """

    packs: tuple[str, ...]
    replaced: tuple[str, ...]
    prefixes: npt.NDArray[np.uint64]
    rests: npt.NDArray[np.uint8]
    places: npt.NDArray[np.void]

    def __len__(self) -> int:
        return len(self.prefixes)

    @classmethod
    def of_entries(cls, packs: Iterable[tuple[str, Sequence[PackEntry]]]) -> Segment:
        """The table of all entries of these packs."""
        names: list[str] = []
        digests: list[Digest] = []
        rows: list[tuple[int, int, int]] = []
        for number, (name, entries) in enumerate(packs):
            names.append(name)
            digests += [entry.digest for entry in entries]
            rows += [
                (entry.offset, entry.length, number | (NEEDS_BASES_BIT if entry.flags & NEEDS_BASES else 0))
                for entry in entries
            ]
        table = digest_table(digests)
        return _sorted(tuple(names), (), _prefixes(table), table[:, 8:], np.array(rows, _PLACE))

    @classmethod
    def merged(cls, segments: Sequence[Segment], replaced: Sequence[str]) -> Segment:
        """One table with the entries of all ``segments``, at least one, each copy once."""
        packs: dict[str, int] = {}
        places = []
        for segment in segments:
            numbers = np.array([packs.setdefault(name, len(packs)) for name in segment.packs], np.uint32)
            place = segment.places.copy()
            own = place["pack"] & (NEEDS_BASES_BIT - 1)
            place["pack"] = numbers[own] | (place["pack"] & np.uint32(NEEDS_BASES_BIT))
            places.append(place)
        return _sorted(
            tuple(packs),
            tuple(replaced),
            np.concatenate([segment.prefixes for segment in segments]),
            np.concatenate([segment.rests for segment in segments]),
            np.concatenate(places),
        )

    def replacing(self, names: Sequence[str]) -> Segment:
        """The same entries in a table that replaces the indexes ``names``."""
        return replace(self, replaced=tuple(names))

    def has(self, table: npt.NDArray[np.uint8], *, alone: bool = False) -> npt.NDArray[np.bool_]:
        """Whether each digest has an entry.

        Args:
            table: Digests as ``digest_table`` makes it.
            alone: Whether only entries that need no bases count.
        """
        wanted = _prefixes(table)
        at = np.searchsorted(self.prefixes, wanted)
        known = np.zeros(len(table), np.bool_)
        pending = np.flatnonzero(at < len(self))
        while len(pending):  # Again only for digests that share their first 8 bytes with others.
            row = at[pending]
            pending = pending[self.prefixes[row] == wanted[pending]]
            row = at[pending]
            found = (self.rests[row] == table[pending, 8:]).all(axis=1)
            if alone:
                found &= self.places["pack"][row] < NEEDS_BASES_BIT
            known[pending[found]] = True
            pending = pending[~found]
            at[pending] += 1
            pending = pending[at[pending] < len(self)]
        return known

    def find(self, digest: Digest) -> list[Place]:
        """Every copy of the chunk in this table."""
        prefix = np.uint64(int.from_bytes(digest[:8], "big"))
        at = self._first_match(digest, int(np.searchsorted(self.prefixes, prefix)))
        places = []
        while at is not None:
            offset, length, pack = self.places[at].tolist()
            places.append(
                Place(self.packs[pack & (NEEDS_BASES_BIT - 1)], offset, length, bool(pack & NEEDS_BASES_BIT))
            )
            at = self._first_match(digest, at + 1)
        return places

    def _first_match(self, digest: Digest, at: int) -> int | None:
        """The first entry from ``at`` on that is ``digest``; entries of one prefix lie side by side."""
        prefix = int.from_bytes(digest[:8], "big")
        rest = digest[8:]
        while at < len(self.prefixes) and int(self.prefixes[at]) == prefix:
            if self.rests[at].tobytes() == rest:
                return at
            at += 1
        return None

    def to_bytes(self) -> bytes:
        """The index object."""
        header = _HEADER.pack(_MAGIC, _VERSION, len(self.packs), len(self.replaced), 0, len(self))
        names = "".join(self.packs + self.replaced).encode("ascii")
        body = b"".join(
            (
                header,
                names,
                self.prefixes.tobytes(),
                np.ascontiguousarray(self.rests).tobytes(),
                self.places.tobytes(),
            )
        )
        return body + digest_of(DigestAlgorithm.BLAKE3, body)

    @classmethod
    def from_view(cls, name: str, view: memoryview) -> Segment:
        """The table in an index object; its arrays point into ``view``.

        Raises:
            CorruptError: INDEX_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """
        if len(view) < _HEADER.size + DIGEST_SIZE:
            raise _corrupt(name, "it is too short")
        magic, version, pack_count, replaced_count, _, count = _HEADER.unpack_from(view)
        if magic != _MAGIC:
            raise _corrupt(name, "it does not begin as an index")
        if version != _VERSION:
            raise CorruptError(
                ErrorReason.UNKNOWN_FORMAT_VERSION,
                f"Index {name} has version {version}; {_VERSION} is known.",
            )
        names_end = _HEADER.size + (pack_count + replaced_count) * _NAME_SIZE
        rests_at = names_end + count * 8
        places_at = rests_at + count * _REST
        end = places_at + count * _PLACE.itemsize
        if end + DIGEST_SIZE != len(view):
            raise _corrupt(name, f"{end + DIGEST_SIZE} bytes were wanted, found {len(view)}")
        if digest_of(DigestAlgorithm.BLAKE3, view[:end]) != bytes(view[end:]):
            raise _corrupt(name, "its content does not fit its digest")
        text = bytes(view[_HEADER.size : names_end]).decode("latin-1")
        names = tuple(text[at : at + _NAME_SIZE] for at in range(0, len(text), _NAME_SIZE))
        segment = cls(
            packs=names[:pack_count],
            replaced=names[pack_count:],
            prefixes=np.frombuffer(view[names_end:rests_at], np.dtype("<u8")),
            rests=np.frombuffer(view[rests_at:places_at], np.uint8).reshape(-1, _REST),
            places=np.frombuffer(view[places_at:end], _PLACE),
        )
        segment.check(name)
        return segment

    def check(self, name: str) -> None:
        """Refuses a table that a look-up could not rely on, whoever gave it a fitting digest.

        Raises:
            CorruptError: INDEX_CORRUPT, naming the index as ``name``.
        """
        numbers = self.places["pack"] & (NEEDS_BASES_BIT - 1)
        if not all(map(_NAME.fullmatch, self.packs + self.replaced)):
            raise _corrupt(name, "it names a pack or an index that cannot be")
        if len(self) and (numbers.max() >= len(self.packs) or (self.prefixes[1:] < self.prefixes[:-1]).any()):
            raise _corrupt(name, "its entries are not sorted or lie in no pack that it names")


def _sorted(
    packs: tuple[str, ...],
    replaced: tuple[str, ...],
    prefixes: npt.NDArray[np.uint64],
    rests: npt.NDArray[np.uint8],
    places: npt.NDArray[np.void],
) -> Segment:
    order = np.argsort(prefixes, kind="stable")
    prefixes, rests, places = prefixes[order], rests[order], places[order]
    kept = ~_repeats(prefixes, rests, places)
    if not kept.all():
        prefixes, rests, places = prefixes[kept], rests[kept], places[kept]
    return Segment(
        packs=packs, replaced=replaced, prefixes=prefixes, rests=np.ascontiguousarray(rests), places=places
    )


def _repeats(
    prefixes: npt.NDArray[np.uint64], rests: npt.NDArray[np.uint8], places: npt.NDArray[np.void]
) -> npt.NDArray[np.bool_]:
    """Which entries are the same copy as an earlier one: two processes may merge the same indexes at once."""
    repeats = np.zeros(len(prefixes), np.bool_)
    same = prefixes[1:] == prefixes[:-1]
    doubled = np.flatnonzero(same) + 1
    is_copy = (rests[doubled] == rests[doubled - 1]).all(axis=1) & (places[doubled] == places[doubled - 1])
    repeats[doubled[is_copy]] = True
    # What is left has real copies elsewhere, whose repeats need not lie side by side. There are few.
    left = doubled[~is_copy]
    seen: set[tuple[bytes, bytes]] = set()
    for at in np.unique(_with_neighbors(prefixes, left)).tolist():
        entry = (rests[at].tobytes(), places[at].tobytes())
        repeats[at] |= entry in seen
        seen.add(entry)
    return repeats


def _with_neighbors(prefixes: npt.NDArray[np.uint64], at: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Every entry that shares its prefix with one of ``at``."""
    first = np.searchsorted(prefixes, prefixes[at])
    last = np.searchsorted(prefixes, prefixes[at], side="right")
    return np.concatenate(
        [np.arange(0), *(np.arange(*ends) for ends in set(zip(first.tolist(), last.tolist(), strict=True)))]
    )


def _corrupt(name: str, found: str) -> CorruptError:
    return CorruptError(ErrorReason.INDEX_CORRUPT, f"Index {name} cannot be read: {found}.", index=name)
