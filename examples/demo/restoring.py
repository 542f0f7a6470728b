"""Reads models back and compares them with what was added, byte for byte."""

from __future__ import annotations

import filecmp
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from examples.demo.adding import Kept

from mgit.errors import CorruptError, ErrorReason

__all__ = ["is_equal", "restore_all"]


def restore_all(kept: Sequence[Kept], tell: Callable[[Kept], None]) -> int:
    """Writes every model to a temporary folder and compares each of its files; gives how many there were.

    Raises:
        CorruptError: CHUNK_CORRUPT, a file is missing, is one too many, or has other bytes.
    """
    for each in kept:
        with tempfile.TemporaryDirectory(prefix="mgit-demo-") as folder:
            restored = each.model.save(Path(folder) / "restored", progress=None)
            if not is_equal(each.built.path, restored):
                raise CorruptError(
                    ErrorReason.CHUNK_CORRUPT, f"{each.model.ref} did not come back as it was added."
                )
        tell(each)
    return len(kept)


def is_equal(wanted: Path, found: Path) -> bool:
    """Whether two folders have the same files with the same bytes."""
    names = _files(wanted)
    return names == _files(found) and all(
        filecmp.cmp(wanted / name, found / name, shallow=False) for name in names
    )


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
