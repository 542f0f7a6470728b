"""Manifests, file lists and layer graphs as objects ``KIND/DIGEST/RANDOM``.

Each write makes an object of its own, so that a collection may delete one copy while an upload writes another.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from mgit_core.digest import Digest, digest_of
from mgit_core.documents import pack_document
from mgit_core.errors import (
    AlreadyExistsError,
    ErrorReason,
    InvalidArgumentError,
    NotFoundError,
)
from mgit_core.files import FileList
from mgit_core.layers.document import layer_graph_from_bytes, layer_graph_to_bytes
from mgit_core.layers.graph import LayerGraph
from mgit_core.manifest import Manifest
from mgit_core.ports.chunks import ParameterStore, StoreUsage
from mgit_core.ports.maintenance import DocumentMaintenance
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import ObjectStore
from mgit_storage.parameters.documents import verified_content
from mgit_storage.parameters.keys import FILE_LISTS, LAYER_GRAPHS, MANIFESTS, digest_in_key, new_document_key
from mgit_storage.parameters.maintenance import ObjectDocumentMaintenance
from mgit_storage.parameters.sketches import pack_sketches, sketches_key, unpack_sketches

__all__ = ["ObjectParameterStore"]

_CACHE_BYTES = 16 << 20

_Document: TypeAlias = Manifest | FileList | LayerGraph
_Named = TypeVar("_Named", Manifest, FileList)
_Wanted = TypeVar("_Wanted", Manifest, FileList, LayerGraph)


class ObjectParameterStore(ParameterStore):
    """Parameter sets over an object store; keeps recently read documents, up to a bound of their bytes."""

    def __init__(
        self, objects: ObjectStore, chunks: PackChunkStore, *, cache_bytes: int = _CACHE_BYTES
    ) -> None:
        """Documents in ``objects``; ``cache_bytes`` bounds the bytes, decompressed, of those that are kept."""
        self._objects = objects
        self._chunks = chunks
        self._cache: OrderedDict[str, tuple[_Document, int]] = OrderedDict()
        self._cached_bytes = 0
        self._cache_bytes = cache_bytes
        self._lock = threading.Lock()
        self._maintenance = ObjectDocumentMaintenance(objects, chunks.algorithm, self._forget)

    def write_manifest(self, manifest: Manifest) -> str:
        return self._write(MANIFESTS, self._own(manifest).to_bytes())

    def read_manifest(self, key: str) -> Manifest:
        return self._read(key, MANIFESTS, Manifest, Manifest.from_bytes)

    def write_file_list(self, files: FileList) -> str:
        return self._write(FILE_LISTS, self._own(files).to_bytes())

    def read_file_list(self, key: str) -> FileList:
        return self._read(key, FILE_LISTS, FileList, FileList.from_bytes)

    def write_layer_graph(self, graph: LayerGraph) -> str:
        return self._write(LAYER_GRAPHS, layer_graph_to_bytes(graph))

    def read_layer_graph(self, key: str) -> LayerGraph:
        return self._read(key, LAYER_GRAPHS, LayerGraph, layer_graph_from_bytes)

    def write_sketches(self, parameter_set: Digest, sketches: Sequence[bytes]) -> None:
        with contextlib.suppress(AlreadyExistsError):  # Another process was first; its sketches are the same.
            self._objects.put(sketches_key(parameter_set), pack_sketches(sketches))

    def read_sketches(self, parameter_set: Digest) -> tuple[bytes, ...]:
        key = sketches_key(parameter_set)
        try:
            stored = self._objects.get(key)
        except NotFoundError:
            return ()
        return unpack_sketches(key, stored)

    def usage(self) -> StoreUsage:
        usage = self._objects.usage()
        sizes = dict(usage.by_folder)
        return StoreUsage(
            pack_bytes=sizes.pop("packs", 0),
            index_bytes=sizes.pop("indexes", 0),
            manifest_bytes=sizes.pop(MANIFESTS, 0),
            other_bytes=sum(sizes.values()) + usage.overhead_bytes,
            chunk_count=self._chunks.chunk_count,
            chunk_bytes=self._chunks.chunk_bytes,
        )

    @property
    def maintenance(self) -> DocumentMaintenance:
        return self._maintenance

    def _own(self, document: _Named) -> _Named:
        """``document``, if it names content as the store does."""
        if document.algorithm is not self._chunks.algorithm:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"The store names content by {self._chunks.algorithm}; found a document with "
                f"{document.algorithm} digests.",
            )
        return document

    def _write(self, kind: str, content: bytes) -> str:
        key = new_document_key(kind, digest_of(self._chunks.algorithm, content))
        self._objects.put(key, pack_document(content))
        return key

    def _read(
        self, key: str, kind: str, wanted: type[_Wanted], from_bytes: Callable[[bytes], _Wanted]
    ) -> _Wanted:
        with self._lock:
            cached = self._cache.get(key)
            if cached is not None:
                self._cache.move_to_end(key)
                if isinstance(cached[0], wanted):
                    return cached[0]
        digest = digest_in_key(key, kind)
        content = verified_content(key, self._objects.get(key), self._chunks.algorithm, digest)
        document = from_bytes(content)
        self._keep(key, document, len(content))
        return document

    def _forget(self, key: str) -> None:
        with self._lock:
            self._cached_bytes -= self._cache.pop(key, (None, 0))[1]

    def _keep(self, key: str, document: _Document, size: int) -> None:
        with self._lock:
            if key in self._cache or size > self._cache_bytes:
                return
            self._cache[key] = (document, size)
            self._cached_bytes += size
            while self._cached_bytes > self._cache_bytes:
                self._cached_bytes -= self._cache.popitem(last=False)[1][1]
