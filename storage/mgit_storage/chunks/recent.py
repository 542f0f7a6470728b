"""Raw bytes of chunks that were decoded a moment ago."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mgit_core.digest import Digest

__all__ = ["RecentChunks"]


class RecentChunks:
    """The chunks that were asked for last, up to a bound of their bytes. Thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._chunks: OrderedDict[Digest, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, digest: Digest) -> bytes | None:
        """The bytes that were put, if they are still there."""
        with self._lock:
            content = self._chunks.get(digest)
            if content is not None:
                self._chunks.move_to_end(digest)
            return content

    def put(self, digest: Digest, content: bytes) -> None:
        """Keep ``content``, in place of what was there, and let go of what was not asked for longest."""
        with self._lock:
            self._bytes += len(content) - len(self._chunks.pop(digest, b""))
            self._chunks[digest] = content
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._chunks.popitem(last=False)[1])
