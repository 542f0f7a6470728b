"""What is stored, added up: for the whole store, and for one model among all others.

Bytes are those in packs. A chunk counts once however often it is used, so the statistics read the manifest of
every present model; manifests that several models have in common are read once. A model uses the chunks that its
manifest names and those that their stored form rests on: what a reading of it touches. So the unique bytes of all
models, the bytes that several of them share, and what is reclaimable make up all bytes of chunks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from mgit_core.coding.codec import encoding_name, predictor_name
from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import Model
from mgit_core.manifest import Parameter
from mgit_core.ports.chunks import StoredForm, StoreUsage
from mgit_core.ports.graph import GraphCounts, Page
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.digests import DigestGatherer, DigestSet, digest_array
from mgit_service.use_cases.maintenance.touching import forms_touched, touched_by
from mgit_service.use_cases.references import find_model

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
_CHUNKS_AT_ONCE = 8_192


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
        stored_bytes: Bytes in packs of its chunks, each counted once, without what they rest on; what is in another
            store is left out.
        encodings: Number of its distinct chunks by the name of their encoding.
        predictors: The same by the name of what they are predicted from; ``none`` for those stored alone.
        shared_with: Other parameters, in this and other present models, that are the same tensor.
    """

    name: str
    digest: Digest
    logical_bytes: int
    stored_bytes: int
    encodings: Mapping[str, int]
    predictors: Mapping[str, int]
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

    @property
    def stored_bytes(self) -> int:
        """Bytes in packs that a reading of the model touches."""
        return self.unique_bytes + self.shared_bytes


async def store_statistics(backend: Backend) -> StoreStatistics:
    """Add up the whole store. Memory: 40 bytes for each chunk in use, and a page of models.

    Raises:
        CorruptError: MANIFEST_CORRUPT for a manifest of a present model; CHUNK_CORRUPT for a difference whose
            header cannot be read.
    """
    await in_thread(backend, backend.chunks.refresh)  # Another process may have encoded chunks again.
    counts = await backend.lineage.content.counts()
    gatherer = DigestGatherer()
    async for group in _documents(backend):
        await in_thread(backend, _gather, backend, group, gatherer)
    used = await touched_by(backend, gatherer.finish())
    used_bytes = 0
    for start in range(0, len(used), _CHUNKS_AT_ONCE):
        part = [digest.tobytes() for digest in used.digests[start : start + _CHUNKS_AT_ONCE]]
        used_bytes += sum(await in_thread(backend, backend.chunks.stored_sizes, part))
    usage = await in_thread(backend, backend.parameters.usage)
    return StoreStatistics(
        counts=counts, usage=usage, reclaimable_bytes=max(0, usage.chunk_bytes - used_bytes)
    )


async def model_statistics(backend: Backend, reference: str) -> ModelStatistics:
    """Add up one model. Memory: some 400 bytes for each of its chunks, 40 for each of all others.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        FailedPreconditionError: MODEL_REMOVED.
        CorruptError: MANIFEST_CORRUPT, of this or another present model; CHUNK_CORRUPT for a chunk of this
            one, or a difference of another, whose header cannot be read.
    """
    model = await find_model(backend.lineage, reference)
    if model.parameters is None:
        raise FailedPreconditionError(
            ErrorReason.MODEL_REMOVED,
            f"Model {model.ref} was removed; it has no parameters to add up.",
            reference=reference,
        )
    await in_thread(backend, backend.chunks.refresh)
    own = _Document(manifest_key=model.parameters.manifest_key, files_key=model.files_key)
    parameters = await in_thread(backend, _parameters_of, backend, own)
    forms = await forms_touched(backend, await in_thread(backend, _chunks_here, backend, own, model))
    others = _Others(tensors={parameter.digest for parameter in parameters})
    async for group in _documents(backend, without=model.uid):
        await in_thread(backend, others.add_all, backend, group)
    shared = await _shared(backend, list(forms), others.chunks.finish())
    own_tensors = Counter(parameter.digest for parameter in parameters)
    whole = sum(form.size_bytes for form in forms.values())
    shared_bytes = sum(forms[chunk].size_bytes for chunk in shared)
    return ModelStatistics(
        model=model,
        logical_bytes=model.parameters.size_bytes + model.files_bytes,
        unique_bytes=whole - shared_bytes,
        shared_bytes=shared_bytes,
        delta_bytes=sum(form.size_bytes for form in forms.values() if form.bases),
        tensors=[
            _tensor(parameter, forms, own_tensors[parameter.digest] + others.uses[parameter.digest] - 1)
            for parameter in parameters
        ],
    )


