from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.zarr_models import DictReader, build_model, delicate_bits, every_shape

from mgit_core.errors import (
    AlreadyExistsError,
    CorruptError,
    ErrorReason,
    NotFoundError,
    ResourceExhaustedError,
)
from mgit_zarr import export
from mgit_zarr.export import export_group, new_group_folder, write_chunk_file
from mgit_zarr.layout import ChunkFile, chunk_files


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_folder_holds_metadata_and_chunks_only(tmp_path: Path) -> None:
    manifest, reader = build_model({"x/y": np.ones((700, 1000), "<f4"), "empty": np.empty((0,), "<f4")})
    export_group(tmp_path / "model.zarr", manifest, reader)
    assert _files(tmp_path / "model.zarr") == [
        "empty/zarr.json",
        "x%2Fy/c/0/0",
        "x%2Fy/c/1/0",
        "x%2Fy/c/2/0",
        "x%2Fy/zarr.json",
        "zarr.json",
    ]
    assert [tmp_path / "model.zarr"] == list(tmp_path.iterdir())


def test_edge_chunk_is_written_whole(tmp_path: Path) -> None:
    manifest, reader = build_model({"x": np.ones((700, 1000), "<f4")})
    export_group(tmp_path / "x", manifest, reader)
    content = (tmp_path / "x/x/c/2/0").read_bytes()
    true_bytes = (700 - 2 * 262) * 4000
    assert np.ones((700 - 2 * 262) * 1000, "<f4").tobytes() == content[:true_bytes]
    assert bytes(262 * 4000 - true_bytes) == content[true_bytes:]


def test_chunk_without_a_set_bit_is_left_out_and_negative_zeros_are_not(tmp_path: Path) -> None:
    manifest, reader = build_model(delicate_bits())
    export_group(tmp_path / "x", manifest, reader)
    files = _files(tmp_path / "x")
    assert not any(path.startswith(("zeros/c", "zero.scalar/c")) for path in files)
    assert [path for path in files if path.startswith("zeros.then.one/c")] == ["zeros.then.one/c/2/0"]
    assert sum(path.startswith("negative.zeros/c") for path in files) == 3


def test_chunks_may_be_written_in_any_order(tmp_path: Path) -> None:
    manifest, reader = build_model(every_shape())
    export_group(tmp_path / "one", manifest, reader)
    with new_group_folder(tmp_path / "other", manifest) as unfinished:
        for chunk in reversed(list(chunk_files(manifest))):
            write_chunk_file(unfinished, chunk, reader.read(chunk.digest))
    one, other = tmp_path / "one", tmp_path / "other"
    assert _files(one) == _files(other)
    for path in _files(one):
        assert (one / path).read_bytes() == (other / path).read_bytes()


def test_folder_is_readable_by_whom_the_umask_lets(tmp_path: Path) -> None:
    manifest, reader = build_model({"x": np.ones(1)})
    (tmp_path / "usual").mkdir()
    export_group(tmp_path / "x", manifest, reader)
    assert (tmp_path / "usual").stat().st_mode == (tmp_path / "x").stat().st_mode


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_existing_path_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "x"
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")
    with pytest.raises(AlreadyExistsError) as caught:
        export_group(target, *build_model({"x": np.ones(1)}))
    assert caught.value.reason == ErrorReason.PATH_EXISTS
    assert [target] == list(tmp_path.iterdir())


def test_missing_chunk_leaves_nothing_behind(tmp_path: Path) -> None:
    manifest, reader = build_model(every_shape())
    del reader.chunks[manifest.parameters[4].chunks[1]]
    with pytest.raises(NotFoundError) as caught:
        export_group(tmp_path / "x", manifest, reader)
    assert caught.value.reason == ErrorReason.CHUNK_NOT_FOUND
    assert list(tmp_path.iterdir()) == []


class _CorruptReader(DictReader):
    def read(self, digest: bytes) -> bytes:
        raise CorruptError(ErrorReason.CHUNK_CORRUPT, f"Chunk {digest.hex()} is corrupt.")


def test_corrupt_chunk_leaves_nothing_behind(tmp_path: Path) -> None:
    manifest, _ = build_model(every_shape())
    with pytest.raises(CorruptError):
        export_group(tmp_path / "x", manifest, _CorruptReader())
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, reader = build_model(every_shape())

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(export.os, "fsync", fail)
        with pytest.raises(ResourceExhaustedError) as caught:
            export_group(tmp_path / "x", manifest, reader)
    assert caught.value.reason == ErrorReason.DISK_FULL
    assert list(tmp_path.iterdir()) == []


def test_other_disk_errors_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(export.os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            export_group(tmp_path / "x", *build_model(every_shape()))
    assert list(tmp_path.iterdir()) == []


def test_file_system_that_takes_two_names_for_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that does not tell upper from lower case."""
    mkdir = Path.mkdir

    def fold(path: Path, *arguments: Any, **options: Any) -> None:
        mkdir(path.with_name(path.name.lower()), *arguments, **options)

    manifest, reader = build_model({"layer": np.ones(1), "LAYER": np.zeros(1)})
    monkeypatch.setattr(Path, "mkdir", fold)
    with pytest.raises(AlreadyExistsError) as caught:
        export_group(tmp_path / "x", manifest, reader)
    assert caught.value.reason == ErrorReason.PATH_EXISTS
    assert list(tmp_path.iterdir()) == []


def test_every_file_and_folder_is_synced_before_the_group_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, reader = build_model({"x": np.ones((700, 1000), "<f4")})
    synced: set[int] = set()
    appeared_after: list[int] = []
    fsync, rename = os.fsync, Path.rename

    def record_fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def record_rename(path: Path, target: Path) -> Path:
        wanted = {path.stat().st_ino, *(below.stat().st_ino for below in path.rglob("*"))}
        appeared_after.append(len(wanted - synced))
        return rename(path, target)

    monkeypatch.setattr(export.os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "rename", record_rename)
    export_group(tmp_path / "x", manifest, reader)
    assert appeared_after == [0]
    assert tmp_path.stat().st_ino in synced


def test_chunks_in_flight_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.os, "cpu_count", lambda: 2)
    manifest, reader = build_model({"x": np.arange(3_000_000, dtype="<f4")})
    submitted: list[int] = []

    class _Counting(export.ThreadPoolExecutor):
        def submit(self, *arguments: Any, **options: Any) -> Any:
            submitted.append(len(reader.reads))
            return super().submit(*arguments, **options)

    monkeypatch.setattr(export, "ThreadPoolExecutor", _Counting)
    export_group(tmp_path / "x", manifest, reader)
    chunks = len(manifest.parameters[0].chunks)
    assert len(submitted) == chunks == 12
    assert all(done >= place - 3 for place, done in enumerate(submitted))


def test_chunk_file_is_never_overwritten(tmp_path: Path) -> None:
    chunk = ChunkFile(path="x/c/0", digest=b"", size_bytes=1, padding_bytes=2)
    write_chunk_file(tmp_path, chunk, b"a")
    with pytest.raises(FileExistsError):
        write_chunk_file(tmp_path, chunk, b"b")
    assert (tmp_path / "x/c/0").read_bytes() == b"a\0\0"
