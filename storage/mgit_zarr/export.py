"""Writes a model as a plain Zarr v3 folder, which needs no MGit to be read."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from mgit_core.errors import AlreadyExistsError, ErrorReason, ResourceExhaustedError
from mgit_core.manifest import Manifest
from mgit_core.ports.chunks import ChunkReader
from mgit_zarr.layout import ChunkFile, chunk_files, metadata_files

__all__ = ["export_group", "new_group_folder", "write_chunk_file"]

_MAX_THREADS = 8
# Chunks read or written at once, for each thread.
_AHEAD = 2
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def export_group(folder: Path, manifest: Manifest, reader: ChunkReader) -> None:
    """Write the parameters as a Zarr v3 group, on several threads.

    The folder appears complete and durable, or not at all.

    Args:
        folder: Must not exist; its parent must.
        manifest: What to write.
        reader: Where the chunks come from.

    Raises:
        AlreadyExistsError: PATH_EXISTS, also where the file system takes two parameters' names for one.
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT.
        ResourceExhaustedError: DISK_FULL.
    """
    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    with new_group_folder(folder, manifest) as unfinished, ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[None]] = deque()
        for chunk in chunk_files(manifest):
            if len(pending) >= threads * _AHEAD:
                pending.popleft().result()
            pending.append(pool.submit(_copy_chunk, unfinished, chunk, reader))
        for copy in pending:
            copy.result()


@contextmanager
def new_group_folder(folder: Path, manifest: Manifest) -> Generator[Path]:
    """A hidden folder beside ``folder`` that has all metadata and waits for ``write_chunk_file``.

    On a normal exit it is made durable and renamed to ``folder``; on an error it is removed.

    Raises:
        AlreadyExistsError: PATH_EXISTS, also where the file system takes two parameters' names for one.
        ResourceExhaustedError: DISK_FULL.
    """
    if os.path.lexists(folder):
        raise AlreadyExistsError(
            ErrorReason.PATH_EXISTS, f"A new folder was wanted; {folder} exists already."
        )
    unfinished = folder.with_name(f".{folder.name[:40]}.{uuid.uuid4().hex}.partial")
    unfinished.mkdir()
    try:
        _write_metadata(unfinished, manifest)
        yield unfinished
        for below, _, _ in os.walk(unfinished, topdown=False):
            _sync_folder(Path(below))
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished)
        raise
    _sync_folder(folder.parent)


def write_chunk_file(unfinished: Path, chunk: ChunkFile, content: bytes) -> None:
    """Write one chunk, padded, into a folder of ``new_group_folder``. Thread-safe; chunks in any order.

    A chunk without a set bit is not written: it is the arrays' fill value.

    Raises:
        ResourceExhaustedError: DISK_FULL.
    """
    # Comparing stops at the first set byte, so this costs nothing for other chunks.
    if content == bytes(len(content)):
        return
    path = unfinished / chunk.path
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, content, bytes(chunk.padding_bytes))


def _copy_chunk(unfinished: Path, chunk: ChunkFile, reader: ChunkReader) -> None:
    write_chunk_file(unfinished, chunk, reader.read(chunk.digest))


def _write_metadata(unfinished: Path, manifest: Manifest) -> None:
    for path, content in metadata_files(manifest):
        target = unfinished / path
        if target.parent != unfinished:
            _make_folder(target.parent, path)
        _write(target, content)


def _make_folder(folder: Path, path: str) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        raise AlreadyExistsError(
            ErrorReason.PATH_EXISTS,
            f"{path} was wanted as a new file, but its folder is there: the file system takes the names of "
            "two parameters for one. Export to a file system that tells upper from lower case.",
        ) from None


def _write(path: Path, *parts: bytes) -> None:
    try:
        with path.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ResourceExhaustedError(
            ErrorReason.DISK_FULL, f"No room on the disk while {path.name} was written."
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
