"""A small cache of open files, shared by threads that read at positions of their own."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OpenFiles"]


@dataclass(slots=True)
class _OpenFile:
    descriptor: int
    readers: int = 0
    is_kept: bool = True


class OpenFiles:
    """Descriptors for reading, by key. Thread-safe; closes all with the object's end."""

    def __init__(self, most: int) -> None:
        """Keeps at most ``most`` files open that nobody reads at the moment."""
        self._most = most
        self._files: OrderedDict[str, _OpenFile] = OrderedDict()
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._files)

    @contextlib.contextmanager
    def borrow(self, key: str, path_of: Callable[[str], Path]) -> Generator[int]:
        """The descriptor of a file, which nobody closes while it is borrowed.

        Args:
            key: Names the file.
            path_of: Where it lies; asked only if it is not open.

        Raises:
            OSError: If it cannot be opened.
        """
        file = self._take(key, path_of)
        try:
            yield file.descriptor
        finally:
            self._give_back(file)

    def drop(self, key: str) -> None:
        """Close the file of ``key`` as soon as its last reader is through; later readers open anew."""
        with self._lock:
            file = self._files.pop(key, None)
            if file is not None:
                _let_go(file)

    def _take(self, key: str, path_of: Callable[[str], Path]) -> _OpenFile:
        with self._lock:
            file = self._files.get(key)
            if file is None:
                file = self._files[key] = _OpenFile(os.open(path_of(key), os.O_RDONLY | os.O_CLOEXEC))
                self._evict()
            self._files.move_to_end(key)
            file.readers += 1
            return file

    def _give_back(self, file: _OpenFile) -> None:
        with self._lock:
            file.readers -= 1
            if not file.is_kept and not file.readers:
                os.close(file.descriptor)

    def _evict(self) -> None:
        while len(self._files) > self._most:
            _let_go(self._files.popitem(last=False)[1])


def _let_go(file: _OpenFile) -> None:
    file.is_kept = False
    if not file.readers:
        os.close(file.descriptor)


def _close_all(files: OrderedDict[str, _OpenFile]) -> None:
    while files:
        _let_go(files.popitem()[1])
