"""Messages that carry bulk bytes, written and read without the copies of the message classes.

What is on the wire is exactly what the message classes would write, and whatever they may read is read: a
message that is not laid out as expected goes through them. Bulk bytes are the last field of their message, so
such a message is its other fields, the tag and length of the bulk field, and the bytes themselves. Measured for a
chunk of 1 MiB: 0.02 ms instead of 0.13 to write, 0.02 ms instead of 0.33 to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from typing_extensions import Buffer

from mgit_core.digest import Digest
from mgit_proto.v1 import parameters_pb2
from mgit_service.servicers.messages import PIECE_BYTES

__all__ = [
    "ChunkPiece",
    "ContentPiece",
    "add_parameter_service",
    "chunk_frames",
    "data_frames",
    "read_chunk_piece",
    "read_upload",
]

_SERVICE = parameters_pb2.DESCRIPTOR.services_by_name["ParameterService"]
_LENGTH_DELIMITED = 2


def _tag(message: type[Message]) -> bytes:
    """The tag of the field called ``data``."""
    return bytes([message.DESCRIPTOR.fields_by_name["data"].number << 3 | _LENGTH_DELIMITED])


_UPLOAD_CHUNKS_TAG = _tag(parameters_pb2.UploadChunksRequest)
_UPLOAD_MODEL_TAG = _tag(parameters_pb2.UploadModelRequest)
_READ_CHUNKS_TAG = _tag(parameters_pb2.ReadChunksResponse)
# A digest of 32 bytes, two small numbers: the fields before the bulk field never take more.
_MOST_HEAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class ChunkPiece:
    """A piece of an upload of chunks, as UploadChunksRequest has it."""

    digest: Digest
    size_bytes: int
    item_bytes: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class ContentPiece:
    """Bytes of an upload of raw bytes, as UploadModelRequest has them in ``data``."""

    data: memoryview


def chunk_frames(digest: Digest, content: bytes) -> Iterator[bytes]:
    """The serialized messages of ReadChunks that carry a chunk."""
    head = parameters_pb2.ReadChunksResponse(digest=digest, size_bytes=len(content)).SerializeToString()
    for piece in _pieces(content):
        yield b"".join((head, _READ_CHUNKS_TAG, _varint(len(piece)), piece))
        head = b""


def data_frames(message: type[Message], content: Buffer) -> Iterator[bytes]:
    """Serialized messages of class ``message`` with nothing but ``data``, which together is ``content``."""
    tag = _tag(message)
    for piece in _pieces(content):
        yield b"".join((tag, _varint(len(piece)), piece))


def _pieces(content: Buffer) -> Iterator[memoryview]:
    view = memoryview(content)
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]


def read_chunk_piece(raw: bytes) -> ChunkPiece | parameters_pb2.UploadChunksRequest:
    """The piece that a serialized UploadChunksRequest carries; its data points into ``raw``.

    A message that says something of the draft comes as it is.

    Raises:
        DecodeError: If it is no such message; gRPC then ends the call.
    """
    at = 0 if raw[:1] == _UPLOAD_CHUNKS_TAG else raw.find(_UPLOAD_CHUNKS_TAG, 0, _MOST_HEAD_BYTES)
    while at >= 0:
        data = _last_field(raw, at)
        head = None if data is None else _head(raw[:at])
        if data is not None and head is not None and not _is_of_draft(head):
            return ChunkPiece(head.digest, head.size_bytes, head.item_bytes, data)
        at = raw.find(_UPLOAD_CHUNKS_TAG, at + 1, _MOST_HEAD_BYTES)
    message = parameters_pb2.UploadChunksRequest.FromString(raw)
    if _is_of_draft(message):
        return message
    return ChunkPiece(message.digest, message.size_bytes, message.item_bytes, memoryview(message.data))


def read_upload(raw: bytes) -> parameters_pb2.UploadModelRequest | ContentPiece:
    """A serialized UploadModelRequest; of one that carries bytes a view of them into ``raw``.

    Raises:
        DecodeError: If it is no such message; gRPC then ends the call.
    """
    data = _last_field(raw, 0) if raw[:1] == _UPLOAD_MODEL_TAG else None
    if data is not None:
        return ContentPiece(data)
    message = parameters_pb2.UploadModelRequest.FromString(raw)
    return ContentPiece(memoryview(message.data)) if message.WhichOneof("kind") == "data" else message


def _last_field(raw: bytes, at: int) -> memoryview | None:
    """The bytes of the field whose tag is at ``at``, if they end where ``raw`` ends."""
    length = shift = 0
    for position in range(at + 1, min(at + 6, len(raw))):
        length |= (raw[position] & 127) << shift
        shift += 7
        if raw[position] < 128:
            return memoryview(raw)[position + 1 :] if position + 1 + length == len(raw) else None
    return None


def _head(raw: bytes) -> parameters_pb2.UploadChunksRequest | None:
    """The fields in ``raw``; None if it does not end at the end of a field."""
    try:
        return parameters_pb2.UploadChunksRequest.FromString(raw)
    except DecodeError:
        return None


def _is_of_draft(message: parameters_pb2.UploadChunksRequest) -> bool:
    return message.HasField("header") or message.HasField("part") or len(message.lattices) > 0


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_READERS: dict[str, Callable[[bytes], object]] = {
    "UploadChunks": read_chunk_piece,
    "UploadModel": read_upload,
}


def add_parameter_service(servicer: object, server: grpc.aio.Server) -> None:
    """Register ``servicer``, which has a method for each RPC.

    For UploadChunks it gets ``ChunkPiece`` where a message is of a chunk, for UploadModel ``ContentPiece`` where a message carries bytes; its
    answers are messages, or messages already serialized.
    """
    handlers = {method.name: _handler(servicer, method) for method in _SERVICE.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))


def _handler(servicer: object, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    wrap = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    reader = _READERS.get(method.name, GetMessageClass(method.input_type).FromString)
    return wrap(getattr(servicer, method.name), request_deserializer=reader, response_serializer=_serialize)


def _serialize(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
