"""Ways around a store to the bytes that lie below it: suites damage them, and look at what is really there."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mgit_storage.objects import MemoryObjectStore

__all__ = ["RawFolder", "RawMemory", "RawObjects", "flip_bit"]


class RawObjects(Protocol):
    """Objects by key, without the rules of an object store: what is there may be replaced."""

    def list(self) -> list[str]:
        """Every key, sorted; temporary objects are left out."""
        ...

    def read(self, key: str) -> bytes:
        """The whole object."""
        ...

    def write(self, key: str, content: bytes) -> None:
        """Make or replace an object."""
        ...

    def remove(self, key: str) -> None:
        """Take an object away."""
        ...


class RawFolder:
    """The objects of a local store, as files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self) -> list[str]:
        files = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        return sorted(key for key in files if not key.startswith("tmp/"))

    def read(self, key: str) -> bytes:
        return (self._root / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, key: str) -> None:
        (self._root / key).unlink()


class RawMemory:
    """The objects of a store in memory."""

    def __init__(self, objects: MemoryObjectStore) -> None:
        self._content = objects.content

    def list(self) -> list[str]:
        return sorted(self._content)

    def read(self, key: str) -> bytes:
        return self._content[key]

    def write(self, key: str, content: bytes) -> None:
        self._content[key] = content

    def remove(self, key: str) -> None:
        del self._content[key]


def flip_bit(raw: RawObjects, key: str, at: int, bit: int = 0) -> None:
    """Damage one bit of byte ``at`` of an object; a negative ``at`` counts from the end."""
    content = bytearray(raw.read(key))
    content[at] ^= 1 << bit
    raw.write(key, bytes(content))
