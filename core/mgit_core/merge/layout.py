"""Which safetensors files a merged model is written to, by what files the sides were read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.manifest import Parameter
from mgit_core.tensor import TensorSpec

__all__ = ["LaidOutFile", "fits_layout", "lay_out", "safetensors_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidOutFile:
    """A safetensors file that a new header has to be written for.

    Attributes:
        path: Its path.
        prefix: What stands before its tensor names to make parameter names.
        parameters: In the order of the file.
    """

    path: str
    prefix: str
    parameters: tuple[Parameter, ...]


def fits_layout(parameters: Sequence[Parameter], of_side: Sequence[Parameter]) -> bool:
    """Whether a side's safetensors files can hold ``parameters`` as they are: same names, types and shapes."""
    return _specs(parameters) == _specs(of_side)


def lay_out(
    parameters: Sequence[Parameter],
    sides: Sequence[Sequence[tuple[FileEntry, Sequence[Parameter]]]],
) -> tuple[LaidOutFile, ...]:
    """Files for ``parameters``: each goes to the file of the first side that kept it in one, in that file's order.

    A parameter that no side kept in a file goes to none.

    Args:
        parameters: Of the merged model.
        sides: For each side, the most important first, its safetensors files with their parameters.
    """
    left = {parameter.name: parameter for parameter in parameters}
    placed: dict[str, list[Parameter]] = {}
    prefixes: dict[str, str] = {}
    for files in sides:
        for entry, held in files:
            if prefixes.setdefault(entry.path, entry.prefix) != entry.prefix:
                continue
            names = [parameter.name for parameter in held]
            placed.setdefault(entry.path, []).extend(left.pop(name) for name in names if name in left)
    return tuple(
        LaidOutFile(path=path, prefix=prefixes[path], parameters=tuple(found))
        for path, found in placed.items()
        if found
    )


def safetensors_of(files: FileList | None) -> tuple[FileEntry, ...]:
    """The safetensors files of a list."""
    return tuple(entry for entry in (files.files if files else ()) if entry.kind is FileKind.SAFETENSORS)


def _specs(parameters: Sequence[Parameter]) -> Mapping[str, TensorSpec]:
    return {parameter.name: parameter.spec for parameter in parameters}
