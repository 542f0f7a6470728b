"""Memory in which several models lie together, each piece of content once.

It is a file without a name, mapped as often as it is looked at: read-only, or privately, so that the system copies
a page when somebody writes to it. It goes when the last array over it goes.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Generator, Mapping

from mgit_core.digest import Digest

__all__ = ["SharedMemory"]

_ALIGNMENT = 64  # A cache line, which also suits the widest item.


class SharedMemory:
    """Room for content by digest.

    Args:
        sizes: Bytes of each content.

    Raises:
        OSError: If there is no room for it.
    """

    def __init__(self, sizes: Mapping[Digest, int]) -> None:
        self._places: dict[Digest, tuple[int, int]] = {}
        end = 0
        for digest, size_bytes in sizes.items():
            self._places[digest] = (end, size_bytes)
            end += -(-size_bytes // _ALIGNMENT) * _ALIGNMENT
        self._size_bytes = end
        self._file = _open_nameless()
        os.ftruncate(self._file, end)

    def __del__(self) -> None:
        """Let go of the file; maps of it stay."""
        os.close(self._file)

    @contextlib.contextmanager
    def filling(self) -> Generator[Mapping[Digest, memoryview]]:
        """The content by digest, to be written; what is written is seen by all other views."""
        whole = self._map(mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        views = self._cut(whole)
        yield views
        # An error above leaves the views to the collector: a traceback may still show them.
        for view in views.values():
            view.release()

    def read_only(self) -> Mapping[Digest, memoryview]:
        """The content by digest; nobody can write to it."""
        return self._cut(self._map(mmap.MAP_SHARED, mmap.PROT_READ))

    def private(self) -> Mapping[Digest, memoryview]:
        """The content by digest; what is written is seen here only, and takes memory from then on."""
        return self._cut(self._map(mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE))

    def _map(self, flags: int, protection: int) -> mmap.mmap | bytearray:
        if not self._size_bytes:  # Nothing cannot be mapped.
            return bytearray()
        return mmap.mmap(self._file, self._size_bytes, flags=flags, prot=protection)

    def _cut(self, whole: mmap.mmap | bytearray) -> dict[Digest, memoryview]:
        view = memoryview(whole)
        return {digest: view[start : start + size] for digest, (start, size) in self._places.items()}


def _open_nameless() -> int:
    make = getattr(os, "memfd_create", None)
    if make is not None:  # Memory itself, where the system gives it.
        file: int = make("mgit", os.MFD_CLOEXEC)
        return file
    with tempfile.TemporaryFile() as on_disk:
        return os.dup(on_disk.fileno())
