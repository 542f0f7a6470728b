"""Bases are kept for their neighbors, are found out where they are wrong, and never take much memory."""

from __future__ import annotations

import tracemalloc

import pytest
import zstandard

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.testing.bases import make_change, plan_on, store_on
from mgit_storage.testing.chunks import make_chunk, store_chunks
from mgit_storage.testing.faults import FaultyObjectStore
from mgit_storage.testing.planted import exact_copy, plant
from mgit_storage.testing.raw import RawMemory, flip_bit

ALGORITHM = DigestAlgorithm.BLAKE3


@pytest.fixture
def objects() -> FaultyObjectStore:
    return FaultyObjectStore(MemoryObjectStore())


@pytest.fixture
def raw(objects: FaultyObjectStore) -> RawMemory:
    assert isinstance(objects.inner, MemoryObjectStore)
    return RawMemory(objects.inner)


def store_family(store: PackChunkStore, children: int) -> tuple[Digest, list[Digest]]:
    """A chunk, and others that are predicted from it."""
    content = make_chunk(1)
    (base,) = store_chunks(store, [content])
    return base, [
        store_on(store, make_change(content, seed), plan_on((base, content))) for seed in range(children)
    ]


def test_a_base_of_several_chunks_is_read_once(objects: FaultyObjectStore) -> None:
    base, children = store_family(PackChunkStore(objects, ALGORITHM), 5)
    store = PackChunkStore(objects, ALGORITHM)
    (key,) = {
        f"packs/{copy.pack[:2]}/{copy.pack}.pack" for copy in next(iter(store.maintenance.copies([base])))
    }
    reads: list[str] = []
    objects.fault = lambda step, at: reads.append(at) if step == "get_range" else None
    assert [store.read(child) for child in children] == [
        make_change(make_chunk(1), seed) for seed in range(5)
    ]
    assert reads.count(key) == 1


def test_a_base_that_was_kept_and_is_wrong_is_read_again(objects: FaultyObjectStore, raw: RawMemory) -> None:
    """Damage that was passing, as of a cable, does not stay in memory."""
    base, children = store_family(PackChunkStore(objects, ALGORITHM), 2)
    store = PackChunkStore(objects, ALGORITHM)
    (copy,) = next(iter(store.maintenance.copies([base])))
    key = f"packs/{copy.pack[:2]}/{copy.pack}.pack"
    intact = raw.read(key)
    flip_bit(raw, key, copy.offset + copy.length - 1)
    for digest in (children[0], base):
        with pytest.raises(CorruptError, match=base.hex()):
            store.read(digest)
    raw.write(key, intact)
    assert [store.read(child) for child in children] == [
        make_change(make_chunk(1), seed) for seed in range(2)
    ]
    assert store.read(base) == make_chunk(1)


def hostile_frames() -> list[tuple[str, EncodedChunk]]:
    """Frames that claim or cause much, with what they do."""
    inflating = zstandard.ZstdCompressor().compress(bytes(256 << 20))
    ranges = [BaseRange(digest_of(ALGORITHM, bytes([at])), 0, CHUNK_BYTES) for at in range(64)]
    alone = EncodedChunk(encoding=Encoding.ZSTD, width=1, raw_size=CHUNK_BYTES, payload=inflating)
    return [
        ("inflates to 256 MiB", alone),
        ("says so", EncodedChunk(encoding=Encoding.ZSTD, width=1, raw_size=1 << 24, payload=inflating)),
        ("64 bases that are not there", exact_copy(CHUNK_BYTES, *ranges)),
        (
            "its own base",
            exact_copy(CHUNK_BYTES, BaseRange(digest_of(ALGORITHM, b"hostile"), 0, CHUNK_BYTES)),
        ),
    ]


@pytest.mark.parametrize(
    "frame", [pytest.param(frame, id=name.replace(" ", "-")) for name, frame in hostile_frames()]
)
def test_a_hostile_frame_takes_little_memory(
    objects: FaultyObjectStore, raw: RawMemory, frame: EncodedChunk
) -> None:
    digest = digest_of(ALGORITHM, b"hostile")
    plant(raw, [(digest, frame)])
    store = PackChunkStore(objects, ALGORITHM)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError, match=digest.hex()):
            store.read(digest)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_copies_that_lead_nowhere_are_not_tried_for_ever(objects: FaultyObjectStore, raw: RawMemory) -> None:
    """Each of 40 chunks names each of the others: there are more paths than anyone can walk."""
    digests = [digest_of(ALGORITHM, bytes([at])) for at in range(40)]
    for digest in digests:
        others = [BaseRange(other, 0, 1) for other in digests if other != digest]
        plant(raw, [(digest, exact_copy(39, *others)), (digest, exact_copy(39, *reversed(others)))])
    store = PackChunkStore(objects, ALGORITHM)
    assert store.find_missing(digests) == digests
    with pytest.raises(CorruptError, match=digests[0].hex()):
        store.read(digests[0])
