"""What the files of a model are made of: chunks of their own, or a header and the model's tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mgit.chunks import BufferSink, ChunkPlan
from mgit.content import ModelContent
from mgit_core.chunking import file_chunk_sizes
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, MGitError
from mgit_core.files import FileEntry, FileKind
from mgit_core.manifest import Parameter
from mgit_core.safetensors import build_header, parse_header

__all__ = ["FileLayout", "WeightsLayout", "build_weights", "layout_of_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLayout:
    """A file whose bytes are chunks.

    Attributes:
        path: Relative, joined by ``/``.
        size_bytes: Bytes of the file.
        chunks: Digest and size of each chunk, in the order of the bytes.
    """

    path: str
    size_bytes: int
    chunks: tuple[tuple[Digest, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsLayout:
    """A safetensors file.

    Attributes:
        path: Relative, joined by ``/``.
        size_bytes: Bytes of the file.
        header: Length field and header text.
        places: Name of each parameter in it, and where its bytes begin.
        metadata: The header's free text entries.
        prefix: What stands before the file's tensor names to make parameter names.
    """

    path: str
    size_bytes: int
    header: bytes
    places: tuple[tuple[str, int], ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


def layout_of_files(content: ModelContent) -> list[FileLayout | WeightsLayout]:
    """The model's files, by path; fetches the headers of its safetensors files.

    Raises:
        CorruptError: MANIFEST_CORRUPT, if a header does not fit the model's parameters.
        MGitError: As ``fetch_chunks``.
    """
    entries = content.listing.files.files
    headers = _fetch_headers(content, [each for each in entries if each.kind is FileKind.SAFETENSORS])
    parameters = {parameter.name: parameter for parameter in content.listing.manifest.parameters}
    return [
        FileLayout(path=entry.path, size_bytes=entry.size_bytes, chunks=tuple(_chunks_of(entry)))
        if entry.kind is FileKind.OPAQUE
        else _weights_of(entry, headers[entry.path], parameters)
        for entry in entries
    ]


def build_weights(path: str, parameters: Sequence[Parameter], metadata: Mapping[str, str]) -> WeightsLayout:
    """A new safetensors file that holds ``parameters``.

    The widest items come first, so that every tensor begins at a multiple of its item's size, which readers
    that map the file want.

    Raises:
        InvalidArgumentError: UNKNOWN_DTYPE, for a type that the format lacks.
    """
    ordered = sorted(parameters, key=lambda parameter: -parameter.spec.itemsize)
    header = build_header([(each.name, each.spec) for each in ordered], metadata)
    places: list[tuple[str, int]] = []
    start = len(header)
    for parameter in ordered:
        places.append((parameter.name, start))
        start += parameter.spec.size_bytes
    return WeightsLayout(path=path, size_bytes=start, header=header, places=tuple(places), metadata=metadata)


def _chunks_of(entry: FileEntry) -> list[tuple[Digest, int]]:
    return list(zip(entry.chunks, file_chunk_sizes(entry.stored_bytes), strict=True))


def _fetch_headers(content: ModelContent, entries: Sequence[FileEntry]) -> dict[str, bytes]:
    headers = {entry.path: bytearray(entry.stored_bytes) for entry in entries}
    plan = ChunkPlan()
    for entry in entries:
        sink, start = BufferSink(memoryview(headers[entry.path])), 0
        for digest, size_bytes in _chunks_of(entry):
            plan.add(digest, size_bytes, sink, start)
            start += size_bytes
    content.fetch(plan)
    return {path: bytes(header) for path, header in headers.items()}


def _weights_of(entry: FileEntry, header: bytes, parameters: Mapping[str, Parameter]) -> WeightsLayout:
    try:
        parsed = parse_header(header, entry.size_bytes)
    except MGitError as error:
        raise _corrupt(entry, error.message) from error
    places: list[tuple[str, int]] = []
    for tensor in parsed.tensors:
        name = entry.prefix + tensor.name
        parameter = parameters.get(name)
        if parameter is None or parameter.spec != tensor.spec:
            raise _corrupt(entry, f"the model has no parameter {name[:80]!r} of that type and shape")
        places.append((name, tensor.start))
    return WeightsLayout(
        path=entry.path,
        size_bytes=entry.size_bytes,
        header=header,
        places=tuple(places),
        metadata=parsed.metadata,
        prefix=entry.prefix,
    )


def _corrupt(entry: FileEntry, found: str) -> CorruptError:
    return CorruptError(
        ErrorReason.MANIFEST_CORRUPT, f"File {entry.path!r} cannot be rebuilt: {found}", path=entry.path
    )
