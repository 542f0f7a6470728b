"""Two stores of encoded chunks in memory, behind real ports, that fail when they are told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from tests.unit.client.faulty_service import ALGORITHM, abort

from mgit_core.coding.codec import decode_chunk, encode_chunk
from mgit_core.coding.encoded import EncodedChunk, Predictor
from mgit_core.digest import Digest, digest_of
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import exchange_pb2_grpc, parameters_pb2, parameters_pb2_grpc


@dataclass
class ChunkShelf(exchange_pb2_grpc.ExchangeServiceServicer, parameters_pb2_grpc.ParameterServiceServicer):
    """The chunk calls of an exchange.

    Attributes:
        store_id: What GetCapabilities says.
        algorithm: The same.
        frames: Encoded chunks.
        asked: Digests of each ReadEncodedChunks call: those as they are stored, and those alone.
        written: Digests that came in and were kept, in order.
        read_cuts: For each coming ReadEncodedChunks call, after how many chunks it is cut; None is never.
        write_cuts: The same of WriteEncodedChunks.
        before_read: Called at the beginning of each ReadEncodedChunks call.
        tamper: Changes what ReadEncodedChunks sends.
        refused: Frames with these digests are refused if they have bases.
        forgets: Whether what is written is dropped.
    """

    store_id: str
    algorithm: str = ALGORITHM.value
    frames: dict[Digest, bytes] = field(default_factory=dict)
    asked: list[tuple[list[bytes], list[bytes]]] = field(default_factory=list)
    written: list[Digest] = field(default_factory=list)
    read_cuts: list[int | None] = field(default_factory=list)
    write_cuts: list[int | None] = field(default_factory=list)
    before_read: Callable[[], object] = field(default=lambda: None)
    tamper: Callable[[bytes], bytes] = field(default=lambda frame: frame)
    refused: set[Digest] = field(default_factory=set)
    forgets: bool = False

    def put(self, raw: bytes, frame: EncodedChunk | None = None) -> Digest:
        digest = digest_of(ALGORITHM, raw)
        self.frames[digest] = (frame or encode_chunk(raw, 4)).to_bytes()
        return digest

    def read(self, digest: Digest) -> bytes:
        frame = EncodedChunk.from_bytes(self.frames[digest])
        return decode_chunk(frame, [self.read(base.digest) for base in frame.bases])

    def GetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return parameters_pb2.GetCapabilitiesResponse(
            store_id=self.store_id,
            digest_algorithm=self.algorithm,
            chunk_rule="c1",
            max_message_bytes=1 << 20,
            max_digests=10_000,
            service_version="test",
        )

    def CompareModels(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return pb.CompareModelsResponse()

    def FindMissingChunks(self, request_iterator: Any, context: Any) -> Iterator[Any]:  # noqa: ARG002, N802
        for request in request_iterator:
            missing = [digest for digest in request.digests if digest not in self.frames]
            yield pb.FindMissingChunksResponse(missing=missing)
        yield pb.FindMissingChunksResponse(epoch=7)

    def DescribeChunks(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        chunks = []
        for digest in request.digests:
            frame = EncodedChunk.from_bytes(self.frames[digest])
            bases = [base.digest for base in frame.bases]
            size = len(self.frames[digest])
            chunks.append(pb.ChunkDescription(stored_bytes=size, raw_bytes=frame.raw_size, bases=bases))
        return pb.DescribeChunksResponse(chunks=chunks)

    def ReadEncodedChunks(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self.asked.append((list(request.digests), list(request.alone)))
        self.before_read()
        cut = self.read_cuts.pop(0) if self.read_cuts else None
        frames = [(digest, self.frames[digest]) for digest in request.digests]
        frames += [(digest, encode_chunk(self.read(digest), 4).to_bytes()) for digest in request.alone]
        for at, (digest, frame) in enumerate(frames):
            if at == cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "told to cut")
            sent = self.tamper(frame)
            middle = len(sent) // 2
            yield pb.ReadEncodedChunksResponse(digest=digest, size_bytes=len(frame), data=sent[:middle])
            yield pb.ReadEncodedChunksResponse(data=sent[middle:])

    def WriteEncodedChunks(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        cut = self.write_cuts.pop(0) if self.write_cuts else None
        digest, size, content, count = b"", 0, b"", 0
        for request in request_iterator:
            if request.digest:
                digest, size, content = request.digest, request.size_bytes, b""
            content += request.data
            if len(content) < size:
                continue
            if count == cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "told to cut")
            self._keep(digest, content, context)
            count += 1
        return pb.WriteEncodedChunksResponse(chunk_count=count)

    def _keep(self, digest: Digest, content: bytes, context: Any) -> None:
        frame = EncodedChunk.from_bytes(content)
        is_refused = frame.predictor != Predictor.NONE and digest in self.refused
        if is_refused or any(base.digest not in self.frames for base in frame.bases):
            abort(context, grpc.StatusCode.DATA_LOSS, "CHUNK_CORRUPT", digest=digest.hex())
        raw = decode_chunk(frame, [self.read(base.digest) for base in frame.bases])
        if digest_of(ALGORITHM, raw) != digest:
            abort(context, grpc.StatusCode.DATA_LOSS, "CHUNK_CORRUPT", digest=digest.hex())
        if not self.forgets:
            self.frames[digest] = content
        self.written.append(digest)
