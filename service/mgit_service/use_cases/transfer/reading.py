"""Reading back: models by reference, and their bytes, verified, a few chunks ahead of the reader."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from mgit_core.chunking import CHUNK_BYTES, chunk_ranges
from mgit_core.digest import Digest
from mgit_core.errors import (
    CorruptError,
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest, Parameter
from mgit_core.ports.chunks import ChunkStore
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.references import find_readable
from mgit_service.use_cases.transfer.file_headers import parameters_of_file
from mgit_service.use_cases.transfer.holders import name_holders

__all__ = [
    "ModelContent",
    "TensorRange",
    "chunks_of_file",
    "read_chunks",
    "read_content",
    "select_parameters",
    "select_range",
]

_READ_AHEAD = 4 * (os.cpu_count() or 1)
_SMALL_CHUNKS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContent:
    """A present model with what it is made of.

    Attributes:
        model: The model.
        manifest: Its parameters.
        files: Its file list, if there is one.
    """

    model: Model
    manifest: Manifest
    files: FileList | None


async def read_content(backend: Backend, reference: str) -> ModelContent:
    """The model that ``reference`` names, published or staged, with manifest and file list.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED.
        CorruptError: MANIFEST_CORRUPT, also for a document that has gone.
    """
    model = await find_readable(backend.lineage, reference)
    if model.parameters is None:
        raise FailedPreconditionError(
            ErrorReason.MODEL_REMOVED,
            f"Model {model.ref} was removed; only its place in the lineage is left.",
            model=model.ref,
        )
    try:
        manifest = await in_thread(backend, backend.parameters.read_manifest, model.parameters.manifest_key)
        files = None
        if model.files_key is not None:
            files = await in_thread(backend, backend.parameters.read_file_list, model.files_key)
    except (NotFoundError, CorruptError) as error:
        raise CorruptError(
            ErrorReason.MANIFEST_CORRUPT,
            f"What model {model.ref} is made of cannot be read: {error.message}",
            **{**error.details, "model": model.ref},
        ) from error
    return ModelContent(model=model, manifest=manifest, files=files)


async def read_chunks(backend: Backend, digests: Iterable[Digest]) -> AsyncGenerator[bytes]:
    """The raw bytes of each chunk, in order, verified; reads ahead, cores x 4 MiB or a little more.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT, naming the digest and up to 10 models that hold it.
    """
    ahead: deque[_Batch] = deque()
    rest = iter(digests)
    at_once = 1
    try:
        while True:
            while len(ahead) < _READ_AHEAD and (digests := list(islice(rest, at_once))):
                ahead.append(_Batch(backend, digests))
            if not ahead:
                return
            batch = ahead[0]
            contents = await batch.contents
            ahead.popleft()
            if len(contents) < len(batch.digests):
                ahead.appendleft(_Batch(backend, batch.digests[len(contents) :]))
            mean = max(1, sum(map(len, contents)) // len(contents))
            at_once = max(1, min(_SMALL_CHUNKS_AT_ONCE, CHUNK_BYTES // mean))
            for content in contents:
                yield content
    except CorruptError as error:
        raise await name_holders(backend, error) from error
    finally:
        for batch in ahead:
            batch.drop()


class _Batch:
    """Chunks that one thread reads: a whole one, or many small ones."""

    __slots__ = ("contents", "digests")

    def __init__(self, backend: Backend, digests: Sequence[Digest]) -> None:
        self.digests = digests
        self.contents = in_thread(backend, _read_some, backend.chunks, digests)

    def drop(self) -> None:
        """Nobody waits for it any more, nor for its error."""
        if not self.contents.cancel() and not self.contents.cancelled():
            self.contents.exception()


def _read_some(chunks: ChunkStore, digests: Sequence[Digest]) -> list[bytes]:
    """The first chunks, until they make 1 MiB: nobody has said how long they are."""
    contents: list[bytes] = []
    size_bytes = 0
    for digest in digests:
        contents.append(chunks.read(digest))
        size_bytes += len(contents[-1])
        if size_bytes >= CHUNK_BYTES:
            break
    return contents


def chunks_of_file(chunks: ChunkStore, content: ModelContent, entry: FileEntry) -> list[Digest]:
    """The chunks that make a whole file: its own, and behind a safetensors header those of the tensors.

    Blocks for a safetensors file.

    Raises:
        CorruptError: MANIFEST_CORRUPT if the header does not fit the model's parameters, or CHUNK_CORRUPT.
    """
    digests = list(entry.chunks)
    if entry.kind is FileKind.SAFETENSORS:
        try:
            parameters = parameters_of_file(chunks, content.manifest, entry)
        except InvalidArgumentError as error:
            raise CorruptError(
                ErrorReason.MANIFEST_CORRUPT,
                f"File {entry.path!r} of {content.model.ref} cannot be rebuilt: {error.message}",
                model=content.model.ref,
                file=entry.path,
            ) from error
        digests += [chunk for parameter in parameters for chunk in parameter.chunks]
    return digests


def select_parameters(content: ModelContent, patterns: Sequence[str]) -> list[Parameter]:
    """The parameters whose names fit a pattern, in order; all without patterns.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that no parameter fits.
    """
    parameters = content.manifest.parameters
    if not patterns:
        return list(parameters)
    chosen: set[str] = set()
    for pattern in patterns:
        fits = {parameter.name for parameter in parameters if fnmatchcase(parameter.name, pattern)}
        if not fits:
            raise _tensor_not_found(content, f"whose name fits {pattern[:200]!r}")
        chosen |= fits
    return [parameter for parameter in parameters if parameter.name in chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRange:
    """A byte range of a parameter, by the chunks that it touches.

    Attributes:
        parameter: The parameter.
        chunks: The touched chunks, in order.
        skip: Bytes of the first chunk before the range.
        size_bytes: Bytes of the range.
    """

    parameter: Parameter
    chunks: tuple[Digest, ...]
    skip: int
    size_bytes: int


def select_range(content: ModelContent, name: str, start: int, size_bytes: int) -> TensorRange:
    """``size_bytes`` bytes of parameter ``name`` from ``start`` on; to the end for 0.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND.
        InvalidArgumentError: RANGE_OUT_OF_BOUNDS.
    """
    parameter = next((each for each in content.manifest.parameters if each.name == name), None)
    if parameter is None:
        raise _tensor_not_found(content, f"{name[:200]!r}")
    whole = parameter.spec.size_bytes
    stop = start + size_bytes if size_bytes else whole
    if size_bytes < 0 or not 0 <= start <= stop <= whole:
        raise InvalidArgumentError(
            ErrorReason.RANGE_OUT_OF_BOUNDS,
            f"Parameter {name!r} has {whole} bytes; {size_bytes} bytes from {start} were asked for.",
            parameter=name,
        )
    touched = [
        (digest, first)
        for digest, (first, last) in zip(parameter.chunks, chunk_ranges(parameter.spec), strict=True)
        if first < stop and start < last
    ]
    return TensorRange(
        parameter=parameter,
        chunks=tuple(digest for digest, _ in touched),
        skip=start - touched[0][1] if touched else 0,
        size_bytes=stop - start,
    )


def _tensor_not_found(content: ModelContent, what: str) -> NotFoundError:
    return NotFoundError(
        ErrorReason.TENSOR_NOT_FOUND,
        f"Model {content.model.ref} has no parameter {what}.",
        model=content.model.ref,
    )
