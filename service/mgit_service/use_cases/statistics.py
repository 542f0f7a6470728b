"""What is stored, added up: for the whole store, and for one model among all others.

Bytes are those in packs. A chunk counts once however often it is used, so the statistics read the manifest of
every present model; manifests that several models have in common are read once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mgit_core.coding.encoded import Encoding
from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import Model
from mgit_core.manifest import Parameter
from mgit_core.ports.chunks import StoreUsage
from mgit_core.ports.graph import GraphCounts, Page
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.references import find_model
from mgit_service.use_cases.resolution import in_thread

__all__ = [
    "ModelStatistics",
    "StoreStatistics",
    "TensorStatistics",
    "model_statistics",
    "store_statistics",
]

_PAGE_SIZE = 1_000
# So many documents are read in one go; between two of them a cancelled call ends.
_DOCUMENTS_AT_ONCE = 32
# Digests gathered before they are joined with those known: 32 MiB.
_DIGESTS_AT_ONCE = 1 << 20
_CHUNKS_AT_ONCE = 64
_DIGEST_TYPE = np.dtype((np.void, DIGEST_SIZE))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatistics:
    """The whole store.

    Attributes:
        counts: Sizes of the graph.
        usage: Bytes of the store's folder.
        reclaimable_bytes: Bytes in packs of chunks, or of further copies of chunks, that no present model
            uses.
    """

    counts: GraphCounts
    usage: StoreUsage
    reclaimable_bytes: int

    @property
    def stored_bytes(self) -> int:
        """Bytes of the whole store."""
        usage = self.usage
        return usage.pack_bytes + usage.index_bytes + usage.manifest_bytes + usage.other_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorStatistics:
    """How a tensor is stored.

    Attributes:
        name: Parameter name.
        digest: Digest of the tensor.
        logical_bytes: Bytes of the tensor.
        stored_bytes: Bytes in packs of its chunks, each counted once.
        encodings: Number of its distinct chunks by the name of their encoding.
        shared_with: Other parameters, in this and other present models, that are the same tensor.
    """

    name: str
    digest: Digest
    logical_bytes: int
    stored_bytes: int
    encodings: dict[str, int]
    shared_with: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatistics:
    """One model.

    Attributes:
        model: The model.
        logical_bytes: Bytes of its tensors and attached files.
        unique_bytes: Bytes in packs that no other present model uses.
        shared_bytes: Bytes in packs that another present model uses too.
        delta_bytes: The part of both that is differences to other chunks.
        tensors: In the order of the model.
    """

    model: Model
    logical_bytes: int
    unique_bytes: int
    shared_bytes: int
    delta_bytes: int
    tensors: Sequence[TensorStatistics]


async def store_statistics(backend: Backend) -> StoreStatistics:
    """Add up the whole store. Memory: 32 bytes for each chunk in use, and a page of models.

    Raises:
        CorruptError: MANIFEST_CORRUPT for a manifest of a present model.
    """
    counts = await backend.lineage.content.counts()
    used = _DigestSet()
    async for group in _documents(backend):
        await in_thread(backend, used.add_all, (_chunks_of(backend, document) for document in group))
    used_bytes = await in_thread(backend, used.stored_bytes, backend)
    usage = await in_thread(backend, backend.parameters.usage)
    return StoreStatistics(
        counts=counts, usage=usage, reclaimable_bytes=max(0, usage.chunk_bytes - used_bytes)
    )


async def model_statistics(backend: Backend, reference: str) -> ModelStatistics:
    """Add up one model. Memory: some 300 bytes for each of its chunks, and a page of models.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        FailedPreconditionError: MODEL_REMOVED.
        CorruptError: MANIFEST_CORRUPT, of this or another present model; CHUNK_CORRUPT for a chunk of this
            one whose header cannot be read.
    """
    model = await find_model(backend.lineage, reference)
    if model.parameters is None:
        raise FailedPreconditionError(
            ErrorReason.MODEL_REMOVED,
            f"Model {model.ref} was removed; it has no parameters to add up.",
            reference=reference,
        )
    own = _Document(manifest_key=model.parameters.manifest_key, files_key=model.files_key)
    own_chunks = set(await in_thread(backend, _chunks_of, backend, own))
    parameters = await in_thread(backend, _parameters_of, backend, own)
    sharing = _Sharing(chunks=own_chunks, tensors={parameter.digest for parameter in parameters})
    async for group in _documents(backend, without=model.uid):
        await in_thread(backend, sharing.add_all, backend, group)
    stored = await _stored_chunks(backend, list(own_chunks))
    own_tensors = Counter(parameter.digest for parameter in parameters)
    shared_bytes = sum(stored[chunk].size for chunk in sharing.shared_chunks)
    whole = sum(chunk.size for chunk in stored.values())
    return ModelStatistics(
        model=model,
        logical_bytes=model.parameters.size_bytes + model.files_bytes,
        unique_bytes=whole - shared_bytes,
        shared_bytes=shared_bytes,
        delta_bytes=sum(chunk.size for chunk in stored.values() if chunk.is_delta),
        tensors=[
            _tensor(parameter, stored, own_tensors[parameter.digest] + sharing.uses[parameter.digest] - 1)
            for parameter in parameters
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What a model is made of, by object keys; ``models`` have the same content."""

    manifest_key: str
    files_key: str | None
    models: int = 1