async def _shared(backend: Backend, own: Sequence[Digest], others: DigestSet) -> list[Digest]:
    """Those of ``own`` that a reading of ``others`` touches."""
    flags = (await touched_by(backend, others)).has(digest_array(own))
    return [digest for digest, is_shared in zip(own, flags.tolist(), strict=True) if is_shared]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What a model is made of, by object keys; ``models`` have the same content."""

    manifest_key: str
    files_key: str | None
    models: int = 1


async def _documents(backend: Backend, *, without: str | None = None) -> AsyncIterator[list[_Document]]:
    """Distinct contents of all present and staged models, in groups; of the model ``without`` only what others share.

    Memory: some 200 bytes for each distinct content.
    """
    found: dict[tuple[Digest, Digest | None], _Document] = {}
    # Staged ones first, as for a collection: one that is published meanwhile would be in neither list.
    for list_page in (backend.lineage.staging.list_page, backend.lineage.content.parameter_sets):
        page = await list_page(Page(size=_PAGE_SIZE))
        while page:
            for model in page:
                if model.uid != without:
                    _add_document(found, model)
            page = await list_page(Page(size=_PAGE_SIZE, after=page[-1].uid))
    documents = list(found.values())
    for start in range(0, len(documents), _DOCUMENTS_AT_ONCE):
        yield documents[start : start + _DOCUMENTS_AT_ONCE]


def _add_document(found: dict[tuple[Digest, Digest | None], _Document], model: Model) -> None:
    if model.parameters is None:
        return
    key = (model.parameters.digest, model.files)
    known = found.get(key)
    found[key] = _Document(
        manifest_key=model.parameters.manifest_key,
        files_key=model.files_key,
        models=1 if known is None else known.models + 1,
    )


def _parameters_of(backend: Backend, document: _Document) -> tuple[Parameter, ...]:
    return backend.parameters.read_manifest(document.manifest_key).parameters


def _chunks_of(backend: Backend, document: _Document) -> list[Digest]:
    chunks = [chunk for parameter in _parameters_of(backend, document) for chunk in parameter.chunks]
    if document.files_key is not None:
        files = backend.parameters.read_file_list(document.files_key).files
        chunks += [chunk for entry in files for chunk in entry.chunks]
    return chunks


def _chunks_here(backend: Backend, document: _Document, model: Model) -> list[Digest]:
    """The chunks of a model; where some are in another store, those that are here."""
    chunks = _chunks_of(backend, document)
    if model.parameters is None or model.parameters.is_whole:
        return chunks
    elsewhere = set(backend.chunks.find_missing(chunks))
    return [chunk for chunk in chunks if chunk not in elsewhere]


def _gather(backend: Backend, documents: Sequence[_Document], gatherer: DigestGatherer) -> None:
    for document in documents:
        gatherer.add(_chunks_of(backend, document))


@dataclass(slots=True, kw_only=True)
class _Others:
    """What other models are made of, as far as it concerns one.

    Attributes:
        tensors: Tensors of the one.
        chunks: Chunks that the manifests and file lists of others name.
        uses: How often each of its tensors is a parameter of another model.
    """

    tensors: set[Digest]
    chunks: DigestGatherer = field(default_factory=DigestGatherer)
    uses: Counter[Digest] = field(default_factory=Counter)

    def add_all(self, backend: Backend, documents: Sequence[_Document]) -> None:
        for document in documents:
            self.chunks.add(_chunks_of(backend, document))
            for parameter in _parameters_of(backend, document):
                if parameter.digest in self.tensors:
                    self.uses[parameter.digest] += document.models


def _tensor(parameter: Parameter, forms: Mapping[Digest, StoredForm], shared_with: int) -> TensorStatistics:
    # What is promised has no form here.
    stored = [forms[chunk] for chunk in dict.fromkeys(parameter.chunks) if chunk in forms]
    return TensorStatistics(
        name=parameter.name,
        digest=parameter.digest,
        logical_bytes=parameter.spec.size_bytes,
        stored_bytes=sum(form.size_bytes for form in stored),
        encodings=Counter(encoding_name(form.encoding) for form in stored),
        predictors=Counter(predictor_name(form.predictor) for form in stored),
        shared_with=shared_with,
    )
