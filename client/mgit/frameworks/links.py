"""Symbolic links in folders of models: read through where they stay inside, refused elsewhere."""

from __future__ import annotations

from pathlib import Path

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["LinkRule"]


class LinkRule:
    """What a link in ``folder`` may lead to.

    A snapshot in a Hub cache consists of links into the ``blobs`` beside its ``snapshots``, so these count as
    inside.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        real = folder.resolve()
        blobs = real.parent.parent / "blobs"
        is_snapshot = real.parent.name == "snapshots" and blobs.is_dir()
        self._roots = (real, blobs.resolve()) if is_snapshot else (real,)

    def check(self, path: Path) -> None:
        """Refuse a link that leads nowhere, to a folder, or out of the folder; anything but a link is right.

        Raises:
            InvalidArgumentError: UNREADABLE_INPUT.
        """
        if not path.is_symlink():
            return
        target = path.resolve()
        if not target.exists():
            self._refuse(path, "leads nowhere")
        if target.is_dir():
            self._refuse(path, "leads to a folder, which could not come back as it is")
        if not any(target.is_relative_to(root) for root in self._roots):
            self._refuse(path, "leads out of the folder")

    def _refuse(self, path: Path, found: str) -> None:
        name = path.relative_to(self._folder).as_posix()
        raise InvalidArgumentError(
            ErrorReason.UNREADABLE_INPUT,
            f"Folder {self._folder.name!r} cannot be added: link {name!r} {found}.",
        )
