"""New files and folders on this machine's disk: they appear complete and durable, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from mgit_core.errors import (
    AlreadyExistsError,
    ErrorReason,
    MGitError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
)

__all__ = ["NewFile", "check_new", "new_path", "translate_os_error"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is written at places, from several threads; no descriptor stays open."""

    path: Path

    @classmethod
    def make(cls, path: Path, size_bytes: int) -> NewFile:
        """A file of ``size_bytes`` zeros at ``path``, with the folders that it lies in.

        Raises:
            AlreadyExistsError: PATH_EXISTS: the file system takes two of the model's paths for one.
            ResourceExhaustedError: DISK_FULL.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.truncate(size_bytes)
        except OSError as error:
            raise translate_os_error(error, path) from error
        return cls(path)

    def write(self, offset: int, content: bytes) -> None:
        """Put ``content`` at ``offset``.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                view = memoryview(content)
                while view:
                    written = os.pwrite(descriptor, view, offset)
                    view, offset = view[written:], offset + written
            finally:
                os.close(descriptor)
        except OSError as error:
            raise translate_os_error(error, self.path) from error


def check_new(path: Path) -> None:
    """Refuse a path that exists, or whose folder does not.

    Raises:
        AlreadyExistsError: PATH_EXISTS.
        NotFoundError: PATH_NOT_FOUND.
    """
    if os.path.lexists(path):
        raise AlreadyExistsError(
            ErrorReason.PATH_EXISTS,
            f"{path} exists already. Nothing is overwritten: remove it, or choose another path.",
            path=path,
        )
    if not path.parent.is_dir():
        raise NotFoundError(
            ErrorReason.PATH_NOT_FOUND,
            f"There is no folder {path.parent} to write {path.name} to.",
            path=path,
        )


@contextlib.contextmanager
def new_path(target: Path) -> Generator[Path]:
    """A hidden name beside ``target`` for a file or folder that is still being written.

    On a normal exit it is made durable and gets its name; on any error it is removed.

    Raises:
        AlreadyExistsError: PATH_EXISTS, also if ``target`` appeared meanwhile.
        NotFoundError: PATH_NOT_FOUND.
        ResourceExhaustedError: DISK_FULL.
    """
    check_new(target)
    unfinished = target.with_name(f".{target.name[:40]}.{uuid.uuid4().hex}.partial")
    try:
        yield unfinished
        _make_durable(unfinished)
        _rename(unfinished, target)
    except OSError as error:
        _remove(unfinished)
        raise translate_os_error(error, target) from error
    except BaseException:
        _remove(unfinished)
        raise
    _sync(target.parent)


def translate_os_error(error: OSError, path: Path) -> MGitError:
    """What an error of the system means for somebody who writes to ``path``; raises the others again."""
    if error.errno in _FULL:
        return ResourceExhaustedError(
            ErrorReason.DISK_FULL, f"No room on the disk while {path} was written.", path=path
        )
    if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
        return AlreadyExistsError(
            ErrorReason.PATH_EXISTS, f"{path} was wanted as a new path, but something is there.", path=path
        )
    if error.errno in _FORBIDDEN:
        return PermissionDeniedError(
            ErrorReason.NOT_PERMITTED, f"{path} may not be written: {error.strerror}.", path=path
        )
    raise error


def _rename(unfinished: Path, target: Path) -> None:
    if unfinished.is_dir():
        check_new(target)
        unfinished.rename(target)  # Onto a folder with something in it this fails.
        return
    try:
        os.link(unfinished, target)  # Unlike a rename it never takes another file's place.
    except FileExistsError:
        check_new(target)
        raise
    except OSError:  # A file system without hard links.
        check_new(target)
        unfinished.rename(target)
        return
    unfinished.unlink()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_durable(path: Path) -> None:
    for parent, _, files in os.walk(path, topdown=False):
        for name in files:
            _sync(Path(parent, name))
        _sync(Path(parent))
    if path.is_file():
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
