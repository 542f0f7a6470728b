"""Models of one store in another: compared, given, and taken in with their own uids and numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from mgit_core.chunking import file_chunk_sizes
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_core.layers.document import layer_graph_digest
from mgit_core.layers.graph import LayerGraph
from mgit_core.lineage import Model, ModelSummary, ParameterSet, Promise, RequestKey
from mgit_core.ports.chunks import ChunkStore
from mgit_core.ports.exchange import ImportedModel, ModelIdentity, ModelStanding
from mgit_core.ports.graph import Lineage
from mgit_core.standings import Standing, check_standings
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.layer_graphs import take_layer_graph
from mgit_service.use_cases.transfer.commit import check_chunks, store_documents, tensor_records
from mgit_service.use_cases.transfer.drafting import Draft
from mgit_service.use_cases.transfer.file_headers import check_headers

__all__ = ["ModelArrival", "compare_models", "export_models", "import_models"]

_MODELS_AT_ONCE = 200
_DOCUMENTS_AT_ONCE = 32
_DIGESTS_AT_ONCE = 10_000


async def compare_models(lineage: Lineage, models: Sequence[ModelIdentity]) -> list[ModelStanding]:
    """How models of another store stand to this one, in order."""
    return await lineage.exchange.standings(models) if models else []


async def export_models(lineage: Lineage, uids: Sequence[str]) -> AsyncIterator[list[Model]]:
    """The models, in order, in slices; tombstones too.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
    """
    for start in range(0, len(uids), _MODELS_AT_ONCE):
        yield await lineage.exchange.export(uids[start : start + _MODELS_AT_ONCE])


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArrival:
    """A model of another store on its way in.

    Attributes:
        model: What is said of it; of its parameters, files and layer graph only the digests are heeded.
        draft: What it is made of; None for a tombstone.
        promise: Who has what of its parameters is not here.
    """

    model: Model
    draft: Draft | None = None
    promise: Promise | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A model whose content was looked at."""

    arrival: ModelArrival
    standing: Standing
    graph: LayerGraph | None = None
    is_whole: bool = True


async def import_models(
    backend: Backend, arrivals: Sequence[ModelArrival], *, epoch: int, request: RequestKey | None
) -> list[ModelSummary]:
    """Make models visible, all or none; those that are here stay. Each as it is here now, in order.

    A model whose chunks are all here is whole, whatever is promised.

    Args:
        backend: Where to.
        arrivals: At most 1,000.
        epoch: Epoch that was read before the store was asked for their chunks.
        request: Makes the change idempotent.

    Raises:
        AlreadyExistsError: NAME_TAKEN.
        CorruptError: MODEL_DIFFERS, or MANIFEST_CORRUPT for a draft that is not what is said of the model.
        FailedPreconditionError: CHUNKS_MISSING.
        InvalidArgumentError: SHAPE_MISMATCH or INVALID_LAYER_GRAPH, as a commit.
        ConflictError: CYCLE or REQUEST_ID_REUSED.
        UnavailableError: UPLOAD_STALE.
        ResourceExhaustedError: DISK_FULL.
    """
    for arrival in arrivals:
        _check_digests(arrival)
    standings = await backend.lineage.exchange.standings([_identity(each.model) for each in arrivals])
    check_standings(
        (arrival.model, found.standing) for arrival, found in zip(arrivals, standings, strict=True)
    )
    checked = [
        await _check(backend, arrival, found.standing)
        for arrival, found in zip(arrivals, standings, strict=True)
    ]
    models: list[ImportedModel] = []
    for start in range(0, len(checked), _DOCUMENTS_AT_ONCE):
        part = checked[start : start + _DOCUMENTS_AT_ONCE]
        models += await asyncio.gather(*(_stored(backend, each) for each in part))
    imported = await backend.lineage.exchange.import_models(models, epoch=epoch, request=request)
    backend.committed.set()
    return imported


def _identity(model: Model) -> ModelIdentity:
    return ModelIdentity(
        uid=model.uid,
        name=model.name,
        version=model.version,
        parameters=None if model.parameters is None else model.parameters.digest,
        files=model.files,
    )


