"""The parameter service: drafts, chunks and commits in; manifests, chunks and raw bytes out."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from mgit_core.chunking import CHUNK_RULE
from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.layers.document import pack_layer_graph
from mgit_proto.v1 import parameters_pb2
from mgit_service.servicers import messages
from mgit_service.servicers.convert import model_message
from mgit_service.servicers.frames import ChunkPiece, ContentPiece, chunk_frames, data_frames
from mgit_service.servicers.pieces import ChunkPieces, UploadOutline, begin_content
from mgit_service.servicers.requests import check_request_id
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.layer_graphs import check_document, read_stored_layer_graph, take_layer_graph
from mgit_service.use_cases.promises import check_here
from mgit_service.use_cases.transfer import reading
from mgit_service.use_cases.transfer.commit import CommitRequest, commit_draft
from mgit_service.use_cases.transfer.drafting import Draft, DraftAssembly
from mgit_service.use_cases.transfer.ingest import ChunkIngest
from mgit_service.use_cases.transfer.outlines import UploadPlan, plan_upload
from mgit_service.use_cases.transfer.raw import RawModel
from mgit_service.use_cases.transfer.resolution import (
    MissingChunks,
    resolve_parents,
    resolve_previous,
    settle_header,
)

__all__ = ["ParameterServicer"]

_MAX_UNUSED_HINTS = 1_000


class ParameterServicer:
    """Takes parameters in and gives them back. Keeps nothing of a call when it is over.

    Register it by ``frames.add_parameter_service``, which hands over pieces for the messages that carry bulk
    bytes, and takes such messages already serialized.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._epoch = EpochWatch(backend)
        self._version = importlib.metadata.version("mgit-lineage")

    async def GetCapabilities(  # noqa: N802 - names of RPCs are the wire's
        self, request: parameters_pb2.GetCapabilitiesRequest, context: object
    ) -> parameters_pb2.GetCapabilitiesResponse:
        del request, context
        return parameters_pb2.GetCapabilitiesResponse(
            store_id=self._backend.store_id,
            digest_algorithm=self._backend.chunks.algorithm.value,
            chunk_rule=CHUNK_RULE,
            max_message_bytes=messages.MAX_MESSAGE_BYTES,
            max_digests=messages.MAX_DIGESTS,
            service_version=self._version,
        )

    async def DraftModel(  # noqa: N802
        self, request_iterator: AsyncIterator[parameters_pb2.DraftModelRequest], context: object
    ) -> AsyncIterator[parameters_pb2.DraftModelResponse]:
        del context
        header = await settle_header(
            self._backend, messages.header_value(_header_of(await anext(request_iterator, None)))
        )
        await resolve_parents(self._backend, header)
        await resolve_previous(self._backend, header)
        # Before the first look-up: what is there now stays for a commit with this epoch.
        epoch = await self._epoch.read()
        assembly = DraftAssembly(self._backend.chunks.algorithm, header)
        missing = MissingChunks(self._backend)
        async for message in request_iterator:
            messages.check_size(message.ByteSize())
            if message.WhichOneof("kind") != "part":
                raise messages.out_of_order("a draft has one header and then parts only")
            digests = messages.add_part(assembly, message.part)
            yield parameters_pb2.DraftModelResponse(missing=await missing.find(digests))
        draft = assembly.finish()
        # One of another model is refused before chunks are sent.
        await take_layer_graph(self._backend, header.layer_graph, draft.manifest)
        yield parameters_pb2.DraftModelResponse(epoch=epoch)

    async def UploadChunks(  # noqa: N802
        self,
        request_iterator: AsyncIterator[ChunkPiece | parameters_pb2.UploadChunksRequest],
        context: object,
    ) -> parameters_pb2.UploadChunksResponse:
        del context
        outline = UploadOutline(self._backend.chunks.algorithm)
        pieces = ChunkPieces()
        plan: UploadPlan | None = None
        async with ChunkIngest(self._backend) as ingest:
            async for message in request_iterator:
                if not isinstance(message, ChunkPiece):
                    outline.take(message)
                    continue
                if not outline.is_over:
                    plan = await self._plan_upload(outline, ingest)
                chunk = pieces.take(message)
                if chunk is not None:
                    chunk.place = plan.places.find(chunk.digest, chunk.size_bytes) if plan else None
                    await ingest.add(chunk)
            pieces.finish()
            if not outline.is_over:
                plan = await self._plan_upload(outline, ingest)
            await ingest.finish()
        return parameters_pb2.UploadChunksResponse(
            chunk_count=ingest.chunk_count,
            stored_bytes=ingest.stored_bytes,
            unused_hints=plan.unused_hints(_MAX_UNUSED_HINTS) if plan else (),
        )

    async def _plan_upload(self, outline: UploadOutline, ingest: ChunkIngest) -> UploadPlan | None:
        said = outline.finish()
        if said.header is None:
            return None
        header = await settle_header(self._backend, said.header)
        await resolve_parents(self._backend, header)
        await resolve_previous(self._backend, header)
        # Copies that a collection is about to take are no bases.
        await self._epoch.read()
        plan = await plan_upload(self._backend, header, said.parameters, said.hints)
        ingest.predict_with(plan.planner)
        return plan

    async def CommitModel(  # noqa: N802
        self, request_iterator: AsyncIterator[parameters_pb2.CommitModelRequest], context: object
    ) -> parameters_pb2.CommitModelResponse:
        del context
        header_message = _header_of(await anext(request_iterator, None))
        header = await settle_header(self._backend, messages.header_value(header_message))
        assembly = DraftAssembly(self._backend.chunks.algorithm, header)
        end: parameters_pb2.CommitEnd | None = None
        async for message in request_iterator:
            messages.check_size(message.ByteSize())
            kind = message.WhichOneof("kind")
            if end is not None or kind not in {"part", "end"}:
                raise messages.out_of_order("a commit is a header, parts, and one end")
            if kind == "end":
                end = message.end
            else:
                messages.add_part(assembly, message.part)
        if end is None:
            raise messages.out_of_order("the stream ended without the end of the commit")
        request = CommitRequest(
            epoch=end.epoch,
            request_id=check_request_id(end.request_id),
            arguments=b"CommitModel\n" + header_message.SerializeToString(deterministic=True),
        )
        committed = await commit_draft(self._backend, assembly.finish(), request)
        return parameters_pb2.CommitModelResponse(
            model=model_message(committed.model),
            same_as=committed.same_as,
            repeated_request=committed.repeated,
        )

    async def UploadModel(  # noqa: N802
        self,
        request_iterator: AsyncIterator[parameters_pb2.UploadModelRequest | ContentPiece],
        context: object,
    ) -> parameters_pb2.UploadModelResponse:
        del context
        first = await anext(request_iterator, None)
        if not isinstance(first, parameters_pb2.UploadModelRequest) or not first.HasField("header"):
            raise messages.out_of_order("an upload begins with a header")
        messages.check_size(first.ByteSize())
        request_id = check_request_id(first.header.request_id)
        header = await settle_header(self._backend, messages.header_value(first.header.model))
        await resolve_parents(self._backend, header)
        await resolve_previous(self._backend, header)
        await check_document(self._backend, header.layer_graph)  # Refused before the content is taken.
        epoch = await self._epoch.read()
        plan = await plan_upload(self._backend, header, ())
        draft = await self._take_content(RawModel(header), plan, request_iterator)
        request = CommitRequest(
            epoch=epoch,
            request_id=request_id,
            arguments=b"UploadModel\n" + first.header.model.SerializeToString(deterministic=True),
        )
        committed = await commit_draft(self._backend, draft, request)
        return parameters_pb2.UploadModelResponse(
            model=model_message(committed.model),
            same_as=committed.same_as,
            repeated_request=committed.repeated,
        )

    async def _take_content(
        self,
        model: RawModel,
        plan: UploadPlan,
        request_iterator: AsyncIterator[parameters_pb2.UploadModelRequest | ContentPiece],
    ) -> Draft:
        has_ended = False
        async with ChunkIngest(self._backend) as ingest:
            ingest.predict_with(plan.planner)
            async for message in request_iterator:
                if has_ended:
                    raise messages.out_of_order("something came behind the end of the upload")
                if isinstance(message, ContentPiece):
                    messages.check_size(len(message.data))
                    for chunk in model.feed(message.data):
                        await ingest.add(chunk)
                elif message.HasField("start"):
                    messages.check_size(message.ByteSize())
                    begin_content(model, message.start)
                elif message.HasField("end"):
                    has_ended = True
                else:
                    raise messages.out_of_order("an upload is a header, then starts, each with its data")
            if not has_ended:
                raise messages.out_of_order("the stream ended without the end of the upload")
            model.finish()
            await ingest.finish()
        return model.draft(self._backend.chunks.algorithm)

    async def GetManifest(  # noqa: N802
        self, request: parameters_pb2.GetManifestRequest, context: object
    ) -> AsyncIterator[parameters_pb2.GetManifestResponse]:
        del context
        content = await reading.read_content(self._backend, request.model)
        first = parameters_pb2.GetManifestResponse(model=model_message(content.model))
        if content.files is not None:
            first.source_format = content.files.source_format
            for tie in content.files.ties:
                first.ties.add(names=tie)
        files = content.files.files if content.files else ()
        for message in messages.manifest_messages(first, content.manifest.parameters, files):
            yield message

    async def GetLayerGraph(  # noqa: N802
        self, request: parameters_pb2.GetLayerGraphRequest, context: object
    ) -> parameters_pb2.GetLayerGraphResponse:
        del context
        content = await reading.read_content(self._backend, request.model)
        graph = await read_stored_layer_graph(self._backend, content.model)
        return parameters_pb2.GetLayerGraphResponse(
            document=await in_thread(self._backend, pack_layer_graph, graph),
            digest=content.model.layer_graph or b"",
        )

    async def ReadChunks(  # noqa: N802
        self, request: parameters_pb2.ReadChunksRequest, context: object
    ) -> AsyncIterator[bytes]:
        del context
        digests = list(request.digests)
        messages.check_digests(len(digests))
        if any(len(digest) != DIGEST_SIZE for digest in digests):
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"A digest has {DIGEST_SIZE} bytes.", field="digests"
            )
        rest = iter(digests)
        async with aclosing(reading.read_chunks(self._backend, digests)) as contents:
            async for content in contents:
                for frame in chunk_frames(next(rest), content):
                    yield frame

    async def DownloadModel(  # noqa: N802
        self, request: parameters_pb2.DownloadModelRequest, context: object
    ) -> AsyncIterator[parameters_pb2.DownloadModelResponse | bytes]:
        del context
        patterns = list(request.tensors)
        if (patterns and request.files) or not (patterns or request.files or request.parameters):
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                "A download is of files, of parameters, or of parameters by patterns without files.",
            )
        content = await reading.read_content(self._backend, request.model)
        if patterns or request.parameters:
            chosen = reading.select_parameters(content, patterns)
            wanted = [chunk for parameter in chosen for chunk in parameter.chunks]
            await check_here(self._backend, content.model, wanted)
            for parameter in chosen:
                start = parameters_pb2.ContentStart(
                    parameter=messages.parameter_message(parameter), size_bytes=parameter.spec.size_bytes
                )
                async for message in self._content(start, parameter.chunks):
                    yield message
        if request.files and content.files is not None:
            for entry in content.files.files:
                digests = await in_thread(
                    self._backend, reading.chunks_of_file, self._backend.chunks, content, entry
                )
                await check_here(self._backend, content.model, digests)
                start = parameters_pb2.ContentStart(
                    file=messages.file_message(entry), size_bytes=entry.size_bytes
                )
                async for message in self._content(start, digests):
                    yield message

    async def _content(
        self, start: parameters_pb2.ContentStart, digests: Sequence[Digest]
    ) -> AsyncIterator[parameters_pb2.DownloadModelResponse | bytes]:
        yield parameters_pb2.DownloadModelResponse(start=start)
        async with aclosing(reading.read_chunks(self._backend, digests)) as contents:
            async for content in contents:
                for frame in data_frames(parameters_pb2.DownloadModelResponse, content):
                    yield frame

    async def ReadTensor(  # noqa: N802
        self, request: parameters_pb2.ReadTensorRequest, context: object
    ) -> AsyncIterator[parameters_pb2.ReadTensorResponse | bytes]:
        del context
        content = await reading.read_content(self._backend, request.model)
        chosen = reading.select_range(content, request.parameter, request.start, request.size_bytes)
        await check_here(self._backend, content.model, chosen.chunks)
        yield parameters_pb2.ReadTensorResponse(parameter=messages.parameter_message(chosen.parameter))
        skip, left = chosen.skip, chosen.size_bytes
        async with aclosing(reading.read_chunks(self._backend, chosen.chunks)) as contents:
            async for chunk in contents:
                wanted = memoryview(chunk)[skip : skip + left]
                skip, left = 0, left - len(wanted)
                for frame in data_frames(parameters_pb2.ReadTensorResponse, wanted):
                    yield frame


def _header_of(
    message: parameters_pb2.DraftModelRequest | parameters_pb2.CommitModelRequest | None,
) -> parameters_pb2.ModelHeader:
    """The header that must come first.

    Raises:
        InvalidArgumentError: MESSAGE_OUT_OF_ORDER.
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """
    if message is None or message.WhichOneof("kind") != "header":
        raise messages.out_of_order("a draft begins with a header")
    messages.check_size(message.ByteSize())
    return message.header
