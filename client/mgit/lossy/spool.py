"""Bytes that are put aside: in a file without a name, so that memory does not grow with the model."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

from mgit.closing import Closing
from mgit_core.errors import ErrorReason, ResourceExhaustedError

__all__ = ["Spool", "SpooledContent"]


class Spool(Closing):
    """A temporary file that is gone when it is closed, or when the process ends. Thread-safe."""

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        except OSError as error:
            raise _failed(error) from error
        self._size = 0

    def reserve(self, size_bytes: int) -> int:
        """The place of ``size_bytes`` behind all that was reserved before."""
        start = self._size
        self._size += size_bytes
        return start

    def write(self, offset: int, content: bytes | memoryview) -> None:
        """Put ``content`` at ``offset``.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        rest = memoryview(content).cast("B")
        try:
            while rest:  # A signal may cut a write short.
                written = os.pwrite(self._file.fileno(), rest, offset)
                offset, rest = offset + written, rest[written:]
        except OSError as error:
            raise _failed(error) from error

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop``, which were written before."""
        content = os.pread(self._file.fileno(), stop - start, start)
        while len(content) < stop - start:
            more = os.pread(self._file.fileno(), stop - start - len(content), start + len(content))
            assert more  # noqa: S101 - only what was written is read, and nobody else has the file
            content += more
        return content

    def close(self) -> None:
        """Let go of the bytes. Idempotent."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class SpooledContent:
    """A parameter whose bytes begin at ``offset`` of a spool."""

    spool: Spool
    offset: int

    def write(self, offset: int, content: bytes | memoryview) -> None:
        """Put ``content`` at ``offset`` of the parameter."""
        self.spool.write(self.offset + offset, content)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop`` of the parameter."""
        return self.spool.read(self.offset + start, self.offset + stop)


def _failed(error: OSError) -> ResourceExhaustedError:
    folder = tempfile.gettempdir()
    return ResourceExhaustedError(
        ErrorReason.DISK_FULL,
        f"Guarded loss puts the parent and the new weights aside in {folder}, as large as both: "
        f"{error.strerror}.",
    )
