"""A disk whose power can be cut: it forgets every byte and every name that was not synced."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from mgit_storage.objects import LocalObjectStore
from mgit_storage.objects.disk import Disk

__all__ = ["ForgetfulDisk", "ForgetfulObjectStore", "PowerCutError"]

Survives: TypeAlias = Callable[[Path], bool]
"""Whether a change of a name that was not synced is on the disk nevertheless; its path is relative to the root."""


class PowerCutError(Exception):
    """The power is off; no step changes the disk any more."""


@dataclass(slots=True)
class _File:
    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""


@dataclass(slots=True)
class _Folder:
    names: dict[str, _File | _Folder] = field(default_factory=dict)
    synced: dict[str, _File | _Folder] = field(default_factory=dict)


class ForgetfulDisk(Disk):
    """The real disk, with a record beside it of what would be left if the power were cut now.

    A sync is recorded and not done, since only the record survives anyway. Each change counts as a step. With ``cut_after`` the power goes before the step behind so many: that step
    and all later ones raise PowerCutError and change nothing.
    """

    def __init__(self, root: Path, *, cut_after: int | None = None) -> None:
        """A disk on which ``root`` itself is durable, and empty."""
        self._root = root.absolute()
        self._top = _Folder()
        self._open: dict[int, _File] = {}
        self._lock = threading.RLock()
        self.cut_after = cut_after
        self.steps = 0

    def create(self, path: Path) -> int:
        with self._lock:
            self._step()
            descriptor = super().create(path)
            file = self._open[descriptor] = _File()
            self._names(path.parent)[path.name] = file
            return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        with self._lock:
            self._step()
            written = super().write(descriptor, content)
            self._open[descriptor].content += content[:written]
            return written

    def begin_sync(self, descriptor: int, start: int, size: int) -> None:
        """Promises nothing, so nothing becomes durable here."""

    def sync(self, descriptor: int) -> None:
        with self._lock:
            self._step()
            file = self._open[descriptor]
            file.synced = bytes(file.content)

    def link(self, source: Path, target: Path) -> None:
        with self._lock:
            self._step()
            super().link(source, target)
            self._names(target.parent)[target.name] = self._names(source.parent)[source.name]

    def unlink(self, path: Path) -> None:
        with self._lock:
            self._step()
            super().unlink(path)
            self._names(path.parent).pop(path.name, None)  # Somebody else's name may not be recorded yet.

    def make_folder(self, path: Path) -> None:
        with self._lock:
            self._step()
            super().make_folder(path)
            self._names(path.parent).setdefault(path.name, _Folder())

    def sync_folder(self, path: Path) -> None:
        if not path.is_relative_to(self._root):
            return
        with self._lock:
            self._step()
            folder = self._folder(path)
            for name in path.iterdir():
                self._adopt(folder, name)
            folder.synced = dict(folder.names)

    def write_remains(
        self,
        target: Path,
        survives: Survives = lambda _path: False,
        is_gone: Survives = lambda _path: False,
    ) -> None:
        """Write into the empty folder ``target`` what a cut of the power now leaves.

        Args:
            target: An existing empty folder.
            survives: Names that were not synced may be there nevertheless; a file that has its name but was
                not synced is empty.
            is_gone: Names that were taken away without a sync may be gone nevertheless.
        """
        with self._lock:
            _write_folder(self._top, target, Path(), survives, is_gone)

    def _step(self) -> None:
        if self.cut_after is not None and self.steps >= self.cut_after:
            raise PowerCutError
        self.steps += 1

    def _folder(self, path: Path) -> _Folder:
        folder, at = self._top, self._root
        for part in path.relative_to(self._root).parts:
            at /= part
            self._adopt(folder, at)
            below = folder.names[part]
            if not isinstance(below, _Folder):
                raise NotADirectoryError(path)
            folder = below
        return folder

    @staticmethod
    def _adopt(folder: _Folder, path: Path) -> None:
        """Record what another process made; its content is taken for durable, its name is not."""
        if path.name not in folder.names:
            folder.names[path.name] = _Folder() if path.is_dir() else _File(synced=path.read_bytes())

    def _names(self, folder: Path) -> dict[str, _File | _Folder]:
        return self._folder(folder).names


class ForgetfulObjectStore(LocalObjectStore):
    """A local object store on a forgetful disk.

    Attributes:
        disk: The disk; set ``disk.cut_after`` to cut the power.
    """

    def __init__(self, root: Path, *, cut_after: int | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.disk = ForgetfulDisk(root, cut_after=cut_after)
        super().__init__(root, self.disk)


def _write_folder(folder: _Folder, target: Path, at: Path, survives: Survives, is_gone: Survives) -> None:
    fresh = {name: entry for name, entry in folder.names.items() if folder.synced.get(name) is not entry}
    left = folder.synced | {name: entry for name, entry in fresh.items() if survives(at / name)}
    for name, entry in left.items():
        path = target / at / name
        if name not in folder.names and is_gone(at / name):
            continue
        if isinstance(entry, _Folder):
            path.mkdir()
            _write_folder(entry, target, at / name, survives, is_gone)
        else:
            path.write_bytes(entry.synced)
