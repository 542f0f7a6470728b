"""The commit: everything checked, documents durable, then one graph transaction makes the model visible."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mgit_core.digest import Digest, digest_of_parts
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError
from mgit_core.files import FileList
from mgit_core.layers.document import layer_graph_digest
from mgit_core.layers.graph import LayerGraph
from mgit_core.lineage import (
    CommittedModel,
    ModelCommit,
    ParameterSet,
    ParentLink,
    RequestKey,
    TensorRecord,
)
from mgit_core.manifest import Manifest
from mgit_core.names import make_uid
from mgit_core.ports.chunks import ChunkStore, ParameterStore
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.layer_graphs import take_layer_graph
from mgit_service.use_cases.transfer.drafting import Draft
from mgit_service.use_cases.transfer.file_headers import check_headers
from mgit_service.use_cases.transfer.resolution import resolve_parents, resolve_previous

__all__ = [
    "CommitRequest",
    "StoredDocuments",
    "check_chunks",
    "commit_draft",
    "prepare_commit",
    "store_documents",
    "tensor_records",
]

_DIGESTS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """How a draft is to be committed.

    Attributes:
        epoch: Epoch that was read before the store was asked for the draft's chunks.
        request_id: Makes the commit idempotent; None for one that is not.
        arguments: What else the request said, in a form that is equal for equal requests.
    """

    epoch: int
    request_id: str | None
    arguments: bytes


async def commit_draft(backend: Backend, draft: Draft, request: CommitRequest) -> CommittedModel:
    """Make a drafted model visible, or find the model that the same request made before.

    One that a step of a cascade makes is staged instead.

    Raises:
        FailedPreconditionError: CHUNKS_MISSING, naming the first missing digest and their number.
        InvalidArgumentError: SHAPE_MISMATCH for chunks that are not as long as the draft says, or a
            safetensors file that could not be rebuilt; INVALID_ARGUMENT for a record of loss whose base is no
            parent; INVALID_LAYER_GRAPH; as ``resolve_parents``.
        NotFoundError: PARENT_NOT_FOUND, MODEL_NOT_FOUND or TAG_NOT_FOUND.
        ConflictError: REQUEST_ID_REUSED, or STEP_LEASE_LOST.
        UnavailableError: UPLOAD_STALE.
        ResourceExhaustedError: DISK_FULL.
    """
    key = _request_key(backend, draft, request)
    try:
        return await _commit(backend, draft, request.epoch, key)
    except (NotFoundError, FailedPreconditionError):
        # Parents and chunks that were there for the first call may be gone at its repeat.
        earlier = None if key is None else await backend.lineage.models.find_commit(key)
        if earlier is None:
            raise
        return earlier


def _request_key(backend: Backend, draft: Draft, request: CommitRequest) -> RequestKey | None:
    if request.request_id is None:
        return None
    files = draft.files.digest if draft.files else b""
    contents = (request.arguments, draft.manifest.digest, files)
    arguments_digest = digest_of_parts(backend.chunks.algorithm, contents)
    return RequestKey(id=request.request_id, arguments_digest=arguments_digest)


async def _commit(backend: Backend, draft: Draft, epoch: int, key: RequestKey | None) -> CommittedModel:
    commit = await prepare_commit(backend, draft, epoch)
    step = draft.header.step
    if step is not None:
        staged = await backend.lineage.staging.stage(commit, step.lease, key)
        return CommittedModel(model=staged, same_as=())
    committed = await backend.lineage.models.commit(commit, key)
    backend.committed.set()
    return committed


async def prepare_commit(backend: Backend, draft: Draft, epoch: int) -> ModelCommit:
    """What the graph is told of a draft: everything checked, and its documents durable.

    Raises:
        As ``commit_draft``, without what the graph itself refuses.
    """
    parents = await resolve_parents(backend, draft.header)
    previous = await resolve_previous(backend, draft.header)
    _check_loss(draft.header, parents)
    await in_thread(backend, _check_content, backend.chunks, draft)
    graph = await take_layer_graph(backend, draft.header.layer_graph, draft.manifest)
    stored = await store_documents(backend, draft, graph)
    header = draft.header
    uid = header.step.target_uid if header.step else None
    return ModelCommit(
        uid=uid or make_uid(time.time_ns() // 1_000_000, os.urandom(10)),
        name=header.name,
        created_at=datetime.now(UTC),
        parameters=stored.parameters,
        tensors=tensor_records(draft.manifest),
        epoch=epoch,
        type=header.type,
        metadata=header.metadata,
        parents=parents,
        previous=previous,
        datasets=header.datasets,
        files=stored.files,
        files_key=stored.files_key,
        files_bytes=draft.files.stored_bytes if draft.files else 0,
        loss=header.loss,
        layer_graph=stored.layer_graph,
        layer_graph_key=stored.layer_graph_key,
        creation=header.creation,
    )


def _check_loss(header: DraftHeader, parents: Sequence[ParentLink]) -> None:
    if header.loss is not None and all(header.loss.base_uid != link.parent_uid for link in parents):
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"The base of guarded loss is one of the model's parents; found @{header.loss.base_uid}.",
            field="loss.base_uid",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocuments:
    """Where the documents of a draft lie now."""

    parameters: ParameterSet
    files: Digest | None = None
    files_key: str | None = None
    layer_graph: Digest | None = None
    layer_graph_key: str | None = None


async def store_documents(backend: Backend, draft: Draft, graph: LayerGraph | None) -> StoredDocuments:
    """Write manifest, file list and layer graph, durable, side by side: each waits for the disk."""
    parameters, (files, files_key), (layer_graph, layer_graph_key) = await asyncio.gather(
        in_thread(backend, _store_manifest, backend.parameters, draft.manifest),
        in_thread(backend, _store_files, backend.parameters, draft.files),
        in_thread(backend, _store_layer_graph, backend, graph),
    )
    return StoredDocuments(
        parameters=parameters,
        files=files,
        files_key=files_key,
        layer_graph=layer_graph,
        layer_graph_key=layer_graph_key,
    )


def _store_manifest(parameters: ParameterStore, manifest: Manifest) -> ParameterSet:
    return ParameterSet(
        digest=manifest.digest,
        manifest_key=parameters.write_manifest(manifest),
        size_bytes=manifest.size_bytes,
        tensor_count=len(manifest.parameters),
    )


def _store_files(parameters: ParameterStore, files: FileList | None) -> tuple[Digest | None, str | None]:
    return (None, None) if files is None else (files.digest, parameters.write_file_list(files))


def _store_layer_graph(backend: Backend, graph: LayerGraph | None) -> tuple[Digest | None, str | None]:
    if graph is None:
        return None, None
    return layer_graph_digest(backend.chunks.algorithm, graph), backend.parameters.write_layer_graph(graph)


def _check_content(chunks: ChunkStore, draft: Draft) -> None:
    check_chunks(chunks, draft.chunk_sizes())
    if draft.files is not None:
        check_headers(chunks, draft.manifest, draft.files)


def check_chunks(chunks: ChunkStore, sizes: Mapping[Digest, int]) -> None:
    """Refuses a draft whose chunks are not all there, or not as long as the draft says.

    A digest tells nothing about a length: without the second check a wrong shape would make a model that
    cannot be read.

    Raises:
        FailedPreconditionError: CHUNKS_MISSING.
        InvalidArgumentError: SHAPE_MISMATCH.
    """
    wanted = list(sizes)
    slices = [wanted[at : at + _DIGESTS_AT_ONCE] for at in range(0, len(wanted), _DIGESTS_AT_ONCE)]
    missing = [digest for part in slices for digest in chunks.find_missing(part)]
    if missing:
        raise FailedPreconditionError(
            ErrorReason.CHUNKS_MISSING,
            f"The store lacks {len(missing)} of the model's {len(wanted)} chunks, the first is "
            f"{missing[0].hex()}; draft again and send them.",
            digest=missing[0].hex(),
            count=len(missing),
        )
    for part in slices:
        for digest, found in zip(part, chunks.raw_sizes(part), strict=True):
            if found != sizes[digest]:
                raise InvalidArgumentError(
                    ErrorReason.SHAPE_MISMATCH,
                    f"Chunk {digest.hex()} has {found} bytes; type and shape of its parameter, or the size of "
                    f"its file, want {sizes[digest]}.",
                    digest=digest.hex(),
                )


def tensor_records(manifest: Manifest) -> tuple[TensorRecord, ...]:
    """The tensors of a manifest as the graph keeps them, in order."""
    return tuple(
        TensorRecord(
            name=parameter.name,
            digest=parameter.digest,
            dtype=parameter.spec.dtype,
            shape=parameter.spec.shape,
            size_bytes=parameter.spec.size_bytes,
        )
        for parameter in manifest.parameters
    )
