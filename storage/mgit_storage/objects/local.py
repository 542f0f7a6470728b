"""Objects as files below a folder.

A file is written under ``tmp/``, synced, given its name, and then its folder is synced. The name is given by
a hard link, which fails if the name is taken, so nothing is ever overwritten.

Others may see a name between its link and the sync of its folder. So a listing syncs the folders of names
that it had not listed before: whoever relies on a listed name relies on a durable one.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import threading
import time
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from typing_extensions import Buffer

from mgit_core.errors import (
    AlreadyExistsError,
    ErrorReason,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from mgit_storage.objects.base import ObjectState, ObjectStore, ObjectUsage, StagedObject, check_key, is_key
from mgit_storage.objects.descriptors import OpenFiles
from mgit_storage.objects.disk import Disk

__all__ = ["LocalObjectStore"]

_TEMPORARY = "tmp"
_NEW = "(new)"  # What messages call an object that has no key yet; never a key.
_OPEN_FILES = 64
# A mapped file keeps a descriptor, of which a process has few; a small object is read instead.
_MAP_FROM_BYTES = 1 << 20
# So often the system is asked to begin writing back: the sync at the end then waits for the rest only.
_BEGIN_SYNC_BYTES = 8 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def _translated(key: str) -> Generator[None]:
    """Turns the system's errors into ours; messages name the key, never a path."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(ErrorReason.OBJECT_NOT_FOUND, f"There is no object {key}.", key=key) from error
    except FileExistsError as error:
        raise AlreadyExistsError(
            ErrorReason.OBJECT_EXISTS, f"Object {key} exists already.", key=key
        ) from error
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceExhaustedError(
                ErrorReason.DISK_FULL,
                f"The disk of the store is full; object {key} was not written. Free some space and repeat.",
                key=key,
            ) from error
        raise UnavailableError(
            ErrorReason.STORE_UNAVAILABLE,
            f"The store cannot be used: {os.strerror(error.errno or 0)} on object {key}.",
            key=key,
        ) from error


