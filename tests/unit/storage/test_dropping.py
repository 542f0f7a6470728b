"""A drop is broken before every single step; what is kept reads back at once, and the next drop ends it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from mgit_core.digest import Digest, DigestAlgorithm
from mgit_core.errors import ErrorReason, ResourceExhaustedError, UnavailableError
from mgit_core.ports.chunks import ChunkStore
from mgit_core.ports.maintenance import Copy
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import LocalObjectStore, MemoryObjectStore, ObjectStore
from mgit_storage.testing.bases import make_change, plan_on, store_on
from mgit_storage.testing.chunks import make_chunk, store_chunks
from mgit_storage.testing.faults import FaultyObjectStore, FullDisk
from mgit_storage.testing.maintenance import copies_of, held, rewrite
from mgit_storage.testing.power import ForgetfulDisk, PowerCutError

ALGORITHM = DigestAlgorithm.BLAKE3
CONTENTS = [make_chunk(seed) for seed in range(9)]


def nothing(_path: Path) -> bool:
    return False


def everything(_path: Path) -> bool:
    return True


def packs(path: Path) -> bool:
    return path.parts[0] == "packs"


def indexes(path: Path) -> bool:
    return path.parts[0] == "indexes"


SURVIVES = {
    "what was synced": (nothing, nothing),
    "all that was done": (everything, everything),
    "every new name, and every old one": (everything, nothing),
    "what was done to indexes": (indexes, indexes),
    "what was done to packs": (packs, packs),
}
"""Which new names are there though they were not synced, and which old ones are gone though that was not."""


class Scene:
    """A store with three packs: one is to lose everything, one nearly everything, one is dense and loses a copy."""

    def __init__(self, objects: ObjectStore) -> None:
        store = PackChunkStore(objects, ALGORITHM)
        digests = store_chunks(store, CONTENTS[:3]) + store_chunks(store, CONTENTS[3:])
        child = store_on(store, make_change(CONTENTS[8], 1), plan_on((digests[8], CONTENTS[8])))
        rewrite(store, CONTENTS[6:8])
        older = [copy for copy in copies_of(store, digests[6:7]) if not _is_dense(store, copy)]
        self.doomed: list[Copy] = [*copies_of(store, digests[:6]), *older]
        self.gone: list[Digest] = digests[:6]
        self.kept: dict[Digest, bytes] = dict(zip(digests[6:], CONTENTS[6:], strict=True))
        self.kept[child] = make_change(CONTENTS[8], 1)

    def check_kept(self, store: ChunkStore) -> None:
        """What is kept is there and reads back."""
        assert store.find_missing(list(self.kept)) == []
        for digest, content in self.kept.items():
            assert store.read(digest) == content

    def check_fresh(self, objects: ObjectStore) -> None:
        """A process that starts now finds what is kept, and calls nothing present that it cannot read."""
        store = PackChunkStore(objects, ALGORITHM)
        self.check_kept(store)
        missing = set(store.find_missing(self.gone))
        assert all(store.read(digest) for digest in self.gone if digest not in missing)

    def finish(self, objects: ObjectStore) -> None:
        """The next drop ends what one that was cut began."""
        store = PackChunkStore(objects, ALGORITHM)
        store.maintenance.drop(self.doomed, held)
        store.maintenance.sweep(0, held)
        self.check_kept(PackChunkStore(objects, ALGORITHM))
        assert PackChunkStore(objects, ALGORITHM).find_missing(self.gone) == self.gone
        indexed = {copy.pack for copy in copies_of(store)}
        assert set(store.maintenance.packs()) == indexed
        assert all(store.maintenance.read_copy(copy) for copy in copies_of(store))
        assert store.maintenance.drop(self.doomed, held).bytes_freed == 0


def _is_dense(store: ChunkStore, copy: Copy) -> bool:
    return store.maintenance.packs()[copy.pack].is_dense


def test_a_drop_may_break_before_every_step() -> None:
    at = 0
    while _drop_broken_at(at):
        at += 1
    assert at > 20


def _drop_broken_at(at: int) -> bool:
    """Break step ``at`` of a drop; whether there is such a step."""
    memory = MemoryObjectStore()
    scene = Scene(memory)
    faulty = FaultyObjectStore(memory)
    store = PackChunkStore(faulty, ALGORITHM)
    bystander = PackChunkStore(memory, ALGORITHM)
    steps = 0

    def fault(step: str, key: str) -> None:
        nonlocal steps
        steps += 1
        if steps > at:
            raise UnavailableError(ErrorReason.STORE_UNAVAILABLE, f"{step} {key} was broken.")

    faulty.fault = fault
    try:
        store.maintenance.drop(scene.doomed, held)
    except UnavailableError:
        is_broken = True
    else:
        is_broken = False
    faulty.fault = lambda _step, _key: None
    for each in (store, bystander):
        scene.check_kept(each)
    scene.check_fresh(memory)
    scene.finish(memory)
    scene.check_kept(bystander)
    return is_broken


@pytest.mark.slow
def test_the_power_may_go_before_every_step_of_a_drop(tmp_path: Path) -> None:
    steps = 0
    cut: int | None = None
    while cut is None or cut <= steps:
        root = tmp_path / f"cut-{cut}"
        root.mkdir()
        disk = ForgetfulDisk(root)
        scene = Scene(LocalObjectStore(root, disk))
        store = PackChunkStore(LocalObjectStore(root, disk), ALGORITHM)
        before = disk.steps
        disk.cut_after = None if cut is None else before + cut
        with contextlib.suppress(PowerCutError):
            store.maintenance.drop(scene.doomed, held)
        for reading, (survives, is_gone) in SURVIVES.items():
            left = tmp_path / f"left-{cut}-{reading}"
            left.mkdir()
            disk.write_remains(left, survives, is_gone)
            scene.check_fresh(LocalObjectStore(left))
            scene.finish(LocalObjectStore(left))
        steps = disk.steps - before if cut is None else steps
        cut = 0 if cut is None else cut + 1
    assert steps > 10


def test_a_drop_on_a_full_disk_takes_nothing_away_that_is_not_replaced() -> None:
    for free_bytes in range(0, 9_000, 500):
        disk = FullDisk(MemoryObjectStore(), 1 << 20)
        scene = Scene(disk)
        store = PackChunkStore(disk, ALGORITHM)
        disk.free_bytes = free_bytes
        with contextlib.suppress(ResourceExhaustedError):
            store.maintenance.drop(scene.doomed, held)
        scene.check_kept(store)
        scene.check_fresh(disk)
        disk.free_bytes = 1 << 20
        scene.finish(disk)


def test_a_damaged_pack_is_not_rewritten() -> None:
    """What is left of it stays where a check finds it."""
    memory = MemoryObjectStore()
    store = PackChunkStore(memory, ALGORITHM)
    digests = store_chunks(store, CONTENTS)
    (key,) = memory.list("packs")
    memory.content[key] = memory.content[key][:20_000]
    store.maintenance.drop(copies_of(store, digests[1:7]), held)
    assert memory.list("packs") == [key]
    assert (store.read(digests[0]), len(copies_of(store, digests[7:]))) == (CONTENTS[0], 2)
