"""Objects as files below a folder.

A file is written under ``tmp/``, synced, given its name, and then its folder is synced. The name is given by
a hard link, which fails if the name is taken, so nothing is ever overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import threading
import uuid
from collections import Counter, OrderedDict
from collections.abc import Generator
from pathlib import Path

from typing_extensions import Buffer

from mgit_core.errors import (
    AlreadyExistsError,
    ErrorReason,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from mgit_storage.objects.base import ObjectStore, ObjectUsage, StagedObject, check_key

__all__ = ["LocalObjectStore"]

_TEMPORARY = "tmp"
_OPEN_FILES = 64
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

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[Path] = set()
        self._files: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        with _translated(_TEMPORARY):
            self._make_folder(root / _TEMPORARY)

    def put(self, key: str, content: Buffer) -> None:
        with self.stage() as staged:
            staged.write(content)
            staged.commit(key)

    def stage(self) -> StagedObject:
        with _translated(_TEMPORARY):
            return _StagedFile(self)

    def get(self, key: str) -> bytes:
        with _translated(key):
            return self.path(key).read_bytes()

    def get_range(self, key: str, start: int, size: int) -> bytes:
        with _translated(key), self._borrowed(key) as descriptor:
            return os.pread(descriptor, size, start)

    def view(self, key: str) -> memoryview:
        with _translated(key), self.path(key).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def list(self, folder: str) -> list[str]:
        keys: list[str] = []
        pending = [folder]
        while pending:
            at = pending.pop()
            with _translated(at), contextlib.suppress(FileNotFoundError), os.scandir(self._root / at) as rows:
                for row in rows:
                    (pending if row.is_dir(follow_symlinks=False) else keys).append(f"{at}/{row.name}")
        return sorted(keys)

    def delete(self, key: str) -> None:
        with self._lock:
            descriptor = self._files.pop(key, None)
        if descriptor is not None:
            os.close(descriptor)
        with _translated(key), contextlib.suppress(FileNotFoundError):
            self.path(key).unlink()

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
        os.link(temporary, path)
        temporary.unlink()
        _sync_folder(path.parent)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._folders:
            return
        if not folder.exists():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
        if folder != folder.parent:
            _sync_folder(folder.parent)
        self._folders.add(folder)

    @contextlib.contextmanager
    def _borrowed(self, key: str) -> Generator[int]:
        """A descriptor of the object from a small cache; nobody closes it while it is borrowed."""
        with self._lock:
            descriptor = self._files.pop(key, None)
        if descriptor is None:
            descriptor = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            surplus: list[int] = []
            with self._lock:
                if key in self._files:
                    surplus.append(self._files.pop(key))
                self._files[key] = descriptor
                if len(self._files) > _OPEN_FILES:
                    surplus.append(self._files.popitem(last=False)[1])
            for unused in surplus:
                os.close(unused)


class _StagedFile(StagedObject):
    def __init__(self, store: LocalObjectStore) -> None:
        self._store = store
        self._path = store.temporary_path()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, content: Buffer) -> None:
        view = memoryview(content).cast("B")
        with _translated(_TEMPORARY):
            while view:
                view = view[os.write(self._descriptor, view) :]

    def commit(self, key: str) -> None:
        with _translated(key):
            os.fsync(self._descriptor)
            self._store.publish(self._path, key)
        self.discard()

    def discard(self) -> None:
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