class LocalObjectStore(ObjectStore):
    """Objects as files below ``root``, which is made if it is not there."""

    def __init__(self, root: Path, disk: Disk | None = None, clock: Callable[[], float] = time.time) -> None:
        """Objects below ``root``; ``disk`` and ``clock``, in seconds of Unix time, are replaced by tests only."""
        self._root = root.absolute()
        self._disk = disk or Disk()
        self._clock = clock
        self._folders: set[Path] = set()
        self._files = OpenFiles(_OPEN_FILES)
        self._listed: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        self._staged: weakref.WeakSet[_StagedFile] = weakref.WeakSet()
        with _translated(_NEW):
            self._make_folder(self._root)
            self._make_folder(self._root / _TEMPORARY)

    def put(self, key: str, content: Buffer) -> None:
        with self.stage() as staged:
            staged.write(content)
            staged.commit(key)

    def stage(self) -> StagedObject:
        with _translated(_NEW):
            staged = _StagedFile(self, self._disk)
        with self._lock:
            self._staged.add(staged)
        return staged

    def get(self, key: str) -> bytes:
        with _translated(key):
            return self.path(key).read_bytes()

    def get_range(self, key: str, start: int, size: int) -> bytes:
        with _translated(key), self._files.borrow(key, self.path) as descriptor:
            return os.pread(descriptor, size, start)

    def view(self, key: str) -> memoryview:
        with _translated(key), self.path(key).open("rb") as file:
            if os.fstat(file.fileno()).st_size < _MAP_FROM_BYTES:
                return memoryview(file.read())
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def list(self, folder: str) -> list[str]:
        keys = [key for key, _ in self._scan(folder)]
        self._sync_listed(folder, frozenset(keys))
        return sorted(keys)

    def survey(self, folder: str) -> dict[str, ObjectState]:
        now = self._clock()
        found: dict[str, ObjectState] = {}
        for key, row in sorted(self._scan(folder), key=lambda entry: entry[0]):
            with _translated(key), contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                state = row.stat(follow_symlinks=False)
                found[key] = ObjectState(size_bytes=state.st_size, age_s=max(0.0, now - state.st_mtime))
        return found

    def discard_stale(self, older_than_s: float) -> int:
        now = self._clock()
        with self._lock:
            in_work = {staged.path.name for staged in self._staged}
        freed = 0
        with _translated(_NEW), os.scandir(self._root / _TEMPORARY) as rows:
            for row in rows:
                if row.name in in_work or not row.is_file(follow_symlinks=False):
                    continue
                with contextlib.suppress(FileNotFoundError):  # committed or discarded since it was listed
                    state = row.stat(follow_symlinks=False)
                    if now - state.st_mtime >= older_than_s:
                        self._disk.unlink(Path(row.path))
                        # With a second name it is an object: the writer was killed just behind its link.
                        freed += state.st_size if state.st_nlink == 1 else 0
        return freed

    def delete(self, key: str) -> None:
        with _translated(key), contextlib.suppress(FileNotFoundError):
            self._disk.unlink(self.path(key))
        self._files.drop(key)

    def usage(self) -> ObjectUsage:
        sizes: Counter[str] = Counter()
        overhead = 0
        for folder, _, names in os.walk(self._root):
            at = Path(folder).relative_to(self._root)
            with contextlib.suppress(FileNotFoundError):
                overhead += Path(folder).stat().st_size
            first = at.parts[0] if at.parts else ""
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    size = (Path(folder) / name).lstat().st_size
                    if first == _TEMPORARY:
                        overhead += size
                    else:
                        sizes[first] += size
        return ObjectUsage(by_folder=dict(sizes), overhead_bytes=overhead)

    def path(self, key: str) -> Path:
        """Where the object lies."""
        return self._root / check_key(key)

    def temporary_path(self) -> Path:
        """A name for a new temporary file that nobody else uses."""
        return self._root / _TEMPORARY / uuid.uuid4().hex

    def publish(self, temporary: Path, key: str) -> None:
        """Give a synced temporary file its name, durably, and take the temporary name away.

        Raises:
            FileExistsError: The key is taken.
        """
        path = self.path(key)
        self._make_folder(path.parent)
        self._disk.link(temporary, path)
        self._disk.unlink(temporary)
        self._disk.sync_folder(path.parent)

    def _scan(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Every file below ``folder`` that has a key."""
        pending = [check_key(folder)]
        while pending:
            at = pending.pop()
            with _translated(at), contextlib.suppress(FileNotFoundError), os.scandir(self._root / at) as rows:
                for row in rows:
                    key = f"{at}/{row.name}"
                    if not is_key(key):  # Somebody else left it there.
                        continue
                    if row.is_dir(follow_symlinks=False):
                        pending.append(key)
                    else:
                        yield key, row

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and its name durable, also where another process made it a moment ago."""
        if folder in self._folders:
            return
        if not folder.exists():
            self._make_folder(folder.parent)
            self._disk.make_folder(folder)
        if os.access(folder.parent, os.R_OK):  # Else it is not ours, and was there before us.
            self._disk.sync_folder(folder.parent)
        self._folders.add(folder)

    def _sync_listed(self, folder: str, keys: frozenset[str]) -> None:
        fresh = keys - self._listed.get(folder, frozenset())
        with _translated(folder):
            for parent in sorted({self.path(key).parent for key in fresh}):
                self._make_folder(parent)
                self._disk.sync_folder(parent)
        self._listed[folder] = keys


class _StagedFile(StagedObject):
    def __init__(self, store: LocalObjectStore, disk: Disk) -> None:
        self._store = store
        self._disk = disk
        self.path = store.temporary_path()
        self._descriptor = disk.create(self.path)
        self._size = 0
        self._syncing = 0

    def write(self, content: Buffer) -> None:
        view = memoryview(content).cast("B")
        with _translated(_NEW):
            while view:
                written = self._disk.write(self._descriptor, view)
                view = view[written:]
                self._size += written
            if self._size - self._syncing >= _BEGIN_SYNC_BYTES:
                self._disk.begin_sync(self._descriptor, self._syncing, self._size - self._syncing)
                self._syncing = self._size

    def commit(self, key: str) -> None:
        with _translated(key):
            self._disk.sync(self._descriptor)
            self._store.publish(self.path, key)
        self.discard()

    def discard(self) -> None:
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(self.path)
