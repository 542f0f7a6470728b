"""What is particular to objects as files."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, NotFoundError, UnavailableError
from mgit_storage.objects import LocalObjectStore
from mgit_storage.store import open_store
from mgit_storage.testing.chunks import make_chunk, store_chunks
from mgit_storage.testing.parameters import make_file_list, make_manifest


def open_below(folder: Path) -> int:
    """How many open files lie below ``folder``."""
    return sum(row.path.startswith(str(folder)) for row in psutil.Process().open_files())


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_usage_is_what_du_counts(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = open_store(root, DigestAlgorithm.BLAKE3)
    for seed in range(3):
        store_chunks(store.chunks, [make_chunk(seed), make_chunk(seed + 10)])
        store.parameters.write_manifest(make_manifest())
    store.parameters.write_file_list(make_file_list())
    left = store.objects.stage()
    left.write(bytes(1234))
    usage = store.parameters.usage()
    total = usage.pack_bytes + usage.index_bytes + usage.manifest_bytes + usage.other_bytes
    names = b"\0".join(os.fsencode(path) for path in files_below(root))
    output = subprocess.run(
        ["du", "--apparent-size", "-bc", "--files0-from=-"], input=names, capture_output=True, check=True
    ).stdout
    in_files = int(output.splitlines()[-1].split()[0])
    in_folders = sum(path.stat().st_size for path in [root, *root.rglob("*")] if path.is_dir())
    assert total == in_files + in_folders
    whole = int(
        subprocess.run(
            ["du", "--apparent-size", "-bs", root], capture_output=True, check=True
        ).stdout.split()[0]
    )
    # From version 9.2 on du no longer counts the size of a folder itself.
    assert whole in {total, in_files}
    assert usage.chunk_count == 6
    left.discard()


def test_what_was_discarded_or_committed_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    with store.stage() as staged:
        staged.write(b"content")
    with store.stage() as staged:
        staged.commit("a/b")
    assert files_below(tmp_path) == [tmp_path / "a/b"]


def test_few_files_stay_open_and_none_after_the_store(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    for number in range(200):
        (tmp_path / f"{number}").write_bytes(str(number).encode())
    assert [store.get_range(f"{number}", 0, 9) for number in range(200)] == [
        str(number).encode() for number in range(200)
    ]
    assert 0 < open_below(tmp_path) <= 64
    del store
    assert open_below(tmp_path) == 0


def test_small_objects_are_read_and_large_ones_mapped(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    store.put("small", bytes(1000))
    store.put("large", bytes(2 << 20))
    views = [store.view("small") for _ in range(50)]
    assert (open_below(tmp_path), len(views)) == (0, 50)
    view = store.view("large")
    assert open_below(tmp_path) == 1
    view.release()


def test_an_object_that_is_deleted_while_it_is_read_is_not_kept_open(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    store.put("a", b"content")
    with store._files.borrow("a", store.path) as descriptor:
        store.delete("a")
        assert os.pread(descriptor, 7, 0) == b"content"
    assert open_below(tmp_path) == 0
    with pytest.raises(NotFoundError):
        store.get_range("a", 0, 1)


def test_readers_share_a_descriptor_while_others_are_evicted(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    names = [f"{number}" for number in range(150)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode() * 10)
    barrier = threading.Barrier(4)

    def read(order: Iterator[str]) -> bool:
        barrier.wait(timeout=60)
        return all(store.get_range(name, 0, 40) == (name.encode() * 10)[:40] for name in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, [iter(names), iter(names), reversed(names), reversed(names)]))


def test_a_folder_that_cannot_be_used_is_unavailable_and_its_path_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError) as caught:
        LocalObjectStore(tmp_path / "file/store")
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    assert str(tmp_path) not in caught.value.message


def test_a_relative_root_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalObjectStore(Path("store"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put("a", b"")
    assert (tmp_path / "store/a").exists()


def test_files_of_others_are_not_listed(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    store.put("a/b", b"")
    for name in (".hidden", "UPPER", "a b", "back~"):
        (tmp_path / "a" / name).write_bytes(b"")
    assert store.list("a") == ["a/b"]


def test_what_a_killed_process_staged_is_discarded_once_it_is_old(tmp_path: Path) -> None:
    killed = LocalObjectStore(tmp_path)
    left = killed.stage()
    left.write(bytes(1000))
    (file,) = files_below(tmp_path)
    now = file.stat().st_mtime
    store = LocalObjectStore(tmp_path, clock=lambda: now)
    store.put("a/b", b"content")
    assert store.discard_stale(60) == 0
    now += 60
    assert (store.discard_stale(60), files_below(tmp_path)) == (1000, [tmp_path / "a/b"])
    with pytest.raises(NotFoundError):
        left.commit("a/c")
    left.discard()


def test_a_second_name_that_a_kill_left_is_discarded_and_the_object_stays(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    store.put("a/b", b"content")
    (tmp_path / "tmp" / "left").hardlink_to(tmp_path / "a/b")
    assert (store.discard_stale(0), files_below(tmp_path)) == (0, [tmp_path / "a/b"])
    assert store.get("a/b") == b"content"


def test_an_object_grows_older(tmp_path: Path) -> None:
    now = 0.0
    store = LocalObjectStore(tmp_path, clock=lambda: now)
    store.put("a/b", b"content")
    now = (tmp_path / "a/b").stat().st_mtime + 90
    assert store.survey("a")["a/b"].age_s == 90
    now -= 100  # A clock that was set back makes nothing younger than new.
    assert store.survey("a")["a/b"].age_s == 0
