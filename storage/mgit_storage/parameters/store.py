"""Manifests and file lists as objects ``KIND/DIGEST/RANDOM``.

Content is one zstd frame behind the eight bytes ``MGITDOC`` and a version. Each write makes an object of its
own, so that a collection may delete one copy while an upload writes another.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections import OrderedDict
from typing import TypeVar

import zstandard

from mgit_core.digest import digest_of
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.files import FileList
from mgit_core.manifest import Manifest
from mgit_core.ports.chunks import ParameterStore, StoreUsage
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import ObjectStore

__all__ = ["ObjectParameterStore"]

_HEADER = b"MGITDOC\x01"
_MANIFESTS = "manifests"
_FILE_LISTS = "files"
_CACHE_BYTES = 16 << 20
_LARGEST_DOCUMENT = 1 << 30
_KEY = re.compile(r"(?P<kind>[a-z]+)/(?P<digest>[0-9a-f]{64})/[0-9a-f]{32}")

_Document = TypeVar("_Document", Manifest, FileList)


class ObjectParameterStore(ParameterStore):
    """Parameter sets over an object store; keeps recently read documents, up to a bound of their bytes."""

    def __init__(
        self, objects: ObjectStore, chunks: PackChunkStore, *, cache_bytes: int = _CACHE_BYTES
    ) -> None:
        """Documents in ``objects``; ``cache_bytes`` bounds the bytes, decompressed, of those that are kept."""
        self._objects = objects
        self._chunks = chunks
        self._cache: OrderedDict[str, tuple[Manifest | FileList, int]] = OrderedDict()
        self._cached_bytes = 0
        self._cache_bytes = cache_bytes
        self._lock = threading.Lock()

    def write_manifest(self, manifest: Manifest) -> str:
        return self._write(_MANIFESTS, manifest)

    def read_manifest(self, key: str) -> Manifest:
        return self._read(key, _MANIFESTS, Manifest)

    def write_file_list(self, files: FileList) -> str:
        return self._write(_FILE_LISTS, files)

    def read_file_list(self, key: str) -> FileList:
        return self._read(key, _FILE_LISTS, FileList)

    def usage(self) -> StoreUsage:
        usage = self._objects.usage()
        sizes = dict(usage.by_folder)
        return StoreUsage(
            pack_bytes=sizes.pop("packs", 0),
            index_bytes=sizes.pop("indexes", 0),
            manifest_bytes=sizes.pop(_MANIFESTS, 0),
            other_bytes=sum(sizes.values()) + usage.overhead_bytes,
            chunk_count=self._chunks.chunk_count,
            chunk_bytes=self._chunks.chunk_bytes,
        )

    def _write(self, kind: str, document: Manifest | FileList) -> str:
        if document.algorithm is not self._chunks.algorithm:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"The store names content by {self._chunks.algorithm}; found a document with "
                f"{document.algorithm} digests.",
            )
        content = document.to_bytes()
        digest = digest_of(document.algorithm, content)
        key = f"{kind}/{digest.hex()}/{uuid.uuid4().hex}"
        self._objects.put(key, _HEADER + zstandard.ZstdCompressor(level=3).compress(content))
        return key

    def _read(self, key: str, kind: str, document_class: type[_Document]) -> _Document:
        with self._lock:
            cached = self._cache.get(key)
            if cached is not None:
                self._cache.move_to_end(key)
                if isinstance(cached[0], document_class):
                    return cached[0]
        match = _KEY.fullmatch(key)
        if match is None or match["kind"] != kind:
            raise NotFoundError(
                ErrorReason.OBJECT_NOT_FOUND, f"{key[:160]!r} is no key below {kind}.", key=key[:160]
            )
        content = _unpack(key, self._objects.get(key))
        if digest_of(self._chunks.algorithm, content).hex() != match["digest"]:
            raise _corrupt(key, "its content does not fit its digest")
        document = document_class.from_bytes(content)
        self._keep(key, document, len(content))
        return document

    def _keep(self, key: str, document: Manifest | FileList, size: int) -> None:
        with self._lock:
            if key in self._cache or size > self._cache_bytes:
                return
            self._cache[key] = (document, size)
            self._cached_bytes += size
            while self._cached_bytes > self._cache_bytes:
                self._cached_bytes -= self._cache.popitem(last=False)[1][1]


def _unpack(key: str, stored: bytes) -> bytes:
    if not stored.startswith(_HEADER):
        if stored.startswith(_HEADER[:-1]):
            raise CorruptError(
                ErrorReason.UNKNOWN_FORMAT_VERSION, f"Object {key} was written by a later version.", key=key
            )
        raise _corrupt(key, "it does not begin as a document")
    frame = stored[len(_HEADER) :]
    try:
        if zstandard.get_frame_parameters(frame).content_size > _LARGEST_DOCUMENT:
            raise _corrupt(key, "it claims to be larger than 1 GiB")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _corrupt(key, str(error)) from error


def _corrupt(key: str, found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"Object {key} cannot be read: {found}.", key=key)
