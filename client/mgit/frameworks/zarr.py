"""Reads Zarr groups of version 2 and 3, a block at a time, and shows and writes models as groups."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import zarr

from mgit.chunks import ChunkPlan
from mgit.frameworks.source import ArrayContent, Source, SourceParameter
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.manifest import Manifest
from mgit_core.ports.chunks import ChunkReader
from mgit_core.tensor import TensorSpec, name_of_dtype
from mgit_zarr import (
    NAME_ATTRIBUTE,
    POSITION_ATTRIBUTE,
    ChunkFile,
    chunk_files,
    new_group_folder,
    open_group,
    write_chunk_file,
)

__all__ = ["plan_zarr", "read_zarr", "show_zarr"]

AnyZarrArray: TypeAlias = "zarr.Array[Any]"


# What zarr-python and its codecs raise for metadata and chunks that they cannot take.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError)


def read_zarr(folder: Path) -> Source:
    """The model that a Zarr group is: an array a parameter, nested groups joined by ``/``.

    An array that MGit wrote has its true name in the attribute ``mgit_name``.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT, UNKNOWN_DTYPE or SHAPE_MISMATCH.
    """
    try:
        group = zarr.open_group(folder, mode="r")
        arrays = list(_arrays(group, ""))
    except _UNREADABLE as error:
        raise InvalidArgumentError(
            ErrorReason.UNREADABLE_INPUT,
            f"{folder.name} cannot be read as a Zarr group: {type(error).__name__}: {error}.",
        ) from error
    if not arrays:
        raise InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, f"Zarr group {folder.name} holds no array.")
    arrays.sort(key=lambda entry: _position(entry[1]))
    return Source(source_format="zarr", parameters=tuple(_read(name, array) for name, array in arrays))


def _position(array: AnyZarrArray) -> float:
    """Where MGit wrote the array; others come behind, in the order of their names."""
    position = array.attrs.get(POSITION_ATTRIBUTE)
    return position if isinstance(position, int) else math.inf


def _arrays(group: zarr.Group, prefix: str) -> Iterator[tuple[str, AnyZarrArray]]:
    for name, member in sorted(group.members(), key=lambda member: member[0]):
        if isinstance(member, zarr.Group):
            yield from _arrays(member, f"{prefix}{name}/")
        else:
            true_name = member.attrs.get(NAME_ATTRIBUTE)
            yield (true_name if isinstance(true_name, str) else prefix + name), member


def _read(name: str, array: AnyZarrArray) -> SourceParameter:
    try:
        spec = TensorSpec(name_of_dtype(array.dtype), array.shape)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            ErrorReason(error.reason), f"Array {name!r} cannot be stored: {error.message}", parameter=name
        ) from error
    return SourceParameter(name=name, spec=spec, content=ArrayContent(spec, _ZarrBlocks(name, array)))


@dataclass(frozen=True, slots=True)
class _ZarrBlocks:
    """An array whose blocks are read when they are wanted."""

    name: str
    array: AnyZarrArray

    def __getitem__(self, key: tuple[slice, ...], /) -> Any:
        try:
            return self.array[key]
        except _UNREADABLE as error:
            raise InvalidArgumentError(
                ErrorReason.UNREADABLE_INPUT,
                f"Array {self.name!r} cannot be read: {type(error).__name__}: {error}.",
                parameter=self.name,
            ) from error


def show_zarr(manifest: Manifest, reader: ChunkReader) -> zarr.Group:
    """The parameters as a read-only group; chunks are read when they are touched."""
    return open_group(manifest, reader)


@contextlib.contextmanager
def plan_zarr(folder: Path, manifest: Manifest) -> Generator[ChunkPlan]:
    """A plan that brings every chunk to its file in a new plain Zarr v3 folder.

    The folder appears, complete and durable, when the context is left without an error.

    Raises:
        AlreadyExistsError: PATH_EXISTS.
        ResourceExhaustedError: DISK_FULL.
    """
    with new_group_folder(folder, manifest) as unfinished:
        plan = ChunkPlan()
        for chunk in chunk_files(manifest):
            plan.add(chunk.digest, chunk.size_bytes, _ChunkFileSink(unfinished, chunk), 0)
        yield plan


@dataclass(frozen=True, slots=True)
class _ChunkFileSink:
    """The file of a chunk in a folder that is being written."""

    folder: Path
    chunk: ChunkFile

    def write(self, offset: int, content: bytes) -> None:  # noqa: ARG002 - a whole chunk is at offset 0
        write_chunk_file(self.folder, self.chunk, content)
