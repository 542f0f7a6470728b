"""Collection and fsck over manifests and file lists."""

from __future__ import annotations

from collections.abc import Callable

from mgit_core.digest import DigestAlgorithm
from mgit_core.files import FileList
from mgit_core.manifest import Manifest
from mgit_core.ports.maintenance import DocumentMaintenance, LeaseCheck, StoredDocument
from mgit_storage.objects import ObjectStore
from mgit_storage.parameters.documents import unpack_document
from mgit_storage.parameters.keys import FILE_LISTS, MANIFESTS, digest_in_key
from mgit_storage.parameters.sketches import sketches_key

__all__ = ["ObjectDocumentMaintenance"]


class ObjectDocumentMaintenance(DocumentMaintenance):
    """Looks after the documents of one store, and after the sketches that go with manifests."""

    def __init__(
        self, objects: ObjectStore, algorithm: DigestAlgorithm, forget: Callable[[str], None]
    ) -> None:
        """Documents in ``objects``; ``forget`` is told the key of each one that is deleted or replaced."""
        self._objects = objects
        self._algorithm = algorithm
        self._forget = forget

    def documents(self) -> list[StoredDocument]:
        return [
            StoredDocument(key=key, size_bytes=state.size_bytes, age_s=state.age_s)
            for kind in (FILE_LISTS, MANIFESTS)
            for key, state in self._objects.survey(kind).items()
        ]

    def read(self, key: str) -> Manifest | FileList:
        digest = digest_in_key(key, FILE_LISTS, MANIFESTS)
        content = unpack_document(key, self._objects.get(key), self._algorithm, digest)
        return (Manifest if key.startswith(f"{MANIFESTS}/") else FileList).from_bytes(content)

    def replace(self, key: str, intact: str, check: LeaseCheck) -> None:
        digest = digest_in_key(key, FILE_LISTS, MANIFESTS)
        stored = self._objects.get(intact)
        unpack_document(intact, stored, self._algorithm, digest)
        check()
        self._objects.delete(key)
        self._objects.put(key, stored)
        self._forget(key)

    def delete(self, key: str, check: LeaseCheck) -> None:
        digest = digest_in_key(key, FILE_LISTS, MANIFESTS)
        check()
        self._objects.delete(key)
        self._forget(key)
        if key.startswith(f"{MANIFESTS}/") and not self._objects.list(f"{MANIFESTS}/{digest.hex()}"):
            self._objects.delete(sketches_key(digest))
