"""The index stays right while other processes make, merge and delete index objects."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import UnavailableError
from mgit_storage.chunks.index import ChunkIndex
from mgit_storage.chunks.pack import PackEntry
from mgit_storage.chunks.segment import Segment, index_key
from mgit_storage.chunks.upkeep import IndexUpkeep
from mgit_storage.objects import LocalObjectStore, MemoryObjectStore, ObjectStore
from mgit_storage.testing.faults import FaultyObjectStore

DIGESTS = [digest_of(DigestAlgorithm.BLAKE3, str(number).encode()) for number in range(3000)]


def segment(first: int, count: int = 1) -> Segment:
    """A table of chunks ``first`` and so on, in a pack of its own."""
    entries = [PackEntry(DIGESTS[first + at], 16 + 10 * at, 10) for at in range(count)]
    return Segment.of_entries([(uuid.uuid4().hex, entries)])


def merge(objects: ObjectStore, index: ChunkIndex) -> bool:
    """Merge under a lease that nobody takes away."""
    return IndexUpkeep(objects, index).merge(lambda: None)


def write_separately(objects: ObjectStore, count: int) -> None:
    """``count`` index objects of one entry, as processes leave them that were killed before a merge."""
    for number in range(count):
        objects.put(index_key(uuid.uuid4().hex), segment(number).to_bytes())


class TornListing(FaultyObjectStore):
    """An object store in which ``between`` runs while a folder is listed.

    The torn listing holds what was there before and still is, and nothing that came meanwhile.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.between: Callable[[], None] | None = None

    def list(self, folder: str) -> list[str]:
        between, self.between = self.between, None
        before = super().list(folder)
        if between is None:
            return before
        between()
        return sorted(set(before) & set(super().list(folder)))


@pytest.fixture
def objects() -> MemoryObjectStore:
    return MemoryObjectStore()


def test_more_than_64_objects_are_merged_into_one_that_names_them(objects: MemoryObjectStore) -> None:
    index = ChunkIndex(objects)
    for number in range(64):
        index.add(segment(number))
    before = set(objects.list("indexes"))
    assert (len(before), merge(objects, index)) == (64, False)
    index.add(segment(64))
    assert merge(objects, index)
    (merged,) = objects.list("indexes")
    table = Segment.from_view("x", objects.view(merged))
    assert {index_key(name) for name in table.replaced} >= before
    assert (len(table), index.find_missing(DIGESTS[:66])) == (65, [DIGESTS[65]])


def test_an_entry_is_copied_a_logarithmic_number_of_times(objects: MemoryObjectStore) -> None:
    """Objects of 1,000 entries and more stay where they are while small ones are merged around them."""
    objects.put(index_key("f" * 32), segment(0, 1000).to_bytes())
    index = ChunkIndex(objects)
    for number in range(1000, 1000 + 500):
        index.add(segment(number))
        merge(objects, index)
    assert index_key("f" * 32) in objects.list("indexes")
    assert len(objects.list("indexes")) <= 65
    assert index.find_missing(DIGESTS[:1501]) == DIGESTS[1500:1501]


def test_a_listing_that_overlooks_a_merge_is_repeated(objects: MemoryObjectStore) -> None:
    write_separately(objects, 65)
    torn = TornListing(objects)
    reader = ChunkIndex(torn)
    merging = ChunkIndex(objects)
    write_separately(objects, 1)
    torn.between = lambda: merge(objects, merging) and None
    reader.refresh()
    assert len(objects.list("indexes")) == 1
    assert reader.find_missing(DIGESTS[:65]) == []


def test_an_index_that_vanishes_before_it_is_read_was_merged(objects: MemoryObjectStore) -> None:
    write_separately(objects, 65)
    merging = ChunkIndex(objects)
    slow = FaultyObjectStore(objects)

    def merge_once(step: str, _key: str) -> None:
        if step == "view":
            slow.fault = lambda _step, _key: None
            merge(objects, merging)

    slow.fault = merge_once
    reader = ChunkIndex(slow)
    assert reader.find_missing(DIGESTS[:65]) == []


