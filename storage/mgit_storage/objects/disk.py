"""The few calls that change a disk. Everything that a local store writes goes through them.

They stand apart so that a test can stand between a store and its disk, and forget what was not synced.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """The real disk. Every method raises OSError as the system does."""

    def create(self, path: Path) -> int:
        """A descriptor for writing of a new empty file.

        Raises:
            FileExistsError: There is one already.
        """
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, content: memoryview) -> int:
        """Append some of ``content``; returns how many bytes."""
        return os.write(descriptor, content)

    def begin_sync(self, descriptor: int, start: int, size: int) -> None:
        """Ask the system to begin writing a range back, so that a later ``sync`` has less to wait for."""
        if hasattr(os, "posix_fadvise"):
            # Linux starts writing dirty pages of the range, and drops only those that are clean already.
            os.posix_fadvise(descriptor, start, size, os.POSIX_FADV_DONTNEED)

    def sync(self, descriptor: int) -> None:
        """Make the content of a file durable. Its name is another matter: ``sync_folder``."""
        os.fsync(descriptor)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name.

        Raises:
            FileExistsError: The name is taken.
        """
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Make a folder, unless it is there."""
        path.mkdir(exist_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
