"""Pieces of chunks and starts of content, as they come in, checked and joined."""

from __future__ import annotations

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.files import FileKind
from mgit_proto.v1 import parameters_pb2, types_pb2
from mgit_service.servicers.frames import ChunkPiece
from mgit_service.servicers.messages import out_of_order, spec_value
from mgit_service.use_cases.ingest import RawChunk
from mgit_service.use_cases.raw import RawModel

__all__ = ["ChunkPieces", "begin_content"]

_WIDTHS = frozenset({1, 2, 4, 8, 16})


class ChunkPieces:
    """Joins the pieces of an upload of chunks."""

    def __init__(self) -> None:
        self._chunk: RawChunk | None = None
        self._left = 0

    def take(self, message: ChunkPiece) -> RawChunk | None:
        """Take a piece; gives the chunk that it completes.

        Raises:
            InvalidArgumentError: MESSAGE_OUT_OF_ORDER or SHAPE_MISMATCH.
        """
        data = message.data
        if self._chunk is None:
            self._chunk = _first_piece(message)
            self._left = self._chunk.size_bytes
        elif message.digest or message.size_bytes or message.item_bytes:
            raise out_of_order(f"a chunk began while {self._left} bytes of the one before were still to come")
        self._left -= len(data)
        if self._left < 0:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"A chunk was announced with {self._chunk.size_bytes} bytes; {-self._left} more came.",
                digest=self._chunk.digest.hex(),
            )
        self._chunk.pieces.append(data)
        if self._left:
            return None
        chunk, self._chunk = self._chunk, None
        return chunk

    def finish(self) -> None:
        """Refuses a stream that ends in the middle of a chunk.

        Raises:
            InvalidArgumentError: MESSAGE_OUT_OF_ORDER.
        """
        if self._chunk is not None:
            raise out_of_order(f"the stream ended with {self._left} bytes of a chunk still to come")


def _first_piece(message: ChunkPiece) -> RawChunk:
    if not message.digest:
        raise out_of_order("a piece came without a chunk that it continues")
    if not 1 <= message.size_bytes <= CHUNK_BYTES or message.item_bytes not in _WIDTHS:
        raise InvalidArgumentError(
            ErrorReason.SHAPE_MISMATCH,
            f"A chunk has 1 to {CHUNK_BYTES} bytes in items of 1, 2, 4, 8 or 16; found {message.size_bytes} in "
            f"items of {message.item_bytes}.",
            digest=message.digest.hex()[:80],
        )
    return RawChunk(message.size_bytes, message.item_bytes, message.digest)


def begin_content(model: RawModel, message: parameters_pb2.ContentStart) -> None:
    """Begin a parameter or file of an upload of raw bytes.

    Raises:
        InvalidArgumentError: MESSAGE_OUT_OF_ORDER, UNKNOWN_DTYPE, SHAPE_MISMATCH, DUPLICATE_PARAMETER, or
            INVALID_ARGUMENT for a file that is not opaque.
    """
    match message.WhichOneof("kind"):
        case "parameter":
            model.begin_parameter(message.parameter.name, spec_value(message.parameter), message.size_bytes)
        case "file":
            _begin_file(model, message.file, message.size_bytes)
        case _:
            raise out_of_order("a start named neither a parameter nor a file")


def _begin_file(model: RawModel, file: types_pb2.File, size_bytes: int) -> None:
    if file.kind != types_pb2.FILE_KIND_OPAQUE or file.prefix:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"An upload of raw bytes takes files of kind {FileKind.OPAQUE} only; {file.path[:80]!r} is of another.",
            field="kind",
        )
    # Either field may be left out, since the start says how many bytes follow.
    if not {file.size_bytes, file.stored_bytes} <= {0, size_bytes}:
        raise InvalidArgumentError(
            ErrorReason.SHAPE_MISMATCH,
            f"File {file.path[:80]!r} has {file.size_bytes} bytes; its start announces {size_bytes}.",
        )
    model.begin_file(file.path, size_bytes)
