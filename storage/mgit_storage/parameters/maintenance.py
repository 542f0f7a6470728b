"""Collection and fsck over manifests, file lists and layer graphs."""

from __future__ import annotations

from collections.abc import Callable

from mgit_core.digest import DigestAlgorithm
from mgit_core.files import FileList
from mgit_core.layers.document import layer_graph_from_bytes
from mgit_core.manifest import Manifest
from mgit_core.ports.maintenance import Document, DocumentMaintenance, LeaseCheck, StoredDocument
from mgit_storage.objects import ObjectStore
from mgit_storage.parameters.documents import verified_content
from mgit_storage.parameters.keys import DOCUMENTS, FILE_LISTS, LAYER_GRAPHS, MANIFESTS, digest_in_key
from mgit_storage.parameters.sketches import sketches_key

__all__ = ["ObjectDocumentMaintenance"]

_FROM_BYTES: dict[str, Callable[[bytes], Document]] = {
    FILE_LISTS: FileList.from_bytes,
    LAYER_GRAPHS: layer_graph_from_bytes,
    MANIFESTS: Manifest.from_bytes,
}


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
            for kind in DOCUMENTS
            for key, state in self._objects.survey(kind).items()
        ]

    def read(self, key: str) -> Document:
        digest = digest_in_key(key, *DOCUMENTS)
        content = verified_content(key, self._objects.get(key), self._algorithm, digest)
        return _FROM_BYTES[key.partition("/")[0]](content)

    def replace(self, key: str, intact: str, check: LeaseCheck) -> None:
        digest = digest_in_key(key, *DOCUMENTS)
        stored = self._objects.get(intact)
        verified_content(intact, stored, self._algorithm, digest)
        check()
        self._objects.delete(key)
        self._objects.put(key, stored)
        self._forget(key)

    def delete(self, key: str, check: LeaseCheck) -> None:
        digest = digest_in_key(key, *DOCUMENTS)
        check()
        self._objects.delete(key)
        self._forget(key)
        if key.startswith(f"{MANIFESTS}/") and not self._objects.list(f"{MANIFESTS}/{digest.hex()}"):
            self._objects.delete(sketches_key(digest))
