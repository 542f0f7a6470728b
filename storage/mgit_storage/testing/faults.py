"""Object stores that fail on purpose, in front of real ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from typing_extensions import Buffer

from mgit_core.errors import ErrorReason, ResourceExhaustedError
from mgit_storage.objects import ObjectState, ObjectStore, ObjectUsage, StagedObject

__all__ = ["FaultyObjectStore", "FullDisk"]

Fault: TypeAlias = Callable[[str, str], None]
"""Called before each step with its name and key; raises to break the step, blocks to slow it down."""


class FaultyObjectStore(ObjectStore):
    """An object store whose every step first asks ``fault``.

    Steps are ``put stage write commit get get_range view list survey delete discard_stale usage``; the key of
    ``stage``, ``write``, ``discard_stale`` and ``usage`` is empty. ``fault`` may be replaced at any time.
    """

    def __init__(self, inner: ObjectStore, fault: Fault = lambda _step, _key: None) -> None:
        self.inner = inner
        self.fault = fault

    def put(self, key: str, content: Buffer) -> None:
        self.fault("put", key)
        self.inner.put(key, content)

    def stage(self) -> StagedObject:
        self.fault("stage", "")
        return _FaultyStaged(self, self.inner.stage())

    def get(self, key: str) -> bytes:
        self.fault("get", key)
        return self.inner.get(key)

    def get_range(self, key: str, start: int, size: int) -> bytes:
        self.fault("get_range", key)
        return self.inner.get_range(key, start, size)

    def view(self, key: str) -> memoryview:
        self.fault("view", key)
        return self.inner.view(key)

    def list(self, folder: str) -> list[str]:
        self.fault("list", folder)
        return self.inner.list(folder)

    def survey(self, folder: str) -> dict[str, ObjectState]:
        self.fault("survey", folder)
        return self.inner.survey(folder)

    def delete(self, key: str) -> None:
        self.fault("delete", key)
        self.inner.delete(key)

    def discard_stale(self, older_than_s: float) -> int:
        self.fault("discard_stale", "")
        return self.inner.discard_stale(older_than_s)

    def usage(self) -> ObjectUsage:
        self.fault("usage", "")
        return self.inner.usage()


class _FaultyStaged(StagedObject):
    def __init__(self, store: FaultyObjectStore, inner: StagedObject) -> None:
        self._store = store
        self._inner = inner

    def write(self, content: Buffer) -> None:
        self._store.fault("write", "")
        self._inner.write(content)

    def commit(self, key: str) -> None:
        self._store.fault("commit", key)
        self._inner.commit(key)

    def discard(self) -> None:
        self._inner.discard()


class FullDisk(FaultyObjectStore):
    """An object store that takes ``free_bytes`` more and then answers DISK_FULL.

    What does not fit is not written, as on a real disk: a staged object keeps what fitted before, and gives
    its bytes back when it is discarded. ``free_bytes`` may be set at any time.
    """

    def __init__(self, inner: ObjectStore, free_bytes: int) -> None:
        super().__init__(inner)
        self.free_bytes = free_bytes
        self._lock = threading.Lock()

    def put(self, key: str, content: Buffer) -> None:
        size = memoryview(content).nbytes
        self.take(size)
        try:
            super().put(key, content)
        except BaseException:
            self.give_back(size)
            raise

    def stage(self) -> StagedObject:
        return _StagedOnFullDisk(self, super().stage())

    def take(self, size: int) -> None:
        """Use ``size`` free bytes up.

        Raises:
            ResourceExhaustedError: DISK_FULL, if there are not so many.
        """
        with self._lock:
            if size > self.free_bytes:
                raise ResourceExhaustedError(
                    ErrorReason.DISK_FULL,
                    f"The disk of the store is full: {size} bytes were wanted, {self.free_bytes} are free.",
                )
            self.free_bytes -= size

    def give_back(self, size: int) -> None:
        """Make ``size`` bytes free again."""
        with self._lock:
            self.free_bytes += size


class _StagedOnFullDisk(StagedObject):
    def __init__(self, disk: FullDisk, inner: StagedObject) -> None:
        self._disk = disk
        self._inner = inner
        self._size = 0

    def write(self, content: Buffer) -> None:
        size = memoryview(content).nbytes
        self._disk.take(size)
        self._size += size
        self._inner.write(content)

    def commit(self, key: str) -> None:
        self._inner.commit(key)
        self._size = 0

    def discard(self) -> None:
        self._inner.discard()
        self._disk.give_back(self._size)
        self._size = 0
