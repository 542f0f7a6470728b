"""Raw bytes cut by chunk rule c1: for clients that cannot cut and digest themselves."""

from __future__ import annotations

from collections.abc import Iterator

from mgit_core.chunking import chunk_sizes, file_chunk_sizes
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.files import FileKind
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.transfer.drafting import Draft, DraftAssembly, FilePart, ParameterPart
from mgit_service.use_cases.transfer.ingest import ChunkPlace, RawChunk

__all__ = ["RawModel"]


class RawModel:
    """A model that comes as raw bytes. Keeps of each chunk no more than its digest once it is written."""

    def __init__(self, header: DraftHeader) -> None:
        self._header = header
        self._parameters: list[tuple[str, TensorSpec, list[RawChunk]]] = []
        self._files: list[tuple[str, int, list[RawChunk]]] = []
        self._names: set[tuple[type, str]] = set()
        self._title = ""
        self._chunks: list[RawChunk] = []
        self._sizes: Iterator[int] = iter(())
        self._width = 1
        self._spec: TensorSpec | None = None
        self._left = 0
        self._wanted = 0

    def begin_parameter(self, name: str, spec: TensorSpec, size_bytes: int) -> None:
        """Begin a parameter of ``size_bytes`` bytes.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH, if the bytes do not fit ``spec`` or the content before is not
                whole; DUPLICATE_PARAMETER.
        """
        self._begin(f"parameter {name[:80]!r}", size_bytes, spec.size_bytes)
        if (TensorSpec, name) in self._names:
            raise InvalidArgumentError(
                ErrorReason.DUPLICATE_PARAMETER,
                f"Parameter {name[:80]!r} occurs twice; names in a model are unique.",
                parameter=name[:80],
            )
        self._names.add((TensorSpec, name))
        self._parameters.append((name, spec, self._chunks))
        self._sizes = chunk_sizes(spec)
        self._width = spec.number_bytes
        self._spec = spec

    def begin_file(self, path: str, size_bytes: int) -> None:
        """Begin an opaque file of ``size_bytes`` bytes.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH, if the content before is not whole.
        """
        self._begin(f"file {path[:80]!r}", size_bytes, size_bytes)
        self._files.append((path, size_bytes, self._chunks))
        self._sizes = file_chunk_sizes(size_bytes)
        self._width = 1
        self._spec = None

    def feed(self, data: memoryview) -> Iterator[RawChunk]:
        """Take the next bytes of what began last; gives the chunks that they complete.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH, if they are more than were announced; MESSAGE_OUT_OF_ORDER
                before the first start.
        """
        if not self._parameters and not self._files:
            raise InvalidArgumentError(
                ErrorReason.MESSAGE_OUT_OF_ORDER, "Bytes came before the start of what they belong to."
            )
        if len(data) > self._left:
            raise self._mismatch(f"{len(data) - self._left} bytes more")
        while data:
            if not self._wanted:
                self._wanted = next(self._sizes)
                self._chunks.append(RawChunk(self._wanted, self._width, place=self._place()))
            piece, data = data[: self._wanted], data[self._wanted :]
            self._chunks[-1].pieces.append(piece)
            self._wanted -= len(piece)
            self._left -= len(piece)
            if not self._wanted:
                yield self._chunks[-1]

    def finish(self) -> None:
        """Refuses a model whose last content is not whole.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH.
        """
        if self._left:
            raise self._mismatch(f"{self._left} bytes less")

    def draft(self, algorithm: DigestAlgorithm) -> Draft:
        """The draft of the model, once every chunk has its digest.

        Raises:
            As ``DraftAssembly``.
        """
        assembly = DraftAssembly(algorithm, self._header)
        for name, spec, chunks in self._parameters:
            digests = [chunk.digest for chunk in chunks]
            assembly.add_parameter(ParameterPart(name=name, spec=spec, chunks=digests))
        for path, size_bytes, chunks in sorted(self._files, key=lambda file: file[0]):
            digests = [chunk.digest for chunk in chunks]
            assembly.add_file(
                FilePart(
                    path=path,
                    kind=FileKind.OPAQUE,
                    chunks=digests,
                    size_bytes=size_bytes,
                    stored_bytes=size_bytes,
                )
            )
        return assembly.finish()

    def _begin(self, title: str, size_bytes: int, wanted: int) -> None:
        self.finish()
        self._title = title
        if not 0 <= size_bytes == wanted:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"A start announces {size_bytes} bytes for {title}, which has {wanted} by its type and shape.",
            )
        self._left = size_bytes
        self._wanted = 0
        self._chunks = []

    def _place(self) -> ChunkPlace | None:
        if self._spec is None:
            return None
        return ChunkPlace(self._parameters[-1][0], self._spec, len(self._chunks))

    def _mismatch(self, found: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            ErrorReason.SHAPE_MISMATCH, f"For {self._title} there came {found} than were announced."
        )
