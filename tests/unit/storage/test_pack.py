"""A pack tells what is in it, and an index can be made from it alone."""

from __future__ import annotations

import struct

import pytest

from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason
from mgit_storage.chunks import PackChunkStore
from mgit_storage.chunks.pack import PackEntry, pack_key, pack_tail, read_table
from mgit_storage.chunks.segment import Segment
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.chunks import make_chunk

NAME = "ab" * 16
KEY = pack_key(NAME)


def write_pack(objects: MemoryObjectStore) -> list[bytes]:
    writer = PackChunkStore(objects, DigestAlgorithm.BLAKE3).open_writer()
    digests = [writer.write(make_chunk(seed, 100 + seed), width=4) for seed in range(5)]
    writer.seal()
    objects.content[KEY] = objects.content.pop(objects.list("packs")[0])
    return digests


@pytest.fixture
def objects() -> MemoryObjectStore:
    objects = MemoryObjectStore()
    write_pack(objects)
    return objects


def test_an_index_made_from_the_packs_is_the_index() -> None:
    objects = MemoryObjectStore()
    writer = PackChunkStore(objects, DigestAlgorithm.BLAKE3, pack_bytes=500).open_writer()
    for seed in range(20):
        writer.write(make_chunk(seed, 90), width=4)
    writer.seal()
    (index,) = objects.list("indexes")
    written = Segment.from_view("x", objects.view(index))
    rebuilt = Segment.of_entries([(name, read_table(objects, name)) for name in written.packs])
    assert len(written.packs) > 3
    assert rebuilt.to_bytes() == objects.get(index)


def test_a_pack_ends_with_the_chunk_that_fills_it() -> None:
    objects = MemoryObjectStore()
    writer = PackChunkStore(objects, DigestAlgorithm.BLAKE3, pack_bytes=10_000).open_writer()
    for seed in range(12):
        writer.write(make_chunk(seed), width=4)
    writer.seal()
    assert len(objects.list("packs")) == 4
    assert all(10_000 <= len(objects.get(key)) < 15_000 for key in objects.list("packs"))


def test_entries_lie_back_to_back_behind_the_header(objects: MemoryObjectStore) -> None:
    entries = read_table(objects, NAME)
    ends = [16, *(entry.offset + entry.length for entry in entries)]
    assert [entry.offset for entry in entries] == ends[:-1]


@pytest.mark.parametrize("at", [0, 7, -1, -8, -20, -60, -80, -200])
def test_a_damaged_pack_is_refused(objects: MemoryObjectStore, at: int) -> None:
    content = bytearray(objects.get(KEY))
    content[at] ^= 1
    objects.content[KEY] = bytes(content)
    with pytest.raises(CorruptError, match=NAME) as caught:
        read_table(objects, NAME)
    assert caught.value.details.get("pack", NAME) == NAME


@pytest.mark.parametrize("size", [0, 8, 60, 200])
def test_a_truncated_pack_is_refused(objects: MemoryObjectStore, size: int) -> None:
    objects.content[KEY] = objects.get(KEY)[:size]
    with pytest.raises(CorruptError) as caught:
        read_table(objects, NAME)
    assert caught.value.reason is ErrorReason.PACK_CORRUPT


@pytest.mark.parametrize("at", [8, -42])
def test_a_later_version_is_refused(objects: MemoryObjectStore, at: int) -> None:
    content = bytearray(objects.get(KEY))
    place = at if at > 0 else len(content) - 44
    assert struct.unpack_from("<H", content, place) == (1,)
    content[place] = 2
    objects.content[KEY] = bytes(content)
    with pytest.raises(CorruptError) as caught:
        read_table(objects, NAME)
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


@pytest.mark.parametrize(("offset", "length"), [(0, 10), (16, 1000), (2**60, 1)])
def test_an_entry_outside_of_the_entries_is_refused_although_the_digest_fits(
    objects: MemoryObjectStore, offset: int, length: int
) -> None:
    content = objects.get(KEY)[:116]
    entry = PackEntry(digest_of(DigestAlgorithm.BLAKE3, b""), offset, length)
    objects.content[KEY] = content + pack_tail([entry], 116)
    with pytest.raises(CorruptError, match="outside"):
        read_table(objects, NAME)
