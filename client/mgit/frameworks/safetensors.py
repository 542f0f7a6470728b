"""Reads safetensors files, single or sharded, without copying their bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgit.frameworks.links import LinkRule
from mgit.frameworks.source import FileContent, Source, SourceFile, SourceParameter, open_file
from mgit_core.errors import ErrorReason, InvalidArgumentError, MGitError, error_for_reason
from mgit_core.files import FileKind
from mgit_core.safetensors import LENGTH_BYTES, SafetensorsHeader, header_end, parse_header

__all__ = [
    "INDEX_SUFFIX",
    "WeightsFile",
    "check_index",
    "open_weights",
    "read_index",
    "read_safetensors",
    "read_sharded",
]

INDEX_SUFFIX = ".index.json"
_MAX_INDEX_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A safetensors file with its checked header."""

    content: FileContent
    header: SafetensorsHeader

    def parameters(self, prefix: str = "") -> list[SourceParameter]:
        """Its tensors in the order of their bytes."""
        return [
            SourceParameter(
                name=prefix + tensor.name,
                spec=tensor.spec,
                content=self.content.at(tensor.start),
            )
            for tensor in self.header.tensors
        ]

    def as_file(self, path: str, prefix: str = "") -> SourceFile:
        """The file itself, of which only the header is kept."""
        return SourceFile(
            path=path,
            kind=FileKind.SAFETENSORS,
            size_bytes=self.content.size_bytes,
            stored_bytes=self.header.length,
            content=self.content,
            prefix=prefix,
        )


def open_weights(path: Path) -> WeightsFile:
    """The safetensors file at ``path``.

    Raises:
        NotFoundError: PATH_NOT_FOUND.
        InvalidArgumentError: UNREADABLE_INPUT, UNKNOWN_DTYPE, SHAPE_MISMATCH, INVALID_NAME or
            DUPLICATE_PARAMETER, all naming the file.
    """
    content = open_file(path)
    size_bytes = content.size_bytes
    try:
        end = header_end(bytes(content.read(0, min(LENGTH_BYTES, size_bytes))), size_bytes)
        return WeightsFile(content, parse_header(bytes(content.read(0, end)), size_bytes))
    except MGitError as error:
        raise error_for_reason(
            error.reason, f"{path.name}: {error.message}", **error.details, file=path.name
        ) from error


def read_safetensors(path: Path) -> Source:
    """The model that one safetensors file is.

    Raises:
        MGitError: As ``open_weights``.
    """
    weights = open_weights(path)
    return Source(
        source_format="safetensors",
        parameters=tuple(weights.parameters()),
        files=(weights.as_file(path.name),),
    )


def read_sharded(path: Path) -> Source:
    """The model that an index and its shards are; ``path`` is the index, ``*.safetensors.index.json``.

    Raises:
        MGitError: As ``open_weights`` and ``read_index``.
    """
    index = open_file(path)
    shards = {name: open_weights(path.parent / name) for name in sorted(set(read_index(path).values()))}
    check_index(path, {name: shard.header for name, shard in shards.items()})
    files = [
        SourceFile(
            path=path.name,
            kind=FileKind.OPAQUE,
            size_bytes=index.size_bytes,
            stored_bytes=index.size_bytes,
            content=index,
        ),
        *(shard.as_file(name) for name, shard in shards.items()),
    ]
    return Source(
        source_format="safetensors",
        parameters=tuple(parameter for shard in shards.values() for parameter in shard.parameters()),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def read_index(path: Path) -> dict[str, str]:
    """Which shard holds each tensor, as an index says; every shard lies beside the index.

    Raises:
        NotFoundError: PATH_NOT_FOUND.
        InvalidArgumentError: UNREADABLE_INPUT.
    """
    content = open_file(path)
    if content.size_bytes > _MAX_INDEX_BYTES:
        raise _unreadable(path, f"it has {content.size_bytes} bytes; at most {_MAX_INDEX_BYTES} are read")
    try:
        document: Any = json.loads(bytes(content.read(0, content.size_bytes)))
        shards = {str(name): str(shard) for name, shard in document["weight_map"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _unreadable(path, f"it is no index of shards ({type(error).__name__}: {error})") from error
    links = LinkRule(path.parent)
    if not shards:
        raise _unreadable(path, "its weight_map is empty")
    for shard in set(shards.values()):
        if "/" in shard or "\\" in shard or shard in {"", ".", ".."}:
            raise _unreadable(path, f"it names shard {shard[:80]!r}, which does not lie beside it")
        if not (path.parent / shard).is_file():
            raise _unreadable(path, f"it names shard {shard[:80]!r}, which is missing")
        links.check(path.parent / shard)
    return shards


def check_index(path: Path, headers: Mapping[str, SafetensorsHeader]) -> None:
    """Refuse an index whose shards lack a tensor that it names, or have one name twice.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT or DUPLICATE_PARAMETER.
    """
    shard_of: dict[str, str] = {}
    for shard, header in headers.items():
        for tensor in header.tensors:
            other = shard_of.setdefault(tensor.name, shard)
            if other != shard:
                raise InvalidArgumentError(
                    ErrorReason.DUPLICATE_PARAMETER,
                    f"Index {path.name} cannot be used: tensor {tensor.name!r} is in {other!r} and in {shard!r}.",
                    file=path.name,
                    parameter=tensor.name,
                )
    for name, shard in read_index(path).items():
        if shard_of.get(name) != shard:
            raise _unreadable(path, f"it says that {shard!r} holds tensor {name[:80]!r}, which it does not")


def _unreadable(path: Path, found: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        ErrorReason.UNREADABLE_INPUT, f"Index {path.name} cannot be used: {found}.", file=path.name
    )
