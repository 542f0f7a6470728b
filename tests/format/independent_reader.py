"""A reader of a store that was written from docs/format.md alone: it imports nothing of the project."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from blake3 import blake3
from tests.format.independent_frames import bases_of, decode

_NEEDS_BASES = 1 << 31
_LONGEST_CHAIN = 32


def _blake3(content: bytes) -> bytes:
    return blake3(content).digest()


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _replaced(index: bytes) -> list[str]:
    packs, replaced = struct.unpack_from("<II", index, 12)
    at = 32 + 32 * packs
    return [index[at + 32 * i : at + 32 * i + 32].decode("ascii") for i in range(replaced)]


DIGESTS: dict[str, Callable[[bytes], bytes]] = {"blake3": _blake3, "sha256": _sha256}


@dataclass
class IndependentReader:
    """A store in ``folder``, all indexes read at once."""

    folder: Path

    def __post_init__(self) -> None:
        self.root = json.loads((self.folder / "root.json").read_bytes())
        assert (self.root["format"], self.root["version"]) == ("mgit-store", 1)
        self.digest = DIGESTS[self.root["digest_algorithm"]]
        self.places: dict[bytes, tuple[str, int, int]] = {}
        self.deltas: set[tuple[str, int, int]] = set()
        indexes = {path.stem: path.read_bytes() for path in (self.folder / "indexes").iterdir()}
        replaced = {name for content in indexes.values() for name in _replaced(content)}
        for name in sorted(indexes.keys() - replaced):
            self._read_index(indexes[name])

    def _read_index(self, content: bytes) -> None:
        assert _blake3(content[:-32]) == content[-32:]
        magic, version, packs, replaced, zero, count = struct.unpack_from("<8sIIIIQ", content)
        assert (magic, version, zero) == (b"MGITINDX", 1, 0)
        names = [content[32 + 32 * at : 64 + 32 * at].decode("ascii") for at in range(packs)]
        prefixes_at = 32 + 32 * (packs + replaced)
        rests_at = prefixes_at + 8 * count
        places_at = rests_at + 24 * count
        assert places_at + 16 * count + 32 == len(content)
        for at in range(count):
            prefix = struct.unpack_from("<Q", content, prefixes_at + 8 * at)[0]
            rest = content[rests_at + 24 * at : rests_at + 24 * at + 24]
            offset, length, pack = struct.unpack_from("<QII", content, places_at + 16 * at)
            digest = prefix.to_bytes(8, "big") + rest
            place = (names[pack & ~_NEEDS_BASES], offset, length)
            if pack & _NEEDS_BASES:
                self.deltas.add(place)
            if digest not in self.places or place not in self.deltas:
                self.places[digest] = place

    def read(self, digest: bytes, depth: int = 0) -> bytes:
        """The raw bytes of a chunk; those of its bases are read first."""
        assert depth <= _LONGEST_CHAIN
        pack, offset, length = self.places[digest]
        content = (self.folder / "packs" / pack[:2] / f"{pack}.pack").read_bytes()
        assert content[:10] == b"MGITPACK" + struct.pack("<H", 1)
        assert content[10] <= 1
        assert not any(content[11:16])
        frame = content[offset : offset + length]
        assert bool(bases_of(frame)) == (self.places[digest] in self.deltas)
        raw = decode(frame, lambda base: self.read(base, depth + 1))
        assert self.digest(raw) == digest
        return raw

    def table(self, pack: str) -> list[tuple[bytes, int, int, int]]:
        """The table of contents at the end of a pack: digest, offset, length, flags."""
        content = (self.folder / "packs" / pack[:2] / f"{pack}.pack").read_bytes()
        offset, count, version, table_digest, end = struct.unpack("<QIH2x32s8s", content[-56:])
        table = content[offset:-56]
        assert (version, end, table_digest, len(table)) == (1, b"MGITTAIL", _blake3(table), 48 * count)
        return list(struct.iter_unpack("<32sQIB3x", table))

    def document(self, key: str) -> dict[str, Any]:
        """A manifest or a file list, its digest verified against its key."""
        stored = (self.folder / key).read_bytes()
        assert stored[:8] == b"MGITDOC\x01"
        content = zstandard.ZstdDecompressor().decompress(stored[8:])
        assert self.digest(content).hex() == key.split("/")[1]
        document: dict[str, Any] = json.loads(content)
        return document

    def tensor_digest(self, array: dict[str, Any]) -> str:
        """Identity of an array of a manifest."""
        shape = ",".join(str(length) for length in array["shape"])
        header = f"mgit-tensor\nc1\n{array['data_type']}\n{shape}\n".encode("ascii")
        return self.digest(header + b"".join(map(bytes.fromhex, array["chunks"]))).hex()