async def _documents(backend: Backend, *, without: str | None = None) -> AsyncIterator[list[_Document]]:
    """Distinct contents of all present models, in groups; of the model ``without`` only what others share.

    Memory: some 200 bytes for each distinct content.
    """
    found: dict[tuple[Digest, Digest | None], _Document] = {}
    after: str | None = None
    while True:
        page = await backend.lineage.content.parameter_sets(Page(size=_PAGE_SIZE, after=after))
        for model in page:
            if model.uid == without or model.parameters is None:
                continue
            key = (model.parameters.digest, model.files)
            known = found.get(key)
            found[key] = _Document(
                manifest_key=model.parameters.manifest_key,
                files_key=model.files_key,
                models=1 if known is None else known.models + 1,
            )
        if len(page) < _PAGE_SIZE:
            break
        after = page[-1].uid
    documents = list(found.values())
    for start in range(0, len(documents), _DOCUMENTS_AT_ONCE):
        yield documents[start : start + _DOCUMENTS_AT_ONCE]


def _parameters_of(backend: Backend, document: _Document) -> tuple[Parameter, ...]:
    return backend.parameters.read_manifest(document.manifest_key).parameters


def _chunks_of(backend: Backend, document: _Document) -> list[Digest]:
    chunks = [chunk for parameter in _parameters_of(backend, document) for chunk in parameter.chunks]
    if document.files_key is not None:
        files = backend.parameters.read_file_list(document.files_key).files
        chunks += [chunk for entry in files for chunk in entry.chunks]
    return chunks


class _DigestSet:
    """Distinct digests as one sorted array, a tenth of what a set takes."""

    def __init__(self) -> None:
        self._known: npt.NDArray[np.void] = np.empty(0, _DIGEST_TYPE)
        self._fresh: list[Digest] = []

    def add_all(self, groups: Iterable[list[Digest]]) -> None:
        for group in groups:
            self._fresh += group
            if len(self._fresh) >= _DIGESTS_AT_ONCE:
                self._join()

    def stored_bytes(self, backend: Backend) -> int:
        """Bytes in packs of all of them."""
        self._join()
        total = 0
        for start in range(0, len(self._known), _DIGESTS_AT_ONCE):
            digests = [digest.tobytes() for digest in self._known[start : start + _DIGESTS_AT_ONCE]]
            total += sum(backend.chunks.stored_sizes(digests))
        return total

    def _join(self) -> None:
        fresh = np.frombuffer(b"".join(self._fresh), _DIGEST_TYPE)
        self._known = np.unique(np.concatenate([self._known, fresh]))
        self._fresh = []


@dataclass(slots=True, kw_only=True)
class _Sharing:
    """What other models have in common with one.

    Attributes:
        chunks: Chunks of the one.
        tensors: Tensors of the one.
        shared_chunks: Those of its chunks that another model uses.
        uses: How often each of its tensors is a parameter of another model.
    """

    chunks: set[Digest]
    tensors: set[Digest]
    shared_chunks: set[Digest] = field(default_factory=set)
    uses: Counter[Digest] = field(default_factory=Counter)

    def add_all(self, backend: Backend, documents: Sequence[_Document]) -> None:
        for document in documents:
            self.shared_chunks |= self.chunks.intersection(_chunks_of(backend, document))
            for parameter in _parameters_of(backend, document):
                if parameter.digest in self.tensors:
                    self.uses[parameter.digest] += document.models


@dataclass(frozen=True, slots=True)
class _StoredChunk:
    """Bytes in a pack, and how they are coded."""

    size: int
    encoding: str
    is_delta: bool


async def _stored_chunks(backend: Backend, chunks: Sequence[Digest]) -> dict[Digest, _StoredChunk]:
    stored: dict[Digest, _StoredChunk] = {}
    for start in range(0, len(chunks), _CHUNKS_AT_ONCE):
        part = chunks[start : start + _CHUNKS_AT_ONCE]
        stored |= await in_thread(backend, _look_up, backend, part)
    return stored


def _look_up(backend: Backend, chunks: Sequence[Digest]) -> dict[Digest, _StoredChunk]:
    found: dict[Digest, _StoredChunk] = {}
    for chunk, size in zip(chunks, backend.chunks.stored_sizes(chunks), strict=True):
        encoded = backend.chunks.read_encoded(chunk)
        found[chunk] = _StoredChunk(size, _encoding_name(encoded.encoding), bool(encoded.bases))
    return found


def _encoding_name(number: int) -> str:
    known = number in {encoding.value for encoding in Encoding}
    return Encoding(number).name.lower().replace("_", "-") if known else f"encoding-{number}"


def _tensor(parameter: Parameter, stored: dict[Digest, _StoredChunk], shared_with: int) -> TensorStatistics:
    chunks = [stored[chunk] for chunk in dict.fromkeys(parameter.chunks)]
    return TensorStatistics(
        name=parameter.name,
        digest=parameter.digest,
        logical_bytes=parameter.spec.size_bytes,
        stored_bytes=sum(chunk.size for chunk in chunks),
        encodings=dict(Counter(chunk.encoding for chunk in chunks)),
        shared_with=shared_with,
    )
