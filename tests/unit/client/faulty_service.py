"""A parameter service in memory, on a real port, that fails when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_proto.v1 import parameters_pb2, parameters_pb2_grpc, types_pb2

ALGORITHM = DigestAlgorithm.BLAKE3


def abort(context: grpc.ServicerContext, code: grpc.StatusCode, reason: str, **details: str) -> None:
    """End a call as the service does, with an ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain="mgit", metadata=details)
    packed = any_pb2.Any()
    packed.Pack(info)
    status = status_pb2.Status(code=code.value[0], message=f"told to answer {reason}", details=[packed])
    context.abort_with_status(rpc_status.to_status(status))


def wait_for_end(context: grpc.ServicerContext) -> bool:
    """Wait until the client ends the call, or for ten seconds; whether it did."""
    ended = threading.Event()
    return not context.add_callback(ended.set) or ended.wait(10)


class FaultyService(parameters_pb2_grpc.ParameterServiceServicer):
    """Keeps chunks and commits in memory.

    Attributes:
        chunks: What it has.
        asked: Digests of every ReadChunks call.
        uploaded: Digests that came in, in order.
        commits: Request ids of commits that it took.
        read_cuts: For each coming ReadChunks call, after how many chunks it is cut; None is never.
        upload_cuts: The same of UploadChunks.
        outlines: What UploadChunks calls said before their first chunk, message by message.
        unused_hints: What UploadChunks says of hints.
        commit_reasons: For each coming CommitModel call, the reason that it ends with; None is none.
        tampered: Bytes that are sent instead.
        hanging: Digests at which ReadChunks waits until the client ends the call.
        ended_by_client: Of each wait that is over, whether the client ended it.
        chunk_rule: What GetCapabilities says.
        fail: Ends GetCapabilities, if set.
    """

    def __init__(self) -> None:
        self.chunks: dict[bytes, bytes] = {}
        self.asked: list[list[bytes]] = []
        self.uploaded: list[bytes] = []
        self.commits: list[str] = []
        self.read_cuts: list[int | None] = []
        self.upload_cuts: list[int | None] = []
        self.outlines: list[parameters_pb2.UploadChunksRequest] = []
        self.unused_hints: list[str] = []
        self.commit_reasons: list[str | None] = []
        self.tampered: dict[bytes, bytes] = {}
        self.hanging: set[bytes] = set()
        self.ended_by_client: list[bool] = []
        self.chunk_rule = "c1"
        self.fail: Callable[[grpc.ServicerContext], object] | None = None

    def put(self, content: bytes) -> bytes:
        digest = digest_of(ALGORITHM, content)
        self.chunks[digest] = content
        return digest

    def GetCapabilities(self, request, context):  # noqa: ARG002, N802
        if self.fail is not None:
            self.fail(context)
        return parameters_pb2.GetCapabilitiesResponse(
            store_id="0",
            digest_algorithm=ALGORITHM.value,
            chunk_rule=self.chunk_rule,
            max_message_bytes=1 << 20,
            max_digests=10_000,
            service_version="test",
        )

    def DraftModel(self, request_iterator, context):  # noqa: ARG002, N802
        for request in request_iterator:
            part = request.part
            digests = [each for entry in (*part.parameters, *part.files) for each in entry.chunk_digests]
            missing = [each for each in dict.fromkeys(digests) if each not in self.chunks]
            yield parameters_pb2.DraftModelResponse(missing=missing)
        yield parameters_pb2.DraftModelResponse(epoch=1)

    def UploadChunks(self, request_iterator, context):  # noqa: N802
        cut = self.upload_cuts.pop(0) if self.upload_cuts else None
        taken, content, digest, size = 0, b"", b"", 0
        for request in request_iterator:
            if not request.data:
                assert not taken
                assert not content
                self.outlines.append(request)
                continue
            if cut is not None and taken >= cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "told to cut")
            if not content:
                digest, size = request.digest, request.size_bytes
            content += request.data
            if len(content) == size:
                assert self.put(content) == digest
                self.uploaded.append(digest)
                taken, content = taken + 1, b""
        return parameters_pb2.UploadChunksResponse(
            chunk_count=taken, stored_bytes=taken, unused_hints=self.unused_hints
        )

    def CommitModel(self, request_iterator, context):  # noqa: N802
        *_, end = list(request_iterator)
        reason = self.commit_reasons.pop(0) if self.commit_reasons else None
        if reason == "CHUNKS_MISSING":
            self.chunks.clear()
            abort(context, grpc.StatusCode.FAILED_PRECONDITION, reason, count="1")
        elif reason is not None:
            abort(context, grpc.StatusCode.UNAVAILABLE, reason)
        self.commits.append(end.end.request_id)
        return parameters_pb2.CommitModelResponse(model=types_pb2.Model(), same_as=["other@1"])

    def ReadChunks(self, request, context):  # noqa: N802
        self.asked.append(list(request.digests))
        cut = self.read_cuts.pop(0) if self.read_cuts else None
        for position, digest in enumerate(request.digests):
            if position == cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "told to cut")
            if digest in self.hanging:
                self.ended_by_client.append(wait_for_end(context))
            if digest not in self.chunks:
                abort(context, grpc.StatusCode.NOT_FOUND, "CHUNK_NOT_FOUND", digest=digest.hex())
            content = self.tampered.get(digest, self.chunks[digest])
            head = parameters_pb2.ReadChunksResponse(digest=digest, size_bytes=len(content))
            for start in range(0, len(content), 1 << 19):
                head.data = content[start : start + (1 << 19)]
                yield head
                head = parameters_pb2.ReadChunksResponse()
