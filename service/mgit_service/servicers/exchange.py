"""ExchangeService: models and chunks from one store to another."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import grpc.aio
from typing_extensions import override

from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import exchange_pb2_grpc
from mgit_service.servicers import convert
from mgit_service.servicers import exchange_messages as messages
from mgit_service.servicers.exchange_pieces import EncodedPieces, ModelArrivals, RequestDigest
from mgit_service.servicers.messages import PIECE_BYTES, check_digests, check_size, out_of_order
from mgit_service.servicers.record_messages import RecordAssembly, record_parts, remote_value
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.exchange import models, records
from mgit_service.use_cases.exchange.encoded import describe_chunks, read_encoded_chunks
from mgit_service.use_cases.exchange.encoded_ingest import EncodedIngest
from mgit_service.use_cases.transfer.resolution import MissingChunks

__all__ = ["ExchangeServicer"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ExchangeServicer(exchange_pb2_grpc.ExchangeServiceServicer):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._epoch = EpochWatch(backend)

    @override
    async def CompareModels(
        self, request: pb.CompareModelsRequest, context: Context
    ) -> pb.CompareModelsResponse:
        check_digests(len(request.models))
        identities = list(map(messages.identity_value, request.models))
        standings = await models.compare_models(self._backend.lineage, identities)
        return pb.CompareModelsResponse(standings=map(messages.standing_message, standings))

    @override
    async def ExportModels(
        self, request: pb.ExportModelsRequest, context: Context
    ) -> AsyncIterator[pb.ExportModelsResponse]:
        uids = messages.check_uids(request.uids)
        async for part in models.export_models(self._backend.lineage, uids):
            for message in messages.model_messages(part):
                yield message

    @override
    async def ExportRecords(
        self, request: pb.ExportRecordsRequest, context: Context
    ) -> AsyncIterator[pb.ExportRecordsResponse]:
        uids = messages.check_uids(request.uids)
        async for part in records.export_records(self._backend.lineage, uids):
            for message in record_parts(part):
                yield pb.ExportRecordsResponse(records=message)

    @override
    async def FindMissingChunks(
        self, request_iterator: AsyncIterator[pb.FindMissingChunksRequest], context: Context
    ) -> AsyncIterator[pb.FindMissingChunksResponse]:
        # Before the first look-up: what is there now stays for an import with this epoch.
        epoch = await self._epoch.read()
        missing = MissingChunks(self._backend)
        async for message in request_iterator:
            found = await missing.find(_digests(message.digests))
            yield pb.FindMissingChunksResponse(missing=found)
        yield pb.FindMissingChunksResponse(epoch=epoch)

    @override
    async def DescribeChunks(
        self, request: pb.DescribeChunksRequest, context: Context
    ) -> pb.DescribeChunksResponse:
        found = await describe_chunks(self._backend, _digests(request.digests))
        return pb.DescribeChunksResponse(
            chunks=[
                pb.ChunkDescription(
                    stored_bytes=chunk.stored_bytes, raw_bytes=chunk.raw_bytes, bases=chunk.bases
                )
                for chunk in found
            ]
        )

    @override
    async def ReadEncodedChunks(
        self, request: pb.ReadEncodedChunksRequest, context: Context
    ) -> AsyncIterator[pb.ReadEncodedChunksResponse]:
        check_digests(len(request.digests) + len(request.alone))
        digests, alone = _digests(request.digests), _digests(request.alone)
        async with contextlib.aclosing(read_encoded_chunks(self._backend, digests, alone)) as frames:
            async for digest, frame in frames:
                yield pb.ReadEncodedChunksResponse(
                    digest=digest, size_bytes=len(frame), data=frame[:PIECE_BYTES]
                )
                for start in range(PIECE_BYTES, len(frame), PIECE_BYTES):
                    yield pb.ReadEncodedChunksResponse(data=frame[start : start + PIECE_BYTES])

    @override
    async def WriteEncodedChunks(
        self, request_iterator: AsyncIterator[pb.WriteEncodedChunksRequest], context: Context
    ) -> pb.WriteEncodedChunksResponse:
        pieces = EncodedPieces()
        # Copies that a collection is about to take are no bases.
        await self._epoch.read()
        async with EncodedIngest(self._backend) as ingest:
            async for message in request_iterator:
                whole = pieces.take(message)
                if whole is not None:
                    await ingest.add(*whole)
            pieces.finish()
            await ingest.finish()
        return pb.WriteEncodedChunksResponse(chunk_count=ingest.chunk_count, stored_bytes=ingest.stored_bytes)

    @override
    async def ImportModels(
        self, request_iterator: AsyncIterator[pb.ImportModelsRequest], context: Context
    ) -> pb.ImportModelsResponse:
        arrivals = ModelArrivals(self._backend.chunks.algorithm)
        arguments = RequestDigest("ImportModels")
        end: pb.ImportEnd | None = None
        async for message in request_iterator:
            kind = message.WhichOneof("kind")
            if end is not None or kind is None:
                raise out_of_order("an import is starts, each with its parts, and one end")
            if kind == "end":
                end = message.end
                continue
            arguments.add(message)
            if kind == "start":
                arrivals.begin(message.start)
            else:
                arrivals.add(message)
        if end is None:
            raise out_of_order("the stream ended without the end of the import")
        imported = await models.import_models(
            self._backend, arrivals.finish(), epoch=end.epoch, request=arguments.key(end.request_id)
        )
        return pb.ImportModelsResponse(models=map(convert.summary_message, imported))

    @override
    async def ImportRecords(
        self, request_iterator: AsyncIterator[pb.ImportRecordsRequest], context: Context
    ) -> pb.ImportRecordsResponse:
        first = await anext(aiter(request_iterator), None)
        if first is None:
            raise out_of_order("the stream ended before its first message")
        remote = remote_value(first.remote)
        arguments = RequestDigest(f"ImportRecords {remote} {first.force_tags}")
        assembly = RecordAssembly()
        self._take_records(first, assembly, arguments)
        async for message in request_iterator:
            self._take_records(message, assembly, arguments)
        changes = await records.import_records(
            self._backend.lineage,
            assembly.finish(),
            remote=remote,
            force_tags=first.force_tags,
            request=arguments.key(first.request_id),
        )
        return pb.ImportRecordsResponse(
            edges=changes.edges,
            tags=changes.tags,
            tests=changes.tests,
            results=changes.results,
            bugs=changes.bugs,
        )

    def _take_records(
        self, message: pb.ImportRecordsRequest, assembly: RecordAssembly, arguments: RequestDigest
    ) -> None:
        check_size(message.ByteSize())
        arguments.add(message.records)
        assembly.add(message.records)


def _digests(digests: Sequence[Digest]) -> list[Digest]:
    """The digests, if they are some.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """
    check_digests(len(digests))
    if any(len(digest) != DIGEST_SIZE for digest in digests):
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"A digest has {DIGEST_SIZE} bytes.", field="digests"
        )
    return list(digests)
