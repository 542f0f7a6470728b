"""Three-way merge of file lists: opaque files by content; safetensors files follow the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.merge.comparing import classify
from mgit_core.merge.values import Conflict, ConflictChoice, MergeSides, ParameterClass, SideChange

__all__ = ["FilePlan", "plan_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlan:
    """The files of a merge.

    Attributes:
        source_format: What the result looks like; empty if nothing is said.
        opaque: Files that are kept whole, by path.
        conflicts: Files that both sides changed differently.
        notes: What a person should know.
    """

    source_format: str = ""
    opaque: tuple[FileEntry, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()


def plan_files(sides: MergeSides, choose: Callable[[str], ConflictChoice | None]) -> FilePlan:
    """The files of the result; the safetensors files are laid out later, when the parameters are known.

    Of a file that both sides changed differently ours is taken where numbers were to be computed.

    Args:
        sides: The three models.
        choose: Gives what was chosen for a path.
    """
    base, ours, theirs = (_opaque(side.files) for side in (sides.base, sides.ours, sides.theirs))
    kept: list[FileEntry] = []
    conflicts: list[Conflict] = []
    notes: list[str] = []
    for path in sorted({*base, *ours, *theirs}):
        versions = base.get(path), ours.get(path), theirs.get(path)
        choice: ConflictChoice | None = ConflictChoice.OURS
        kind = classify(*versions)
        if kind is ParameterClass.CONFLICT:
            choice = choose(path)
            if choice is not None and choice.is_computed:
                choice = ConflictChoice.OURS
                notes.append(
                    f"File {path} was changed by both sides; ours was taken, since it holds no numbers."
                )
            conflicts.append(_conflict(path, versions, choice))
        elif kind is ParameterClass.THEIRS:
            choice = ConflictChoice.THEIRS
        entry = versions[2] if choice is ConflictChoice.THEIRS else versions[1]
        kept += [] if entry is None else [entry]
    return FilePlan(
        source_format=_source_format(sides),
        opaque=tuple(_without_clashes(kept, notes)),
        conflicts=tuple(conflicts),
        notes=tuple(notes),
    )


def _opaque(files: FileList | None) -> dict[str, FileEntry]:
    return {entry.path: entry for entry in (files.files if files else ()) if entry.kind is FileKind.OPAQUE}


def _source_format(sides: MergeSides) -> str:
    base, ours, theirs = (
        side.files.source_format if side.files else "" for side in (sides.base, sides.ours, sides.theirs)
    )
    return theirs if classify(base, ours, theirs) is ParameterClass.THEIRS else ours


def _conflict(path: str, versions: Sequence[FileEntry | None], choice: ConflictChoice | None) -> Conflict:
    base, ours, theirs = versions
    changes = _change(base, ours), _change(base, theirs)
    words = [_WORDS[change] for change in changes]
    return Conflict(
        names=(path,),
        layers=(),
        ours=changes[0],
        theirs=changes[1],
        choices=(ConflictChoice.OURS, ConflictChoice.THEIRS),
        choice=choice,
        why=f"both {words[0]}" if words[0] == words[1] else f"ours {words[0]}, theirs {words[1]}",
        is_file=True,
    )


_WORDS: Mapping[SideChange, str] = {
    SideChange.CHANGED: "changed it",
    SideChange.ADDED: "added it",
    SideChange.DELETED: "deleted it",
}


def _change(base: FileEntry | None, side: FileEntry | None) -> SideChange:
    if base is None:
        return SideChange.ADDED
    return SideChange.DELETED if side is None else SideChange.CHANGED


def _without_clashes(entries: Sequence[FileEntry], notes: list[str]) -> list[FileEntry]:
    """The files less those whose path is a folder of another, which one side made of a file."""
    folders = {
        entry.path[:at] for entry in entries for at, character in enumerate(entry.path) if character == "/"
    }
    notes += [
        f"File {entry.path} was left out, since the other side has a folder of that name."
        for entry in entries
        if entry.path in folders
    ]
    return [entry for entry in entries if entry.path not in folders]
