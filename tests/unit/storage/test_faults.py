"""What a chunk writer does when the disk fails under it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, ResourceExhaustedError, UnavailableError
from mgit_core.ports.chunks import ChunkStore
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import LocalObjectStore, MemoryObjectStore
from mgit_storage.store import open_objects
from mgit_storage.testing.chunks import make_chunk, store_chunks
from mgit_storage.testing.faults import FaultyObjectStore, FullDisk
from mgit_storage.testing.parameters import make_manifest

ALGORITHM = DigestAlgorithm.BLAKE3

_FILL = """
import resource, sys
from pathlib import Path
from mgit_core.errors import ResourceExhaustedError
from mgit_storage.objects import LocalObjectStore
store = LocalObjectStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.put("a/big", bytes(200_000))
except ResourceExhaustedError as error:
    print(error.reason, error.message, store.list("a"))
store.put("a/small", b"content")
"""


@pytest.fixture
def disk() -> FullDisk:
    return FullDisk(MemoryObjectStore(), 1 << 20)


@pytest.fixture
def store(disk: FullDisk) -> ChunkStore:
    return open_objects(disk, ALGORITHM).chunks


def break_step(objects: FaultyObjectStore, wanted: str, part: str = "") -> None:
    """Let every step ``wanted`` on a key with ``part`` fail from now on."""

    def fault(step: str, key: str) -> None:
        if step == wanted and part in key:
            raise UnavailableError(ErrorReason.STORE_UNAVAILABLE, f"{step} {key} was broken.")

    objects.fault = fault


def test_a_full_disk_is_told_and_leaves_nothing(store: ChunkStore, disk: FullDisk) -> None:
    writer = store.open_writer()
    disk.free_bytes = 10_000
    writer.write(make_chunk(1), width=4)
    writer.write(make_chunk(2), width=4)
    with pytest.raises(ResourceExhaustedError) as caught:
        writer.write(make_chunk(3), width=4)
    assert caught.value.reason is ErrorReason.DISK_FULL
    assert disk.free_bytes == 10_000
    assert disk.list("packs") == []


def test_after_a_full_disk_the_seal_does_not_claim_what_is_lost(store: ChunkStore, disk: FullDisk) -> None:
    writer = store.open_writer()
    disk.free_bytes = 6_000
    lost = writer.write(make_chunk(1), width=4)
    with pytest.raises(ResourceExhaustedError):
        writer.write(make_chunk(2), width=4)
    disk.free_bytes = 1 << 20
    kept = writer.write(make_chunk(3), width=4)
    for _ in range(2):
        with pytest.raises(ResourceExhaustedError):
            writer.seal()
    assert store.find_missing([lost, kept]) == [lost]
    assert store.read(kept) == make_chunk(3)


def test_a_disk_that_fills_at_the_seal_can_be_sealed_no_more_but_tried_again(
    store: ChunkStore, disk: FullDisk
) -> None:
    writer = store.open_writer()
    digest = writer.write(make_chunk(1), width=4)
    disk.free_bytes = 10
    for _ in range(2):
        with pytest.raises(ResourceExhaustedError):
            writer.seal()
    disk.free_bytes = 1 << 20
    with store.open_writer() as again:
        again.write(make_chunk(1), width=4)
    assert store.read(digest) == make_chunk(1)


def test_a_full_disk_inside_a_with_block_reaches_the_caller(store: ChunkStore, disk: FullDisk) -> None:
    disk.free_bytes = 6_000

    def write() -> None:
        with store.open_writer() as writer:
            for seed in range(4):
                writer.write(make_chunk(seed), width=4)

    with pytest.raises(ResourceExhaustedError):
        write()


def test_a_pack_that_was_full_before_the_failure_is_indexed(disk: FullDisk) -> None:
    store = PackChunkStore(disk, ALGORITHM, pack_bytes=5_000)
    writer = store.open_writer()
    disk.free_bytes = 14_000
    digests = [writer.write(make_chunk(seed), width=4) for seed in range(3)]
    with pytest.raises(ResourceExhaustedError):
        writer.write(make_chunk(3), width=4)
    with pytest.raises(ResourceExhaustedError):
        writer.seal()
    assert store.find_missing(digests) == digests[2:]


def test_an_index_that_cannot_be_written_is_written_by_the_next_seal() -> None:
    objects = FaultyObjectStore(MemoryObjectStore())
    chunks = open_objects(objects, ALGORITHM).chunks
    writer = chunks.open_writer()
    digest = writer.write(make_chunk(1), width=4)
    break_step(objects, "put", "indexes/")
    with pytest.raises(UnavailableError):
        writer.seal()
    assert chunks.find_missing([digest]) == [digest]
    objects.fault = lambda _step, _key: None
    writer.seal()
    assert chunks.read(digest) == make_chunk(1)


def test_a_chunk_whose_append_failed_may_be_written_again() -> None:
    objects = FaultyObjectStore(MemoryObjectStore())
    chunks = open_objects(objects, ALGORITHM).chunks
    with chunks.open_writer() as writer:
        break_step(objects, "stage")
        with pytest.raises(UnavailableError):
            writer.write(make_chunk(1), width=4)
        objects.fault = lambda _step, _key: None
        digest = writer.write(make_chunk(1), width=4)
    assert chunks.read(digest) == make_chunk(1)


def test_a_merge_that_finds_the_disk_full_changes_nothing(store: ChunkStore, disk: FullDisk) -> None:
    digests = [store_chunks(store, [make_chunk(seed, 64)])[0] for seed in range(70)]
    disk.free_bytes = 600  # no room for an index of 70 entries
    with pytest.raises(ResourceExhaustedError):
        store.maintenance.merge_indexes(lambda: None)
    assert (store.find_missing(digests), len(disk.list("indexes"))) == ([], 70)


def test_a_manifest_on_a_full_disk_is_not_there(disk: FullDisk) -> None:
    parameters = open_objects(disk, ALGORITHM).parameters
    disk.free_bytes = 10
    with pytest.raises(ResourceExhaustedError):
        parameters.write_manifest(make_manifest())
    assert disk.list("manifests") == []


def test_an_unreadable_disk_is_no_missing_chunk() -> None:
    objects = FaultyObjectStore(MemoryObjectStore())
    chunks = open_objects(objects, ALGORITHM).chunks
    break_step(objects, "list")
    with pytest.raises(UnavailableError):
        chunks.find_missing([digest_of(ALGORITHM, b"unknown")])


@pytest.mark.slow
def test_the_systems_own_limit_is_a_full_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILL, str(tmp_path / "store")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("DISK_FULL The disk of the store is full")
    assert done.stdout.endswith("[]\n")
    assert str(tmp_path) not in done.stdout
    assert LocalObjectStore(tmp_path / "store").list("a") == ["a/small"]