def _check_digests(arrival: ModelArrival) -> None:
    """Refuses a model whose parts are not what is said of it."""
    model, draft = arrival.model, arrival.draft
    said = (None if model.parameters is None else model.parameters.digest, model.files)
    if draft is None:
        found: tuple[Digest | None, Digest | None] = (None, None)
    else:
        found = (draft.manifest.digest, None if draft.files is None else draft.files.digest)
    for what, wanted, came in zip(("parameters", "files"), said, found, strict=True):
        if wanted != came:
            raise CorruptError(
                ErrorReason.MANIFEST_CORRUPT,
                f"The {what} of {model.ref} were sent with digest {_hex(came)}, but are said to have {_hex(wanted)}.",
                uid=model.uid,
                wanted=_hex(wanted),
                found=_hex(came),
            )


def _hex(digest: Digest | None) -> str:
    return "none" if digest is None else digest.hex()


async def _check(backend: Backend, arrival: ModelArrival, standing: Standing) -> _Checked:
    """Look at the content of a model that is to come in, or to become whole."""
    draft = arrival.draft
    if draft is None or standing not in {Standing.ABSENT, Standing.PROMISED}:
        return _Checked(arrival=arrival, standing=standing)
    graph = await take_layer_graph(backend, draft.header.layer_graph, draft.manifest)
    if graph is not None and layer_graph_digest(backend.chunks.algorithm, graph) != arrival.model.layer_graph:
        raise InvalidArgumentError(
            ErrorReason.INVALID_LAYER_GRAPH,
            f"The layer graph of {arrival.model.ref} is another than the one that is said.",
            uid=arrival.model.uid,
        )
    is_whole = await in_thread(backend, _check_content, backend.chunks, draft, arrival.promise is not None)
    return _Checked(arrival=arrival, standing=standing, graph=graph, is_whole=is_whole)


def _check_content(chunks: ChunkStore, draft: Draft, is_promised: bool) -> bool:  # noqa: FBT001 - of a thread
    """Refuse content that is not here, or not as long as it should be; whether all of it is here.

    What is promised may lack, except for files.
    """
    sizes = draft.chunk_sizes()
    lacking: set[Digest] = set()
    if is_promised:
        wanted = list(sizes)
        for start in range(0, len(wanted), _DIGESTS_AT_ONCE):
            lacking.update(chunks.find_missing(wanted[start : start + _DIGESTS_AT_ONCE]))
        lacking.difference_update(digest for digest, _ in _file_chunks(draft))
    check_chunks(chunks, {digest: size for digest, size in sizes.items() if digest not in lacking})
    if draft.files is not None:
        check_headers(chunks, draft.manifest, draft.files)
    return not lacking


def _file_chunks(draft: Draft) -> Iterator[tuple[Digest, int]]:
    for entry in draft.files.files if draft.files else ():
        yield from zip(entry.chunks, file_chunk_sizes(entry.stored_bytes), strict=True)


async def _stored(backend: Backend, checked: _Checked) -> ImportedModel:
    """The model with the keys of its documents, which are durable then if it is new here."""
    model, draft = checked.arrival.model, checked.arrival.draft
    if draft is None:
        return ImportedModel(model=replace(model, parameters=None, files=None, layer_graph=None))
    promise = None if checked.is_whole else checked.arrival.promise
    if checked.standing is not Standing.ABSENT:
        parameters = ParameterSet(
            digest=draft.manifest.digest,
            manifest_key="",
            size_bytes=draft.manifest.size_bytes,
            tensor_count=len(draft.manifest.parameters),
            promised_by=promise,
        )
        return ImportedModel(model=replace(model, parameters=parameters))
    stored = await store_documents(backend, draft, checked.graph)
    described = replace(
        model,
        parameters=replace(stored.parameters, promised_by=promise),
        files=stored.files,
        files_key=stored.files_key,
        files_bytes=draft.files.stored_bytes if draft.files else 0,
        layer_graph=stored.layer_graph,
        layer_graph_key=stored.layer_graph_key,
    )
    return ImportedModel(model=described, tensors=tensor_records(draft.manifest))