def test_a_folder_that_never_holds_still_is_unavailable_not_missing(objects: MemoryObjectStore) -> None:
    restless = FaultyObjectStore(objects)
    index = ChunkIndex(restless)

    def replace(step: str, _key: str) -> None:
        if step == "list":
            for key in objects.list("indexes"):
                objects.delete(key)
            write_separately(objects, 1)

    restless.fault = replace
    with pytest.raises(UnavailableError):
        index.refresh()


def test_two_processes_that_merge_at_once_lose_and_double_nothing(objects: MemoryObjectStore) -> None:
    write_separately(objects, 65)
    slow = FaultyObjectStore(objects)
    first, second = ChunkIndex(slow), ChunkIndex(objects)

    def merge_first(step: str, key: str) -> None:
        if step == "put" and key.startswith("indexes/"):
            slow.fault = lambda _step, _key: None
            second.add(segment(66))
            merge(objects, second)

    first.add(segment(65))
    slow.fault = merge_first
    merge(slow, first)
    assert len(objects.list("indexes")) == 2
    fresh = ChunkIndex(objects)
    assert (len(fresh), fresh.find_missing(DIGESTS[:68])) == (67, [DIGESTS[67]])


def test_what_another_process_replaced_does_not_come_back_with_a_merge(objects: MemoryObjectStore) -> None:
    write_separately(objects, 64)
    index = ChunkIndex(objects)
    for key in objects.list("indexes")[:10]:
        objects.delete(key)
    index.add(segment(100))
    merge(objects, index)
    assert len(ChunkIndex(objects)) == 55


def test_several_copies_of_a_chunk_are_all_found(objects: MemoryObjectStore) -> None:
    index = ChunkIndex(objects)
    for _ in range(3):
        index.add(segment(0, 5))
    assert len({place.pack for place in index.find(DIGESTS[2])}) == 3


def test_a_refresh_shares_a_listing_that_began_after_it_was_asked_for(objects: MemoryObjectStore) -> None:
    """Callers that wait for each other do not list one by one, and none relies on an older listing."""
    counting = FaultyObjectStore(objects)
    index = ChunkIndex(counting)
    listings: list[int] = []

    def ask_again(step: str, _key: str) -> None:
        if step == "list":
            listings.append(index._listings)

    counting.fault = ask_again
    index.refresh()
    index.refresh()
    assert listings == [2, 2, 3, 3]


def test_a_foreign_file_among_the_indexes_is_passed_over(tmp_path: Path) -> None:
    objects = LocalObjectStore(tmp_path / "store")
    ChunkIndex(objects).add(segment(0))
    (tmp_path / "store/indexes/.Backup~").write_bytes(b"")
    (tmp_path / "store/indexes/notes").write_bytes(b"")
    assert ChunkIndex(objects).find_missing(DIGESTS[:1]) == []


def fabricate(digests: np.ndarray, packs: int) -> Segment:
    """A table of random digests spread over ``packs`` packs."""
    count = len(digests)
    order = np.argsort(digests[:, 0], kind="stable")
    places = np.zeros(count, [("offset", "<u8"), ("length", "<u4"), ("pack", "<u4")])
    places["pack"] = np.arange(count) % packs
    return Segment(
        packs=tuple(f"{number:032x}" for number in range(packs)),
        replaced=(),
        prefixes=digests[order, 0],
        rests=np.ascontiguousarray(digests[order, 1:]).view(np.uint8),
        places=places,
    )


@pytest.mark.slow
def test_a_look_up_takes_at_most_64_bytes_a_chunk(tmp_path: Path) -> None:
    objects = LocalObjectStore(tmp_path / "store")
    random = np.random.default_rng(1)
    for _ in range(5):
        table = fabricate(random.integers(0, 2**64, (100_000, 4), np.uint64), 300)
        objects.put(index_key(uuid.uuid4().hex), table.to_bytes())
    index = ChunkIndex(objects)
    for _ in range(40):
        index.add(fabricate(random.integers(0, 2**64, (1000, 4), np.uint64), 3))
    held = {id(part): part for part in (*index._loaded.values(), *index._tables)}.values()
    total = sum(part.prefixes.nbytes + part.rests.nbytes + part.places.nbytes for part in held)
    assert total <= 64 * len(index)
    assert len(index) == 540_000
