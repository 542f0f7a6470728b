"""A client of the parameter service made of generated stubs and the core alone, and a service beside the test."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
from google.rpc import error_details_pb2, status_pb2
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import run_service

from mgit_core.chunking import chunk_ranges, file_chunk_sizes
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.tensor import AnyArray, TensorSpec, name_of_dtype
from mgit_proto.v1 import (
    audit_pb2_grpc,
    exchange_pb2_grpc,
    lineage_pb2_grpc,
    model_tests_pb2_grpc,
    parameters_pb2,
    parameters_pb2_grpc,
    types_pb2,
)
from mgit_service.channel import SERVER_OPTIONS
from mgit_service.health import Watch, WatchedStore
from mgit_service.interceptors import CallInterceptor
from mgit_service.servicers.audit import AuditServicer
from mgit_service.servicers.exchange import ExchangeServicer
from mgit_service.servicers.frames import add_parameter_service
from mgit_service.servicers.lineage import LineageServicer
from mgit_service.servicers.model_tests import ModelTestServicer
from mgit_service.servicers.parameters import ParameterServicer
from mgit_service.use_cases.audit.asking import AuditLimits
from mgit_service.use_cases.backend import Backend
from mgit_storage.lineage import open_memory
from mgit_storage.store import Store, open_store

ALGORITHM = DigestAlgorithm.BLAKE3
NO_AUDIT = AuditLimits()


@dataclass(frozen=True)
class Service:
    """Stubs of a service, and its store opened by the test too."""

    parameters: parameters_pb2_grpc.ParameterServiceStub
    lineage: lineage_pb2_grpc.LineageServiceStub
    store: Store
    exchange: exchange_pb2_grpc.ExchangeServiceStub
    model_tests: model_tests_pb2_grpc.ModelTestServiceStub
    audit: audit_pb2_grpc.AuditServiceStub


@contextlib.contextmanager
def serving_neo4j(server: TestServer, folder: Path) -> Iterator[Service]:
    """The real service as a process, over a new store in ``folder`` and the emptied Neo4j of the run."""
    empty_graph(server)
    with run_service(server, folder) as running, running.stubs() as stubs:
        yield Service(
            stubs.parameters,
            stubs.lineage,
            open_store(folder, ALGORITHM),
            stubs.exchange,
            stubs.model_tests,
            stubs.audit,
        )
    empty_graph(server)


@contextlib.contextmanager
def serving_here(store: Store) -> Iterator[Service]:
    """The servicers and the interceptor of the real service in a thread, over ``store`` and a graph in memory."""
    addresses: queue.Queue[str] = queue.Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        with ThreadPoolExecutor(4) as threads:
            graph = open_memory()
            backend = Backend(
                store_id=store.id,
                chunks=store.chunks,
                parameters=store.parameters,
                lineage=graph,
                threads=threads,
            )
            watched = WatchedStore(id=store.id, is_empty=lambda: True, check=lambda: None)
            watch = Watch(store=watched, binding=graph.binding, threads=threads)
            await watch.look()
            server = grpc.aio.server(interceptors=[CallInterceptor(watch)], options=list(SERVER_OPTIONS))
            add_parameter_service(ParameterServicer(backend), server)
            lineage_pb2_grpc.add_LineageServiceServicer_to_server(LineageServicer(backend), server)
            exchange_pb2_grpc.add_ExchangeServiceServicer_to_server(ExchangeServicer(backend), server)
            model_tests_pb2_grpc.add_ModelTestServiceServicer_to_server(ModelTestServicer(backend), server)
            audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(backend, NO_AUDIT), server)
            addresses.put(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
            await server.start()
            await stop.wait()
            await server.stop(None)

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        with grpc.insecure_channel(addresses.get(timeout=20)) as channel:
            yield Service(
                parameters_pb2_grpc.ParameterServiceStub(channel),
                lineage_pb2_grpc.LineageServiceStub(channel),
                store,
                exchange_pb2_grpc.ExchangeServiceStub(channel),
                model_tests_pb2_grpc.ModelTestServiceStub(channel),
                audit_pb2_grpc.AuditServiceStub(channel),
            )
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@dataclass
class LocalModel:
    """A model as a client has it: arrays and files, cut."""

    header: parameters_pb2.ModelHeader
    parameters: list[types_pb2.Parameter] = field(default_factory=list)
    files: list[types_pb2.File] = field(default_factory=list)
    chunks: dict[Digest, tuple[bytes, int]] = field(default_factory=dict)

    def add_array(self, name: str, array: AnyArray) -> None:
        spec = TensorSpec(name_of_dtype(array.dtype), array.shape)
        content = array.tobytes()
        digests = [self._keep(content[start:stop], spec.number_bytes) for start, stop in chunk_ranges(spec)]
        self.parameters.append(
            types_pb2.Parameter(name=name, dtype=spec.dtype, shape=spec.shape, chunk_digests=digests)
        )

    def add_file(self, path: str, content: bytes) -> None:
        self.files.append(self._file(path, content, len(content), types_pb2.FILE_KIND_OPAQUE))

    def add_safetensors(self, path: str, header: bytes, size_bytes: int, prefix: str = "") -> None:
        file = self._file(path, header, size_bytes, types_pb2.FILE_KIND_SAFETENSORS)
        file.prefix = prefix
        self.files.append(file)

    def part(self) -> parameters_pb2.DraftPart:
        return parameters_pb2.DraftPart(parameters=self.parameters, files=self.files)

    def draft_messages(self) -> Iterator[parameters_pb2.DraftModelRequest]:
        yield parameters_pb2.DraftModelRequest(header=self.header)
        yield parameters_pb2.DraftModelRequest(part=self.part())

    def commit_messages(
        self, epoch: int, request_id: str = ""
    ) -> Iterator[parameters_pb2.CommitModelRequest]:
        yield parameters_pb2.CommitModelRequest(header=self.header)
        yield parameters_pb2.CommitModelRequest(part=self.part())
        end = parameters_pb2.CommitEnd(epoch=epoch, request_id=request_id)
        yield parameters_pb2.CommitModelRequest(end=end)

    def upload_messages(self, digests: Iterable[Digest]) -> Iterator[parameters_pb2.UploadChunksRequest]:
        for digest in digests:
            content, width = self.chunks[digest]
            yield from chunk_messages(digest, content, width)

    def outline_messages(
        self, lattices: Iterable[parameters_pb2.LatticeHint] = ()
    ) -> Iterator[parameters_pb2.UploadChunksRequest]:
        """What an upload of chunks says before the first one."""
        yield parameters_pb2.UploadChunksRequest(header=self.header)
        yield parameters_pb2.UploadChunksRequest(part=parameters_pb2.DraftPart(parameters=self.parameters))
        if hints := list(lattices):
            yield parameters_pb2.UploadChunksRequest(lattices=hints)

    def _keep(self, content: bytes, width: int) -> Digest:
        digest = digest_of(ALGORITHM, content)
        self.chunks[digest] = (content, width)
        return digest

    def _file(self, path: str, content: bytes, size_bytes: int, kind: types_pb2.FileKind) -> types_pb2.File:
        digests = []
        start = 0
        for size in file_chunk_sizes(len(content)):
            digests.append(self._keep(content[start : start + size], 1))
            start += size
        return types_pb2.File(
            path=path, kind=kind, size_bytes=size_bytes, stored_bytes=len(content), chunk_digests=digests
        )


def local_model(name: str, arrays: Mapping[str, AnyArray], **header: object) -> LocalModel:
    """A model of arrays; ``header`` are further fields of the header."""
    model = LocalModel(parameters_pb2.ModelHeader(name=name, **header))  # type: ignore[arg-type]
    for parameter, array in arrays.items():
        model.add_array(parameter, array)
    return model


def random_array(shape: tuple[int, ...], seed: int) -> AnyArray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def chunk_messages(
    digest: Digest, content: bytes, width: int = 4, piece_bytes: int = 512 << 10
) -> Iterator[parameters_pb2.UploadChunksRequest]:
    yield parameters_pb2.UploadChunksRequest(
        digest=digest, size_bytes=len(content), item_bytes=width, data=content[:piece_bytes]
    )
    for start in range(piece_bytes, len(content), piece_bytes):
        yield parameters_pb2.UploadChunksRequest(data=content[start : start + piece_bytes])


def draft(service: Service, model: LocalModel) -> tuple[list[Digest], int]:
    """The missing digests and the epoch."""
    missing: list[Digest] = []
    epoch = 0
    for answer in service.parameters.DraftModel(model.draft_messages()):
        missing += answer.missing
        epoch = answer.epoch or epoch
    return missing, epoch


def add(service: Service, model: LocalModel, request_id: str = "") -> parameters_pb2.CommitModelResponse:
    """Draft, upload and commit."""
    missing, epoch = draft(service, model)
    if missing:
        service.parameters.UploadChunks(model.upload_messages(missing))
    return service.parameters.CommitModel(model.commit_messages(epoch, request_id))


def add_predicted(
    service: Service, model: LocalModel, lattices: Iterable[parameters_pb2.LatticeHint] = ()
) -> parameters_pb2.UploadChunksResponse:
    """Draft, upload with an outline, and commit; the answer to the upload."""
    missing, epoch = draft(service, model)
    answer = service.parameters.UploadChunks(
        chain(model.outline_messages(lattices), model.upload_messages(missing))
    )
    service.parameters.CommitModel(model.commit_messages(epoch))
    return answer


def read_chunks(service: Service, digests: Iterable[Digest]) -> list[bytes]:
    """The chunks, pieces joined."""
    contents: list[bytearray] = []
    sizes: list[int] = []
    for answer in service.parameters.ReadChunks(parameters_pb2.ReadChunksRequest(digests=list(digests))):
        if answer.digest:
            contents.append(bytearray())
            sizes.append(answer.size_bytes)
        contents[-1] += answer.data
    assert sizes == [len(content) for content in contents]
    return [bytes(content) for content in contents]


@dataclass(frozen=True)
class Refusal:
    """What an error says on the wire."""

    code: grpc.StatusCode
    reason: str
    message: str
    details: dict[str, str]


def refusal(error: grpc.RpcError) -> Refusal:
    """The code, the reason of the ErrorInfo, and its details."""
    packed = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(packed)
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return Refusal(error.code(), info.reason, status.message, dict(info.metadata))
    raise AssertionError(f"no ErrorInfo in {status}")
