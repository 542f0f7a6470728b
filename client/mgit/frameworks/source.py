"""What a reader of models gives: parameters, files and ties, with their bytes read when they are wanted."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from mgit_core.chunking import chunk_shape
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.files import FileKind
from mgit_core.tensor import AnyArray, TensorSpec, dtype_named

__all__ = [
    "ArrayContent",
    "Blocks",
    "BufferContent",
    "Content",
    "FileContent",
    "Source",
    "SourceFile",
    "SourceParameter",
    "block_at",
    "bytes_of",
    "open_file",
]

Bytes: TypeAlias = "bytes | memoryview"


def block_at(spec: TensorSpec, start: int) -> tuple[slice, ...]:
    """The block of a tensor whose bytes are the chunk of rule ``c1`` that begins at byte ``start``."""
    if not spec.shape:
        return ()
    corner = np.unravel_index(start // spec.itemsize, spec.shape)
    return tuple(
        slice(int(at), min(int(at) + rows, length))
        for at, rows, length in zip(corner, chunk_shape(spec), spec.shape, strict=True)
    )


def bytes_of(array: AnyArray) -> memoryview:
    """The bytes of an array in C order, shared with it."""
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


class Content(Protocol):
    """Bytes of a parameter or file. Thread-safe."""

    def read(self, start: int, stop: int) -> Bytes:
        """The bytes from ``start`` to ``stop``, which is one chunk of rule ``c1``."""
        ...


@dataclass(frozen=True, slots=True)
class FileContent:
    """Bytes of a file, read when they are wanted: a mapped file that somebody cuts would end the process.

    Attributes:
        path: The file.
        stamp: Device, inode, size and time of change when it was opened.
        offset: Where byte 0 of this content lies in the file.
    """

    path: Path
    stamp: tuple[int, int, int, int]
    offset: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole file."""
        return self.stamp[2]

    def at(self, offset: int) -> FileContent:
        """The content that begins ``offset`` bytes later."""
        return FileContent(self.path, self.stamp, self.offset + offset)

    def read(self, start: int, stop: int) -> Bytes:
        descriptor = _open(self.path)
        try:
            if _stamp(self.path, descriptor) != self.stamp:
                raise InvalidArgumentError(
                    ErrorReason.UNREADABLE_INPUT, f"File {self.path} was changed while it was read."
                )
            content = os.pread(descriptor, stop - start, self.offset + start)
            while len(content) < stop - start:  # A signal or a network file system may cut a read short.
                more = os.pread(descriptor, stop - start - len(content), self.offset + start + len(content))
                if not more:
                    raise InvalidArgumentError(
                        ErrorReason.UNREADABLE_INPUT,
                        f"File {self.path} ends before byte {self.offset + stop}.",
                    )
                content += more
        except OSError as error:
            raise InvalidArgumentError(
                ErrorReason.UNREADABLE_INPUT, f"File {self.path} cannot be read: {error.strerror}."
            ) from error
        finally:
            os.close(descriptor)
        return content


class Blocks(Protocol):
    """Anything that is sliced as numpy arrays are."""

    def __getitem__(self, key: tuple[slice, ...], /) -> Any:
        """The block."""
        ...


@dataclass(frozen=True, slots=True)
class BufferContent:
    """Bytes that lie in memory; nothing is copied."""

    view: memoryview

    def read(self, start: int, stop: int) -> Bytes:
        return self.view[start:stop]


@dataclass(frozen=True, slots=True)
class ArrayContent:
    """The C-order, little-endian bytes of something array-like, a chunk at a time.

    Attributes:
        spec: Data type and shape.
        array: Any strides and byte order; or a Zarr array.
    """

    spec: TensorSpec
    array: Blocks

    def read(self, start: int, stop: int) -> Bytes:
        key = block_at(self.spec, start)
        block: AnyArray = np.asarray(self.array[key], dtype=dtype_named(self.spec.dtype), order="C")
        content = bytes_of(block)
        if len(content) != stop - start:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"A block of an array of shape {self.spec.shape} has {len(content)} bytes; {stop - start} were "
                "wanted.",
            )
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceParameter:
    """A named tensor to be added."""

    name: str
    spec: TensorSpec
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to be added.

    Attributes:
        path: Relative, joined by ``/``.
        kind: How its bytes are kept.
        size_bytes: Bytes of the whole file.
        stored_bytes: Bytes that are kept: all, or a safetensors file's header.
        content: The kept bytes.
        prefix: What stands before a safetensors file's tensor names to make parameter names.
    """

    path: str
    kind: FileKind
    size_bytes: int
    stored_bytes: int
    content: Content
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model to be added, as a reader found it.

    Attributes:
        source_format: ``safetensors``, ``folder``, ``torch``, ``numpy`` or ``zarr``.
        parameters: In the order of the source.
        files: By path.
        ties: Groups of parameter names that share one memory.
        base_model: What an adapter says it was made for; None for any other model.
        notes: What a person should know, a sentence each.
        layer_graph: The document of its layer graph; empty for a source that tells none.
    """

    source_format: str
    parameters: tuple[SourceParameter, ...]
    files: tuple[SourceFile, ...] = ()
    ties: tuple[tuple[str, ...], ...] = ()
    base_model: str | None = None
    notes: tuple[str, ...] = ()
    layer_graph: bytes = b""


def open_file(path: Path) -> FileContent:
    """The bytes of a file, none of them read yet.

    Raises:
        NotFoundError: PATH_NOT_FOUND.
        InvalidArgumentError: UNREADABLE_INPUT, for anything but a regular file that may be read.
    """
    descriptor = _open(path)
    try:
        return FileContent(path, _stamp(path, descriptor))
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        # A pipe without a writer would otherwise block for ever.
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFoundError(ErrorReason.PATH_NOT_FOUND, f"There is no file {path}.") from error
    except OSError as error:
        raise InvalidArgumentError(
            ErrorReason.UNREADABLE_INPUT, f"File {path} cannot be opened: {error.strerror}."
        ) from error


def _stamp(path: Path, descriptor: int) -> tuple[int, int, int, int]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArgumentError(
            ErrorReason.UNREADABLE_INPUT, f"{path} is no file but a folder or a device."
        )
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
