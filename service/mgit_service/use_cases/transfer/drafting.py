"""Drafts: what a client says of a new model by reference, put together part by part and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mgit_core.chunking import CHUNK_BYTES, chunk_count, file_chunk_sizes
from mgit_core.digest import DIGEST_SIZE, Digest, DigestAlgorithm
from mgit_core.errors import ErrorReason, InvalidArgumentError, ResourceExhaustedError
from mgit_core.files import FileEntry, FileKind, FileList, check_file_path
from mgit_core.manifest import Manifest, Parameter, make_parameter
from mgit_core.names import check_parameter_name
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.draft_header import DraftHeader

__all__ = [
    "Draft",
    "DraftAssembly",
    "FilePart",
    "ParameterPart",
]

# Entries and digests of one draft that are kept in memory, some 100 bytes each: 4 TiB in whole chunks.
_LARGEST_DRAFT = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPart:
    """A parameter by reference, or more of the last one.

    Attributes:
        name: Parameter name.
        spec: Data type and shape; None continues the parameter before.
        chunks: Digests of its chunks, or the next of them.
    """

    name: str
    spec: TensorSpec | None
    chunks: Sequence[Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file by reference, or more of the last one.

    Attributes:
        path: Relative path.
        kind: How its bytes are kept; None continues the file before.
        size_bytes: Bytes of the whole file.
        stored_bytes: Bytes kept as chunks.
        chunks: Digests of its chunks, or the next of them.
        prefix: What stands before a safetensors file's tensor names; else empty.
    """

    path: str
    kind: FileKind | None
    chunks: Sequence[Digest]
    size_bytes: int = 0
    stored_bytes: int = 0
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A whole draft, checked.

    Attributes:
        header: What is said of the model as a whole.
        manifest: Its parameters.
        files: Its file list; None if there is nothing to say of the source.
    """

    header: DraftHeader
    manifest: Manifest
    files: FileList | None

    def chunk_sizes(self) -> dict[Digest, int]:
        """Every distinct chunk with its size in bytes, in order of first use.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH, if one digest stands where two sizes are wanted.
        """
        sizes: dict[Digest, int] = {}
        for digest, size_bytes in self._chunks():
            if sizes.setdefault(digest, size_bytes) != size_bytes:
                raise InvalidArgumentError(
                    ErrorReason.SHAPE_MISMATCH,
                    f"Chunk {digest.hex()} would have {sizes[digest]} bytes in one place and {size_bytes} in "
                    "another.",
                    digest=digest.hex(),
                )
        return sizes

    def _chunks(self) -> Iterator[tuple[Digest, int]]:
        for parameter in self.manifest.parameters:
            yield from parameter.chunk_sizes()
        for entry in self.files.files if self.files else ():
            yield from zip(entry.chunks, file_chunk_sizes(entry.stored_bytes), strict=True)


class DraftAssembly:
    """Puts the parts of a draft together. Each part is checked when it comes, what spans parts at the end."""

    def __init__(self, algorithm: DigestAlgorithm, header: DraftHeader) -> None:
        self._algorithm = algorithm
        self._header = header
        self._parameters: list[Parameter] = []
        self._names: set[str] = set()
        self._files: list[FileEntry] = []
        self._open: _OpenParameter | _OpenFile | None = None
        self._size = 0

    def add_parameter(self, part: ParameterPart) -> None:
        """Begin a parameter, or continue the last one.

        Raises:
            InvalidArgumentError: INVALID_NAME, DUPLICATE_PARAMETER, SHAPE_MISMATCH, or MESSAGE_OUT_OF_ORDER
                for a continuation of another parameter or a parameter behind files.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        if part.spec is not None:
            self._close()
            if self._files:
                raise _out_of_order(f"parameter {part.name[:80]!r} came behind files")
            check_parameter_name(part.name)
            if part.name in self._names:
                raise InvalidArgumentError(
                    ErrorReason.DUPLICATE_PARAMETER,
                    f"Parameter {part.name!r} occurs twice; names in a model are unique.",
                    parameter=part.name,
                )
            self._names.add(part.name)
            self._open = _OpenParameter(part.name, part.spec)
        elif not isinstance(self._open, _OpenParameter) or self._open.name != part.name:
            raise _out_of_order(f"parameter {part.name[:80]!r} was continued, but it was not the last one")
        self._extend(part.chunks)

    def add_file(self, part: FilePart) -> None:
        """Begin a file, or continue the last one.

        Raises:
            InvalidArgumentError: INVALID_NAME, SHAPE_MISMATCH, or MESSAGE_OUT_OF_ORDER for a continuation of
                another file.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        if part.kind is not None:
            self._close()
            check_file_path(part.path)
            if self._files and part.path <= self._files[-1].path:
                raise InvalidArgumentError(
                    ErrorReason.INVALID_NAME,
                    f"Files come by path, each once; {part.path[:80]!r} came behind "
                    f"{self._files[-1].path[:80]!r}.",
                )
            if part.prefix and part.kind is not FileKind.SAFETENSORS:
                raise InvalidArgumentError(
                    ErrorReason.INVALID_NAME, f"File {part.path!r} holds no tensors and takes no prefix."
                )
            self._open = _OpenFile(part)
        elif not isinstance(self._open, _OpenFile) or self._open.part.path != part.path:
            raise _out_of_order(f"file {part.path[:80]!r} was continued, but it was not the last one")
        self._extend(part.chunks)

    def finish(self) -> Draft:
        """The whole draft.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH for a last parameter or file that lacks chunks; INVALID_NAME
                for ties or a record of loss that name no parameter, or a path that is a folder of another.
        """
        self._close()
        self._check_loss()
        for tie in self._header.ties:
            unknown = next((name for name in tie if name not in self._names), None)
            if unknown is not None or len(set(tie)) < 2:
                found = f"a tie of {len(set(tie))}" if unknown is None else repr(unknown[:80])
                raise InvalidArgumentError(
                    ErrorReason.INVALID_NAME,
                    f"A tie names two parameters or more of its own model; found {found}.",
                )
        header = self._header
        files = None
        if self._files or header.ties or header.source_format:
            files = FileList(
                algorithm=self._algorithm,
                source_format=header.source_format,
                files=tuple(self._files),
                ties=header.ties,
            )
        manifest = Manifest(self._algorithm, tuple(self._parameters))
        return Draft(header=header, manifest=manifest, files=files)

    def _check_loss(self) -> None:
        loss = self._header.loss
        for tensor in loss.tensors if loss else ():
            if tensor.name not in self._names:
                raise InvalidArgumentError(
                    ErrorReason.INVALID_NAME,
                    f"A record of loss names parameters of its own model; found {tensor.name[:80]!r}.",
                )

    def finish_parameters(self) -> tuple[Parameter, ...]:
        """The parameters alone, of a draft that may lack others and files.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH for a last parameter or file that lacks chunks.
        """
        self._close()
        return tuple(self._parameters)

    def _extend(self, chunks: Sequence[Digest]) -> None:
        assert self._open is not None  # noqa: S101 - a part has just begun or continued something
        self._size += 1 + len(chunks)
        if self._size > _LARGEST_DRAFT:
            raise ResourceExhaustedError(
                ErrorReason.LIMIT_EXCEEDED,
                f"A model has at most {_LARGEST_DRAFT} parameters, files and chunks together.",
            )
        is_digest = all(len(chunk) == DIGEST_SIZE for chunk in chunks)
        self._open.chunks.extend(chunks)
        if not is_digest or len(self._open.chunks) > self._open.wanted:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"{self._open.title} has {self._open.wanted} chunks with digests of {DIGEST_SIZE} bytes; found "
                + ("more." if is_digest else "a digest of another length."),
            )

    def _close(self) -> None:
        if isinstance(self._open, _OpenParameter):
            self._parameters.append(self._open.close(self._algorithm))
        elif isinstance(self._open, _OpenFile):
            self._files.append(self._open.close())
        self._open = None


class _OpenParameter:
    """A parameter whose chunks still come."""

    def __init__(self, name: str, spec: TensorSpec) -> None:
        self.name = name
        self.spec = spec
        self.chunks: list[Digest] = []
        self.wanted = chunk_count(spec)
        self.title = f"Parameter {name!r} of type {spec.dtype} and shape {spec.shape}"

    def close(self, algorithm: DigestAlgorithm) -> Parameter:
        return make_parameter(algorithm, self.name, self.spec, self.chunks)


class _OpenFile:
    """A file whose chunks still come."""

    def __init__(self, part: FilePart) -> None:
        self.part = part
        self.chunks: list[Digest] = []
        self.wanted = -(-max(0, part.stored_bytes) // CHUNK_BYTES)
        self.title = f"File {part.path!r} with {part.stored_bytes} bytes kept"

    def close(self) -> FileEntry:
        part = self.part
        return FileEntry(
            path=part.path,
            kind=part.kind or FileKind.OPAQUE,
            size_bytes=part.size_bytes,
            stored_bytes=part.stored_bytes,
            chunks=tuple(self.chunks),
            prefix=part.prefix,
        )


def _out_of_order(found: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        ErrorReason.MESSAGE_OUT_OF_ORDER,
        f"A draft is a header and then parameters and files in order, a long one continued at once: {found}.",
    )
