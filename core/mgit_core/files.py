"""File lists: the files beside and around the parameters of a model.

What goes in as a folder comes out as the same folder, byte for byte. A file's bytes are chunks like all
others. Of a safetensors file only the header text is kept, since its tensors are parameters already.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from mgit_core.chunking import file_chunk_count, file_chunk_sizes
from mgit_core.digest import DIGEST_SIZE, Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError

__all__ = ["FILE_LIST_VERSION", "FileEntry", "FileKind", "FileList", "check_file_path"]

FILE_LIST_VERSION = 1
_FORMAT = "mgit-files"
_Value = TypeVar("_Value", str, int)
_SLASH = re.compile("/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class FileKind(enum.StrEnum):
    """How a file's bytes are kept."""

    OPAQUE = "opaque"
    SAFETENSORS = "safetensors"


def check_file_path(path: str) -> str:
    """``path`` itself, if it may name a file of a model.

    Raises:
        InvalidArgumentError: INVALID_NAME.
    """
    parts = path.split("/")
    bad_part = any(part in {"", ".", ".."} or len(part.encode("utf-8", "replace")) > 255 for part in parts)
    if bad_part or "\\" in path or _CONTROL.search(path) or len(path) > 4096:
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME,
            "A file path is relative, joined by '/', without '.', '..', '\\' and control characters; found "
            f"{path[:80]!r}.",
        )
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file.

    Attributes:
        path: Relative path, joined by ``/``.
        kind: How the bytes are kept.
        size_bytes: Bytes of the whole file.
        stored_bytes: Bytes kept as chunks: all of an opaque file, the length field and header text of a
            safetensors file.
        chunks: Digests of the kept bytes, cut every 1 MiB.
        prefix: What stands before a safetensors file's tensor names to make parameter names; else empty.
    """

    path: str
    kind: FileKind
    size_bytes: int
    stored_bytes: int
    chunks: tuple[Digest, ...]
    prefix: str = ""

    def __post_init__(self) -> None:
        """Refuses sizes that cannot be.

        Raises:
            InvalidArgumentError: INVALID_NAME or SHAPE_MISMATCH.
        """
        check_file_path(self.path)
        wanted = file_chunk_count(self.stored_bytes)
        sizes_fit = 0 <= self.stored_bytes <= self.size_bytes < 2**63 and len(self.chunks) == wanted
        whole = self.kind is FileKind.SAFETENSORS or self.stored_bytes == self.size_bytes
        if not (sizes_fit and whole) or any(len(chunk) != DIGEST_SIZE for chunk in self.chunks):
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"File {self.path!r} with {self.stored_bytes} of {self.size_bytes} bytes kept has {wanted} "
                f"chunks; found {len(self.chunks)}.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """What a model looked like where it came from.

    Attributes:
        algorithm: Digest algorithm of every digest in it.
        source_format: ``safetensors``, ``folder``, ``torch``, ``numpy`` or ``zarr``.
        files: In the order of their paths.
        ties: Groups of parameter names that shared one memory at the source.
    """

    algorithm: DigestAlgorithm
    source_format: str
    files: tuple[FileEntry, ...] = ()
    ties: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuses paths that are not sorted and unique, or one that is a folder of another.

        Raises:
            InvalidArgumentError: INVALID_NAME.
        """
        paths = [entry.path for entry in self.files]
        known = set(paths)
        has_folder = any(path[: slash.start()] in known for path in paths for slash in _SLASH.finditer(path))
        if has_folder or paths != sorted(known):
            raise InvalidArgumentError(
                ErrorReason.INVALID_NAME,
                "The paths of a file list are sorted, unique, and no path is a folder.",
            )

    @property
    def digest(self) -> Digest:
        """Identity of the file list."""
        return digest_of(self.algorithm, self.to_bytes())

    @property
    def stored_bytes(self) -> int:
        """Bytes of attached content, tensors not counted."""
        return sum(entry.stored_bytes for entry in self.files)

    def chunk_sizes(self) -> dict[Digest, int]:
        """Every distinct chunk with its size in bytes, in order of first use."""
        return {
            digest: size
            for entry in self.files
            for digest, size in zip(entry.chunks, file_chunk_sizes(entry.stored_bytes), strict=True)
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes: JSON with sorted keys, no spaces, ASCII only, one final line feed."""
        document = {
            "format": _FORMAT,
            "version": FILE_LIST_VERSION,
            "digest_algorithm": self.algorithm.value,
            "source_format": self.source_format,
            "files": [_to_document(entry) for entry in self.files],
            "ties": self.ties,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> FileList:
        """The file list that ``content`` holds.

        Raises:
            CorruptError: MANIFEST_CORRUPT, or UNKNOWN_FORMAT_VERSION.
        """
        try:
            document = json.loads(content)
            if document["format"] != _FORMAT or document["version"] != FILE_LIST_VERSION:
                raise CorruptError(
                    ErrorReason.UNKNOWN_FORMAT_VERSION,
                    f"A file list of version {FILE_LIST_VERSION} was wanted; found {document['format']!r} of "
                    f"version {document['version']!r}.",
                )
            files = cls(
                algorithm=DigestAlgorithm(document["digest_algorithm"]),
                source_format=_typed(document["source_format"], str),
                files=tuple(_from_document(entry) for entry in document["files"]),
                ties=tuple(tuple(_typed(name, str) for name in tie) for tie in document["ties"]),
            )
        except (KeyError, TypeError, ValueError, RecursionError, InvalidArgumentError) as error:
            raise _corrupt(f"{type(error).__name__}: {error}") from error
        if files.to_bytes() != content:
            raise _corrupt("its bytes are not the canonical ones")
        return files


def _corrupt(found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"A file list cannot be read: {found}.")


def _to_document(entry: FileEntry) -> dict[str, Any]:
    return {
        "path": entry.path,
        "kind": entry.kind.value,
        "size_bytes": entry.size_bytes,
        "stored_bytes": entry.stored_bytes,
        "chunks": [chunk.hex() for chunk in entry.chunks],
        "prefix": entry.prefix,
    }


def _from_document(document: dict[str, Any]) -> FileEntry:
    return FileEntry(
        path=_typed(document["path"], str),
        kind=FileKind(document["kind"]),
        size_bytes=_typed(document["size_bytes"], int),
        stored_bytes=_typed(document["stored_bytes"], int),
        chunks=tuple(bytes.fromhex(chunk) for chunk in document["chunks"]),
        prefix=_typed(document["prefix"], str),
    )


def _typed(value: object, wanted: type[_Value]) -> _Value:
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TypeError(f"{wanted.__name__} was wanted, found {type(value).__name__}")
    return value
