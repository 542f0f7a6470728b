"""Packs: many encoded chunks in one object, with a table of contents at the end.

Layout, all integers little-endian::

    16 bytes  "MGITPACK", u16 version, u8 kind, zeros
    entries   framed chunks (mgit_core.coding.encoded), back to back
    table     per entry: 32 bytes digest, u64 offset, u32 length, u8 flags, 3 zeros
    footer    u64 table offset, u32 entry count, u16 version, 2 zeros, 32 bytes BLAKE3 of the table, "MGITTAIL"

Flag 1 says that the entry needs bases. The table makes an index of the pack that can be rebuilt from the
pack alone. Kind 1 says that a repack made the pack: what is in it is as dense as it gets. Readers need not care.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason
from mgit_storage.objects import ObjectStore

__all__ = [
    "NEEDS_BASES",
    "PACK_HEADER_SIZE",
    "PackEntry",
    "is_dense_pack",
    "pack_header",
    "pack_key",
    "pack_name",
    "pack_tail",
    "read_table",
    "tail_size",
]

NEEDS_BASES = 1
_VERSION = 1
_MAGIC = b"MGITPACK"
_END = b"MGITTAIL"
_HEADER = struct.Struct("<8sHB5x")
_ENTRY = struct.Struct("<32sQIB3x")
_FOOTER = struct.Struct("<QIH2x32s8s")
_KEY = re.compile(r"packs/(?P<folder>[0-9a-f]{2})/(?P<name>(?P=folder)[0-9a-f]{30})\.pack")
_DENSE = 1
PACK_HEADER_SIZE = _HEADER.size
"""Bytes before the first frame."""


@dataclass(frozen=True, slots=True)
class PackEntry:
    """Where one encoded chunk lies in a pack.

    Attributes:
        digest: Digest of the raw chunk.
        offset: First byte of its frame.
        length: Bytes of its frame.
        flags: NEEDS_BASES, or 0.
    """

    digest: Digest
    offset: int
    length: int
    flags: int = 0


def pack_key(name: str) -> str:
    """Key of the pack called ``name``, which is 32 hexadecimal characters."""
    return f"packs/{name[:2]}/{name}.pack"


def pack_name(key: str) -> str | None:
    """The name in a key below ``packs``; None if it is no key of a pack."""
    match = _KEY.fullmatch(key)
    return match["name"] if match else None


def pack_header(*, is_dense: bool) -> bytes:
    """The first bytes of a pack."""
    return _HEADER.pack(_MAGIC, _VERSION, _DENSE if is_dense else 0)


def is_dense_pack(header: bytes) -> bool:
    """Whether a pack that begins so was made by a repack; what is no pack was not."""
    if len(header) < _HEADER.size:
        return False
    magic, _, kind = _HEADER.unpack_from(header)
    return bool(magic == _MAGIC and kind == _DENSE)


def tail_size(entries: int) -> int:
    """Bytes of the table and footer of a pack of so many entries."""
    return entries * _ENTRY.size + _FOOTER.size


def pack_tail(entries: list[PackEntry], offset: int) -> bytes:
    """Table and footer of a pack whose entries end at ``offset``."""
    table = b"".join(_ENTRY.pack(entry.digest, entry.offset, entry.length, entry.flags) for entry in entries)
    digest = digest_of(DigestAlgorithm.BLAKE3, table)
    return table + _FOOTER.pack(offset, len(entries), _VERSION, digest, _END)


def read_table(objects: ObjectStore, name: str) -> list[PackEntry]:
    """The table of contents of a pack, read from the pack itself.

    Raises:
        NotFoundError: OBJECT_NOT_FOUND.
        CorruptError: PACK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    view = objects.view(pack_key(name))
    if len(view) < _HEADER.size + _FOOTER.size or bytes(view[:8]) != _MAGIC:
        raise _corrupt(name, "it is too short or does not begin as a pack")
    offset, count, version, digest, end = _FOOTER.unpack_from(view, len(view) - _FOOTER.size)
    if end != _END:
        raise _corrupt(name, "it does not end as a pack")
    if {version, _HEADER.unpack_from(view)[1]} != {_VERSION}:
        raise CorruptError(
            ErrorReason.UNKNOWN_FORMAT_VERSION, f"Pack {name} has version {version}; {_VERSION} is known."
        )
    table = view[offset : len(view) - _FOOTER.size]
    if len(table) != count * _ENTRY.size or digest_of(DigestAlgorithm.BLAKE3, table) != digest:
        raise _corrupt(name, "its table of contents does not fit its digest")
    entries = [PackEntry(*row) for row in _ENTRY.iter_unpack(table)]
    if any(entry.offset + entry.length > offset or entry.offset < _HEADER.size for entry in entries):
        raise _corrupt(name, "its table of contents points outside of the entries")
    return entries


def _corrupt(name: str, found: str) -> CorruptError:
    return CorruptError(ErrorReason.PACK_CORRUPT, f"Pack {name} cannot be read: {found}.", pack=name)
