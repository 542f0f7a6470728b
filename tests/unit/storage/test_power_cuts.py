"""The power is cut before every single step of storing; what was acknowledged is there, nothing half-done is.

Two rounds of chunks and a manifest are stored. The cut leaves what was synced and, in a second to a fifth
reading, also some of the names that were not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import MGitError
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import TensorSpec
from mgit_storage.chunks.pack import read_table
from mgit_storage.objects import LocalObjectStore
from mgit_storage.store import Store, open_objects, open_store
from mgit_storage.testing.chunks import make_chunk
from mgit_storage.testing.power import ForgetfulDisk, PowerCutError

ALGORITHM = DigestAlgorithm.BLAKE3
SPEC = TensorSpec("float32", (1024,))
CONTENTS = {digest_of(ALGORITHM, make_chunk(seed)): make_chunk(seed) for seed in range(5)}

SURVIVES: dict[str, Callable[[Path], bool]] = {
    "what was synced": lambda _path: False,
    "every name": lambda _path: True,
    "names of indexes": lambda path: path.parts[0] == "indexes",
    "names of manifests": lambda path: path.parts[0] == "manifests",
    "names of objects, not of folders": lambda path: path.suffix in {".pack", ".index"},
}


class DeafDisk(ForgetfulDisk):
    """Says that a file is synced when it is not."""

    def sync(self, descriptor: int) -> None:
        pass


class NamelessDisk(ForgetfulDisk):
    """Says that a folder is synced when it is not."""

    def sync_folder(self, path: Path) -> None:
        pass


@dataclass
class Acknowledged:
    """What a store said is done."""

    store_id: str | None = None
    chunks: list[Digest] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)


def store_two_models(root: Path, disk: ForgetfulDisk, done: Acknowledged) -> None:
    """The workload; what is acknowledged goes into ``done`` at once."""
    store = open_objects(LocalObjectStore(root, disk), ALGORITHM)
    done.store_id = store.id
    digests = list(CONTENTS)
    for name, part in (("first", digests[:3]), ("second", digests[2:])):
        with store.chunks.open_writer() as writer:
            for digest in part:
                writer.write(CONTENTS[digest], width=4)
        done.chunks += part
        manifest = Manifest(
            ALGORITHM,
            tuple(make_parameter(ALGORITHM, f"{name}.{at}", SPEC, [chunk]) for at, chunk in enumerate(part)),
        )
        done.manifests.append(store.parameters.write_manifest(manifest))


def check_remains(folder: Path, done: Acknowledged) -> None:
    """Open what is left and compare it with what was acknowledged."""
    store = open_store(folder, ALGORITHM)
    assert done.store_id in {None, store.id}
    assert store.chunks.find_missing(done.chunks) == []
    missing = set(store.chunks.find_missing(list(CONTENTS)))
    for digest, content in CONTENTS.items():
        assert digest in missing or store.chunks.read(digest) == content
    for key in {*done.manifests, *store.objects.list("manifests")}:
        manifest = store.parameters.read_manifest(key)
        assert store.chunks.find_missing(list(manifest.chunk_sizes())) == []
    check_packs(store)


def check_packs(store: Store) -> None:
    """A pack that has its name is whole: an index can be made from it."""
    for key in store.objects.list("packs"):
        assert read_table(store.objects, Path(key).stem)


def cut_everywhere(
    tmp_path: Path, disk_class: type[ForgetfulDisk], *, readings: Iterable[str] = SURVIVES
) -> Iterator[tuple[Path, Acknowledged]]:
    """Every cut of the workload with everything that may be left of it, as folders."""
    steps = 0
    cut: int | None = None
    while cut is None or cut <= steps:
        root = tmp_path / f"cut-{cut}"
        root.mkdir()
        disk = disk_class(root, cut_after=cut)
        done = Acknowledged()
        with contextlib.suppress(PowerCutError):
            store_two_models(root, disk, done)
        for reading in readings:
            left = tmp_path / f"left-{cut}-{reading}"
            left.mkdir()
            disk.write_remains(left, SURVIVES[reading])
            yield left, done
        steps = disk.steps if cut is None else steps
        cut = 0 if cut is None else cut + 1
    assert steps > 40


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_half_done_is_visible(tmp_path: Path) -> None:
    for left, done in cut_everywhere(tmp_path, ForgetfulDisk):
        check_remains(left, done)


@pytest.mark.slow
@pytest.mark.parametrize("disk_class", [DeafDisk, NamelessDisk])
def test_a_disk_that_does_not_sync_is_found_out(tmp_path: Path, disk_class: type[ForgetfulDisk]) -> None:
    """The test above is able to fail."""
    failures = 0
    for left, done in cut_everywhere(tmp_path, disk_class):
        try:
            check_remains(left, done)
        except (AssertionError, MGitError):
            failures += 1
    assert failures


@pytest.mark.slow
def test_a_store_goes_on_after_every_cut(tmp_path: Path) -> None:
    for left, _ in cut_everywhere(tmp_path, ForgetfulDisk, readings=["names of manifests"]):
        done = Acknowledged()
        store_two_models(left, ForgetfulDisk(left), done)
        check_remains(left, done)


def test_a_name_that_another_process_has_not_synced_is_durable_once_it_is_listed(tmp_path: Path) -> None:
    """An upload that relies on another one's chunks would else be acknowledged before they are durable."""
    root, left = tmp_path / "store", tmp_path / "left"
    root.mkdir()
    left.mkdir()
    (tmp_path / "later").mkdir()
    disk = ForgetfulDisk(root)
    writer = LocalObjectStore(root, disk)
    staged = writer.stage()
    staged.write(b"content")
    disk.cut_after = disk.steps + 5  # sync, make folder, sync its parent, link, unlink; not the last sync
    with pytest.raises(PowerCutError):
        staged.commit("indexes/a.index")
    disk.cut_after = None
    staged.discard()
    disk.write_remains(left)
    assert not (left / "indexes/a.index").exists()
    assert LocalObjectStore(root, disk).list("indexes") == ["indexes/a.index"]
    disk.write_remains(tmp_path / "later")
    assert (tmp_path / "later/indexes/a.index").read_bytes() == b"content"
