"""What lies where in a model's Zarr hierarchy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mgit_core.chunking import chunk_keys, chunk_shape, grid_shape
from mgit_core.digest import Digest
from mgit_core.manifest import Manifest
from mgit_core.tensor import TensorSpec
from mgit_zarr.metadata import METADATA_KEY, array_document, group_document, to_json
from mgit_zarr.names import zarr_key

__all__ = ["ChunkFile", "chunk_files", "chunk_position", "metadata_files", "pad_chunk", "padded_chunk_bytes"]

_CHUNKS = "c"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkFile:
    """A chunk's place in a Zarr hierarchy.

    Attributes:
        path: Where it lies, relative to the group, with ``/`` between folders.
        digest: Which chunk it is.
        size_bytes: Bytes of the chunk.
        padding_bytes: Zero bytes behind it, which make it as long as a whole chunk of its array.
    """

    path: str
    digest: Digest
    size_bytes: int
    padding_bytes: int


def metadata_files(manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """Path and content of every ``zarr.json``, the group's first, then the arrays' in the manifest's order."""
    yield METADATA_KEY, to_json(group_document(manifest))
    for position, parameter in enumerate(manifest.parameters):
        document = array_document(parameter, position)
        yield f"{zarr_key(parameter.name)}/{METADATA_KEY}", to_json(document)


def chunk_files(manifest: Manifest) -> Iterator[ChunkFile]:
    """Every chunk, in the order of the manifest and of the bytes of each parameter."""
    for parameter in manifest.parameters:
        folder = zarr_key(parameter.name)
        whole = padded_chunk_bytes(parameter.spec)
        sizes = parameter.chunk_sizes()
        for key, (digest, size_bytes) in zip(chunk_keys(parameter.spec), sizes, strict=True):
            yield ChunkFile(
                path=f"{folder}/{key}",
                digest=digest,
                size_bytes=size_bytes,
                padding_bytes=whole - size_bytes,
            )


def padded_chunk_bytes(spec: TensorSpec) -> int:
    """Bytes of a whole chunk, which is what a Zarr reader expects of an edge chunk too."""
    return math.prod(chunk_shape(spec)) * spec.itemsize


def pad_chunk(content: bytes, spec: TensorSpec) -> bytes:
    """A chunk's bytes as long as a whole chunk.

    An edge chunk is short on the axis that the chunk rule cuts; axes before it have length 1 and axes behind
    it are whole, so all that it lacks lies at its end.
    """
    return content.ljust(padded_chunk_bytes(spec), b"\0")


def chunk_position(spec: TensorSpec, key: str) -> int | None:
    """Place of the chunk with ``key`` (``c/0/1``) in the order of the bytes; none if the tensor has no such chunk."""
    prefix, *parts = key.split("/")
    grid = grid_shape(spec)
    if prefix != _CHUNKS or len(parts) != len(grid):
        return None
    flat = 0
    for part, length in zip(parts, grid, strict=True):
        # The length bounds what int() is given; only canonical numbers are keys.
        index = int(part) if part.isascii() and part.isdigit() and len(part) <= len(str(length)) else length
        if index >= length or str(index) != part:
            return None
        flat = flat * length + index
    return flat
