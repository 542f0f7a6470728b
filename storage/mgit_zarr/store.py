"""A read-only Zarr store over a manifest and a reader of chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NoReturn

import zarr
from typing_extensions import override
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from mgit_core.chunking import chunk_keys, grid_shape
from mgit_core.digest import Digest
from mgit_core.manifest import Manifest, Parameter
from mgit_core.ports.chunks import ChunkReader
from mgit_core.tensor import TensorSpec
from mgit_zarr.layout import chunk_position, pad_chunk, padded_chunk_bytes
from mgit_zarr.metadata import METADATA_KEY, array_document, group_document, to_json
from mgit_zarr.names import zarr_key

__all__ = ["ManifestStore", "open_group"]


def open_group(manifest: Manifest, reader: ChunkReader) -> zarr.Group:
    """The parameters of a model as a read-only Zarr group; an array is under ``zarr_key`` of its name."""
    return zarr.open_group(ManifestStore(manifest, reader), mode="r", zarr_format=3)


class ManifestStore(Store):
    """The parameters of a model as a Zarr v3 hierarchy.

    Metadata comes from the manifest; chunks come from the reader, verified, and are padded to whole chunks.
    A chunk that the reader cannot give is the reader's error and never an absent key, which Zarr would take
    for zeros. The asynchronous methods read on the threads of their event loop, several chunks at a time;
    ``get_sync`` reads on the caller's. Every write is refused.
    """

    def __init__(self, manifest: Manifest, reader: ChunkReader) -> None:
        super().__init__(read_only=True)
        self._manifest = manifest
        self._reader = reader
        self._arrays = {
            zarr_key(parameter.name): (position, parameter)
            for position, parameter in enumerate(manifest.parameters)
        }

    def __eq__(self, value: object) -> bool:
        return (
            isinstance(value, ManifestStore)
            and self._reader is value._reader
            and self._manifest == value._manifest
        )

    def __hash__(self) -> int:
        return hash((id(self._reader), tuple(parameter.digest for parameter in self._manifest.parameters)))

    def __repr__(self) -> str:
        return f"ManifestStore({len(self._arrays)} arrays, {self._manifest.size_bytes} bytes)"

    @property
    def supports_writes(self) -> bool:
        return False

    @property
    def supports_deletes(self) -> bool:
        return False

    @property
    def supports_listing(self) -> bool:
        return True

    @override
    def with_read_only(self, read_only: bool = False) -> ManifestStore:
        if not read_only:
            self._refuse()
        return ManifestStore(self._manifest, self._reader)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        chunk = self._find_chunk(key)
        if chunk is None:
            return self.get_sync(key, prototype=prototype, byte_range=byte_range)
        content = await asyncio.to_thread(self._read_chunk, *chunk)
        return _buffer(content, prototype, byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """As ``get``, on the caller's thread."""
        chunk = self._find_chunk(key)
        content = self._metadata(key) if chunk is None else self._read_chunk(*chunk)
        if content is None:
            return None
        return _buffer(content, prototype or default_buffer_prototype(), byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return await asyncio.gather(*(self.get(key, prototype, wanted) for key, wanted in key_ranges))

    async def exists(self, key: str) -> bool:
        array, _, rest = key.partition("/")
        is_metadata = key == METADATA_KEY or (array in self._arrays and rest == METADATA_KEY)
        return is_metadata or self._find_chunk(key) is not None

    async def getsize(self, key: str) -> int:
        chunk = self._find_chunk(key)
        if chunk is not None:
            return padded_chunk_bytes(chunk[1])
        content = self._metadata(key)
        if content is None:
            raise FileNotFoundError(key)
        return len(content)

    async def list(self) -> AsyncIterator[str]:
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        if METADATA_KEY.startswith(prefix):
            yield METADATA_KEY
        for array, (_, parameter) in self._arrays.items():
            root = f"{array}/"
            if not root.startswith(prefix) and not prefix.startswith(root):
                continue
            for key in (METADATA_KEY, *chunk_keys(parameter.spec)):
                if (root + key).startswith(prefix):
                    yield root + key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        array, *below = prefix.strip("/").split("/")
        if not array:
            for name in (METADATA_KEY, *self._arrays):
                yield name
        elif array in self._arrays:
            for name in _list_array(self._arrays[array][1].spec, below):
                yield name

    @override
    async def set(self, key: str, value: Buffer) -> None:
        self._refuse()

    @override
    async def delete(self, key: str) -> None:
        self._refuse()

    @override
    async def delete_dir(self, prefix: str) -> None:
        self._refuse()

    async def clear(self) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError("A model's parameters are immutable: this Zarr store is read-only.")

    def _metadata(self, key: str) -> bytes | None:
        if key == METADATA_KEY:
            return to_json(group_document(self._manifest))
        array, _, rest = key.partition("/")
        if rest != METADATA_KEY or array not in self._arrays:
            return None
        position, parameter = self._arrays[array]
        return to_json(array_document(parameter, position))

    def _find_chunk(self, key: str) -> tuple[Digest, TensorSpec] | None:
        array, _, rest = key.partition("/")
        if array not in self._arrays:
            return None
        parameter: Parameter = self._arrays[array][1]
        position = chunk_position(parameter.spec, rest)
        return None if position is None else (parameter.chunks[position], parameter.spec)

    def _read_chunk(self, digest: Digest, spec: TensorSpec) -> bytes:
        return pad_chunk(self._reader.read(digest), spec)


def _buffer(content: bytes, prototype: BufferPrototype, byte_range: ByteRequest | None) -> Buffer:
    view = memoryview(content)
    if isinstance(byte_range, RangeByteRequest):
        view = view[byte_range.start : byte_range.end]
    elif isinstance(byte_range, OffsetByteRequest):
        view = view[byte_range.offset :]
    elif byte_range is not None:
        view = view[max(0, len(view) - byte_range.suffix) :]
    return prototype.buffer.from_bytes(view)


def _list_array(spec: TensorSpec, below: list[str]) -> Iterable[str]:
    """Names in a folder of an array: its root, ``c``, or ``c`` and the first chunk indices."""
    grid = grid_shape(spec)
    if not below:
        return (METADATA_KEY,) if 0 in grid else (METADATA_KEY, "c")
    depth = len(below) - 1
    is_folder = depth < len(grid) and 0 not in grid
    first_below = "/".join([*below, *("0" for _ in grid[depth:])])
    if not is_folder or chunk_position(spec, first_below) is None:
        return ()
    return map(str, range(grid[depth]))
