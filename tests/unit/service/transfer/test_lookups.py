"""What drafts and damage look up, over a store and a graph in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import (
    CorruptError,
    ErrorReason,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from mgit_core.files import FileKind
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.references import ParentRequest
from mgit_service.use_cases.transfer import drafting
from mgit_service.use_cases.transfer.commit import CommitRequest, commit_draft
from mgit_service.use_cases.transfer.drafting import Draft, DraftAssembly, FilePart, ParameterPart
from mgit_service.use_cases.transfer.holders import name_holders
from mgit_service.use_cases.transfer.ingest import ChunkIngest, RawChunk
from mgit_service.use_cases.transfer.reading import read_chunks
from mgit_service.use_cases.transfer.resolution import MissingChunks
from mgit_storage.lineage import open_memory
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.store import open_objects
from mgit_storage.testing.faults import FaultyObjectStore

ALGORITHM = DigestAlgorithm.SHA256
BYTES = TensorSpec("uint8", (3,))


@pytest.fixture
def objects() -> FaultyObjectStore:
    return FaultyObjectStore(MemoryObjectStore())


@pytest.fixture
def backend(objects: FaultyObjectStore) -> Iterator[Backend]:
    store = open_objects(objects, ALGORITHM)
    with ThreadPoolExecutor(2) as threads:
        yield Backend(
            store_id=store.id,
            chunks=store.chunks,
            parameters=store.parameters,
            lineage=open_memory(),
            threads=threads,
        )


async def put(backend: Backend, content: bytes) -> Digest:
    chunk = RawChunk(len(content), 1)
    chunk.pieces.append(content)
    async with ChunkIngest(backend) as ingest:
        await ingest.add(chunk)
        await ingest.finish()
    return chunk.digest


def draft_of(
    name: str, *chunks: Digest, file: Digest | None = None, parents: tuple[ParentRequest, ...] = ()
) -> Draft:
    assembly = DraftAssembly(ALGORITHM, DraftHeader(name=name, parents=parents))
    for number, chunk in enumerate(chunks):
        assembly.add_parameter(ParameterPart(name=f"p{number}", spec=BYTES, chunks=[chunk]))
    if file is not None:
        assembly.add_file(
            FilePart(path="f", kind=FileKind.OPAQUE, chunks=[file], size_bytes=3, stored_bytes=3)
        )
    return assembly.finish()


async def commit(backend: Backend, draft: Draft) -> str:
    request = CommitRequest(epoch=await backend.lineage.binding.epoch(), request_id=None, arguments=b"")
    return (await commit_draft(backend, draft, request)).model.ref


async def test_a_repeated_commit_is_answered_when_its_parent_is_gone(backend: Backend) -> None:
    await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
    digest = await put(backend, b"abc")
    await commit(backend, draft_of("base", digest))
    parent = ParentRequest(reference="base@1")
    draft = draft_of("child", digest, parents=(parent,))
    request = CommitRequest(epoch=1, request_id="r", arguments=b"")
    first = await commit_draft(backend, draft, request)
    await backend.lineage.edges.unlink(first.model.uid, first.model.parents[0].parent_uid, None)
    await backend.lineage.models.remove(first.model.parents[0].parent_uid)
    again = await commit_draft(backend, draft, request)
    assert (again.model.uid, again.repeated) == (first.model.uid, True)
    other = replace(request, request_id="s")
    with pytest.raises(NotFoundError) as error:
        await commit_draft(backend, draft, other)
    assert error.value.reason is ErrorReason.PARENT_NOT_FOUND


async def test_a_new_epoch_has_the_store_looked_at_anew(backend: Backend, objects: FaultyObjectStore) -> None:
    await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
    watch = EpochWatch(backend)
    await watch.read()
    lists: list[str] = []
    objects.fault = lambda step, key: lists.append(key) if step == "list" else None
    assert await watch.read() == 1
    assert lists == []
    backend.lineage.binding._graph.epoch = 2  # type: ignore[attr-defined]
    assert await watch.read() == 2
    assert "indexes" in lists


async def test_missing_chunks_are_named_once(backend: Backend) -> None:
    known = await put(backend, b"abc")
    missing = MissingChunks(backend)
    other, third = bytes(32), bytes([1]) * 32
    assert await missing.find([known, other, other]) == [other]
    assert await missing.find([other, third, known]) == [third]
    assert await missing.find([]) == []


async def test_damage_names_ten_models_at_most_and_those_with_the_file_too(backend: Backend) -> None:
    await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
    digest, other = await put(backend, b"abc"), await put(backend, b"def")
    await commit(backend, draft_of("bystander", other))
    await commit(backend, draft_of("with-file", other, file=digest))
    error = CorruptError(ErrorReason.CHUNK_CORRUPT, "Damaged.", digest=digest.hex())
    assert (await name_holders(backend, error)).details["models"] == "with-file@1"
    for number in range(12):
        await commit(backend, draft_of(f"m{number}", digest))
    assert len((await name_holders(backend, error)).details["models"].split(",")) == 10


async def test_damage_that_nobody_holds_says_so(backend: Backend) -> None:
    await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
    error = CorruptError(ErrorReason.CHUNK_CORRUPT, "Damaged.", digest="00" * 32)
    found = await name_holders(backend, error)
    assert (found.details["models"], found.message) == ("", "Damaged. No present model holds it.")


async def test_a_second_damage_does_not_hide_the_first(backend: Backend, objects: FaultyObjectStore) -> None:
    await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
    digest = await put(backend, b"abc")
    ref = await commit(backend, draft_of("whole", digest))
    lost = draft_of("lost", digest, digest)
    await commit(backend, lost)
    fresh = open_objects(objects, ALGORITHM)  # Its cache of documents is empty.

    def refuse(step: str, key: str) -> None:
        if step == "get" and lost.manifest.digest.hex() in key:
            raise CorruptError(ErrorReason.MANIFEST_CORRUPT, "Lost.")

    objects.fault = refuse
    damaged = replace(backend, chunks=fresh.chunks, parameters=fresh.parameters)
    error = CorruptError(ErrorReason.CHUNK_CORRUPT, "Damaged.", digest=digest.hex())
    assert (await name_holders(damaged, error)).details["models"] == ref


async def test_damage_is_told_even_if_the_graph_cannot_be_asked(backend: Backend) -> None:
    class Unreachable:
        async def parameter_sets(self, page: object) -> object:
            raise UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, f"Away, {page}.")

    lost = replace(backend, lineage=replace(backend.lineage, content=Unreachable()))  # type: ignore[arg-type]
    error = CorruptError(ErrorReason.CHUNK_CORRUPT, "Damaged.", digest="00" * 32)
    assert await name_holders(lost, error) is error


async def test_further_damage_behind_the_first_is_not_left_to_the_log(
    backend: Backend, objects: FaultyObjectStore
) -> None:
    await backend.lineage.binding.bind(backend.store_id, store_is_empty=True)
    digests = [await put(backend, bytes([number]) * (1 << 20)) for number in range(6)]

    def refuse(step: str, key: str) -> None:
        if step == "get_range":
            raise CorruptError(ErrorReason.CHUNK_CORRUPT, "Damaged.", key=key)

    objects.fault = refuse
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
    with pytest.raises(CorruptError):
        async for _ in read_chunks(backend, digests):
            pass
    backend.threads.shutdown()  # Every read is over.
    await asyncio.sleep(0)
    gc.collect()
    assert unheard == []


def test_one_digest_cannot_have_two_sizes() -> None:
    assembly = DraftAssembly(ALGORITHM, DraftHeader(name="m"))
    digest = digest_of(ALGORITHM, b"abc")
    assembly.add_parameter(ParameterPart(name="a", spec=BYTES, chunks=[digest]))
    assembly.add_parameter(ParameterPart(name="b", spec=TensorSpec("uint8", (4,)), chunks=[digest]))
    with pytest.raises(InvalidArgumentError) as error:
        assembly.finish().chunk_sizes()
    assert error.value.reason is ErrorReason.SHAPE_MISMATCH


def test_a_draft_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "_LARGEST_DRAFT", 5)
    assembly = DraftAssembly(ALGORITHM, DraftHeader(name="m"))
    for name in ("a", "b"):
        assembly.add_parameter(ParameterPart(name=name, spec=BYTES, chunks=[bytes(32)]))
    with pytest.raises(ResourceExhaustedError) as error:
        assembly.add_parameter(ParameterPart(name="c", spec=BYTES, chunks=[bytes(32)]))
    assert error.value.reason is ErrorReason.LIMIT_EXCEEDED


def test_parameters_come_before_files() -> None:
    assembly = DraftAssembly(ALGORITHM, DraftHeader(name="m"))
    for path in ("a", "b"):
        assembly.add_file(FilePart(path=path, kind=FileKind.OPAQUE, chunks=[]))
    with pytest.raises(InvalidArgumentError) as error:
        assembly.add_parameter(ParameterPart(name="p", spec=BYTES, chunks=[bytes(32)]))
    assert error.value.reason is ErrorReason.MESSAGE_OUT_OF_ORDER
