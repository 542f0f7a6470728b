"""Objects in memory: for tests and throw-away stores."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from typing_extensions import Buffer

from mgit_core.errors import AlreadyExistsError, ErrorReason, NotFoundError
from mgit_storage.objects.base import ObjectState, ObjectStore, ObjectUsage, StagedObject, check_key

__all__ = ["MemoryObjectStore"]


class MemoryObjectStore(ObjectStore):
    """Objects in a dictionary; gone with the process.

    Attributes:
        content: The objects by key, for tests that reach around the port.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """No objects; ``clock``, in seconds, is replaced by tests only."""
        self.content: dict[str, bytes] = {}
        self._made: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.Lock()

    def put(self, key: str, content: Buffer) -> None:
        check_key(key)
        with self._lock:
            if key in self.content:
                raise AlreadyExistsError(ErrorReason.OBJECT_EXISTS, f"Object {key} exists already.", key=key)
            self.content[key] = bytes(content)
            self._made[key] = self._clock()

    def stage(self) -> StagedObject:
        return _StagedInMemory(self)

    def get(self, key: str) -> bytes:
        try:
            return self.content[check_key(key)]
        except KeyError:
            raise NotFoundError(ErrorReason.OBJECT_NOT_FOUND, f"There is no object {key}.", key=key) from None

    def get_range(self, key: str, start: int, size: int) -> bytes:
        return self.get(key)[start : start + size]

    def view(self, key: str) -> memoryview:
        return memoryview(self.get(key))

    def list(self, folder: str) -> list[str]:
        check_key(folder)
        with self._lock:
            return sorted(key for key in self.content if key.startswith(f"{folder}/"))

    def survey(self, folder: str) -> dict[str, ObjectState]:
        check_key(folder)
        now = self._clock()
        with self._lock:
            return {
                key: ObjectState(size_bytes=len(content), age_s=now - self._made.get(key, now))
                for key, content in sorted(self.content.items())
                if key.startswith(f"{folder}/")
            }

    def delete(self, key: str) -> None:
        with self._lock:
            self.content.pop(check_key(key), None)
            self._made.pop(key, None)

    def discard_stale(self, older_than_s: float) -> int:  # noqa: ARG002 - what is staged ends with the process
        return 0

    def usage(self) -> ObjectUsage:
        sizes: Counter[str] = Counter()
        with self._lock:
            for key, content in self.content.items():
                sizes[key.partition("/")[0] if "/" in key else ""] += len(content)
        return ObjectUsage(by_folder=dict(sizes), overhead_bytes=0)


class _StagedInMemory(StagedObject):
    def __init__(self, store: MemoryObjectStore) -> None:
        self._store = store
        self._parts: list[bytes] = []

    def write(self, content: Buffer) -> None:
        self._parts.append(bytes(content))

    def commit(self, key: str) -> None:
        self._store.put(key, b"".join(self._parts))
        self._parts.clear()

    def discard(self) -> None:
        self._parts.clear()
