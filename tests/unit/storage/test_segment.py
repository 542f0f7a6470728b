"""Index tables agree with a plain dictionary, and damaged ones are refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason
from mgit_storage.chunks.pack import NEEDS_BASES, PackEntry
from mgit_storage.chunks.segment import Place, Segment, digest_table

# Few different first bytes, so that digests share their prefixes.
DIGESTS = st.builds(
    lambda first, rest: bytes(7) + bytes([first]) + bytes(22) + bytes([rest // 256, rest % 256]),
    st.integers(0, 3),
    st.integers(0, 600),
)
ENTRIES = st.lists(
    st.builds(
        PackEntry, DIGESTS, st.integers(0, 2**40), st.integers(1, 2**20), st.sampled_from([0, NEEDS_BASES])
    )
)
PACKS = st.dictionaries(st.integers(0, 9).map(lambda number: f"{number:032x}"), ENTRIES, max_size=5)


def expected_places(packs: dict[str, list[PackEntry]], digest: bytes) -> set[Place]:
    return {
        Place(name, entry.offset, entry.length, needs_bases=bool(entry.flags))
        for name, entries in packs.items()
        for entry in entries
        if entry.digest == digest
    }


def table_of(packs: dict[str, list[PackEntry]]) -> Segment:
    return Segment.of_entries(packs.items())


@given(PACKS, st.lists(DIGESTS))
def test_a_table_finds_what_a_dictionary_finds(packs: dict[str, list[PackEntry]], asked: list[bytes]) -> None:
    table = table_of(packs)
    wanted = [*asked, *(entry.digest for entries in packs.values() for entry in entries)]
    for digest in wanted:
        found = table.find(digest)
        assert set(found) == expected_places(packs, digest)
        assert len(found) == len(set(found))
    assert table.has(digest_table(wanted)).tolist() == [bool(expected_places(packs, one)) for one in wanted]


@given(PACKS)
def test_a_table_reads_back(packs: dict[str, list[PackEntry]]) -> None:
    table = table_of(packs)
    again = Segment.from_view("x", memoryview(table.to_bytes()))
    assert again.to_bytes() == table.to_bytes()
    assert (again.packs, again.replaced) == (table.packs, ())


@given(st.lists(PACKS, min_size=1, max_size=4))
def test_a_merged_table_has_each_copy_once(parts: list[dict[str, list[PackEntry]]]) -> None:
    tables = [table_of(packs) for packs in parts]
    merged = Segment.merged([*tables, *tables], ["0" * 32])
    for digest in {entry.digest for packs in parts for entries in packs.values() for entry in entries}:
        wanted = set.union(*(expected_places(packs, digest) for packs in parts))
        found = merged.find(digest)
        assert (set(found), len(found)) == (wanted, len(wanted))
    assert merged.replaced == ("0" * 32,)


def small_table() -> bytes:
    entries = [PackEntry(digest_of(DigestAlgorithm.BLAKE3, bytes([at])), 16 + at, 1) for at in range(3)]
    return Segment.of_entries([("a" * 32, entries)]).to_bytes()


def sealed(body: bytes) -> memoryview:
    """``body`` with a fitting digest: what a writer with a bug would leave."""
    return memoryview(body + digest_of(DigestAlgorithm.BLAKE3, body))


@pytest.mark.parametrize("at", range(0, len(small_table()), 5))
def test_a_flipped_bit_is_found(at: int) -> None:
    content = bytearray(small_table())
    content[at] ^= 4
    with pytest.raises(CorruptError, match="Index x"):
        Segment.from_view("x", memoryview(content))


@pytest.mark.parametrize("size", [0, 10, 60, 100, len(small_table()) - 1])
def test_a_truncated_table_is_refused(size: int) -> None:
    with pytest.raises(CorruptError) as caught:
        Segment.from_view("x", memoryview(small_table()[:size]))
    assert caught.value.reason is ErrorReason.INDEX_CORRUPT


def test_a_later_version_is_refused() -> None:
    content = small_table()
    with pytest.raises(CorruptError) as caught:
        Segment.from_view("x", memoryview(content[:8] + struct.pack("<I", 2) + content[12:]))
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_a_table_that_lies_about_its_sizes_is_refused() -> None:
    body = bytearray(small_table()[:-32])
    struct.pack_into("<Q", body, 24, 2**60)
    with pytest.raises(CorruptError, match="bytes were wanted"):
        Segment.from_view("x", sealed(bytes(body)))


def test_an_entry_in_no_pack_is_refused_although_the_digest_fits() -> None:
    body = bytearray(small_table()[:-32])
    struct.pack_into("<I", body, len(body) - 4, 1)
    with pytest.raises(CorruptError, match="no pack that it names"):
        Segment.from_view("x", sealed(bytes(body)))


def test_unsorted_entries_are_refused_although_the_digest_fits() -> None:
    body = bytearray(small_table()[:-32])
    body[64:72], body[72:80] = body[72:80], body[64:72]
    with pytest.raises(CorruptError, match="not sorted"):
        Segment.from_view("x", sealed(bytes(body)))


def test_a_pack_name_that_is_no_name_is_refused() -> None:
    body = bytearray(small_table()[:-32])
    body[32:36] = b"../x"
    with pytest.raises(CorruptError, match="cannot be"):
        Segment.from_view("x", sealed(bytes(body)))
