"""Pieces of chunks and starts of content, as they come in, checked and joined."""

from __future__ import annotations

from dataclasses import dataclass

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, InvalidArgumentError, ResourceExhaustedError
from mgit_core.files import FileKind
from mgit_core.manifest import Parameter
from mgit_proto.v1 import parameters_pb2, types_pb2
from mgit_service.servicers.frames import ChunkPiece
from mgit_service.servicers.messages import add_part, check_size, header_value, out_of_order, spec_value
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.prediction.lattices import MAX_HINTS, LatticeHint
from mgit_service.use_cases.transfer.drafting import DraftAssembly
from mgit_service.use_cases.transfer.ingest import RawChunk
from mgit_service.use_cases.transfer.raw import RawModel

__all__ = ["ChunkPieces", "Outlined", "UploadOutline", "begin_content"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined:
    """What an upload of chunks said of its draft.

    Attributes:
        header: Its header; None if it said nothing.
        parameters: Those parameters that it named, whole.
        hints: Its lattice hints, in order.
    """

    header: DraftHeader | None
    parameters: tuple[Parameter, ...] = ()
    hints: tuple[LatticeHint, ...] = ()


class UploadOutline:
    """Takes what comes before the first chunk of an upload of chunks.

    Attributes:
        is_over: Whether the first chunk has come.
    """

    def __init__(self, algorithm: DigestAlgorithm) -> None:
        self._algorithm = algorithm
        self._header: DraftHeader | None = None
        self._assembly: DraftAssembly | None = None
        self._hints: list[LatticeHint] = []
        self.is_over = False

    def take(self, message: parameters_pb2.UploadChunksRequest) -> None:
        """Take a header, which must be the first message, a part or hints.

        Raises:
            InvalidArgumentError: MESSAGE_OUT_OF_ORDER, or as ``header_value`` and ``add_part``.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        check_size(message.ByteSize())
        fields = {field.name for field, _ in message.ListFields()}
        if self.is_over or len(fields) != 1:
            raise out_of_order(
                f"a message with {', '.join(sorted(fields))}; what is said of a draft comes alone, before the "
                "first chunk"
            )
        if fields == {"header"}:
            if self._assembly is not None:
                raise out_of_order("an upload has one header, in its first message")
            self._header = header_value(message.header)
            self._assembly = DraftAssembly(self._algorithm, self._header)
        elif self._assembly is None:
            raise out_of_order(f"a message with {fields.pop()} came before the header of its draft")
        elif fields == {"part"}:
            add_part(self._assembly, message.part)
        else:
            self._hints += [LatticeHint(hint.parameter, hint.base, hint.step) for hint in message.lattices]
            if len(self._hints) > MAX_HINTS:
                raise ResourceExhaustedError(
                    ErrorReason.LIMIT_EXCEEDED,
                    f"An upload has at most {MAX_HINTS} lattice hints.",
                    limit=MAX_HINTS,
                )

    def finish(self) -> Outlined:
        """All that was said; nothing may come behind.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH for a last parameter that lacks chunks.
        """
        self.is_over = True
        if self._assembly is None:
            return Outlined(header=None)
        return Outlined(
            header=self._header,
            parameters=self._assembly.finish_parameters(),
            hints=tuple(self._hints),
        )


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
