"""Safetensors files of a model: kept as a header and the model's parameters, rebuilt from both."""

from __future__ import annotations

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.manifest import Manifest, Parameter
from mgit_core.ports.chunks import ChunkReader
from mgit_core.safetensors import MAX_HEADER_BYTES, SafetensorsHeader, parse_header

__all__ = ["check_headers", "parameters_of_file"]


def check_headers(chunks: ChunkReader, manifest: Manifest, files: FileList) -> None:
    """Refuses a safetensors file that could not be rebuilt from its header and the model's parameters.

    Blocks. Costs a read of the headers.

    Raises:
        InvalidArgumentError: SHAPE_MISMATCH, UNREADABLE_INPUT, or another reason of a header that lies.
        CorruptError: CHUNK_CORRUPT.
    """
    for entry in files.files:
        if entry.kind is FileKind.SAFETENSORS:
            parameters_of_file(chunks, manifest, entry)


def parameters_of_file(chunks: ChunkReader, manifest: Manifest, entry: FileEntry) -> list[Parameter]:
    """The parameters whose bytes follow the header of a safetensors file, in the order of the file.

    Raises:
        InvalidArgumentError: SHAPE_MISMATCH if the parameters are not those of the header, UNREADABLE_INPUT or
            another reason if the header cannot be read.
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT.
    """
    header = _read_header(chunks, entry)
    by_name = {parameter.name: parameter for parameter in manifest.parameters}
    found: list[Parameter] = []
    for tensor in header.tensors:
        name = entry.prefix + tensor.name
        parameter = by_name.get(name)
        if parameter is None or parameter.spec != tensor.spec:
            kept = (
                "is not there" if parameter is None else f"is {parameter.spec.dtype} {parameter.spec.shape}"
            )
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"File {entry.path!r} says that parameter {name!r} is {tensor.spec.dtype} {tensor.spec.shape}; "
                f"in the model it {kept}.",
                file=entry.path,
                parameter=name,
            )
        found.append(parameter)
    return found


def _read_header(chunks: ChunkReader, entry: FileEntry) -> SafetensorsHeader:
    if entry.stored_bytes > MAX_HEADER_BYTES:
        raise InvalidArgumentError(
            ErrorReason.UNREADABLE_INPUT,
            f"The header of file {entry.path!r} has {entry.stored_bytes} bytes; at most {MAX_HEADER_BYTES} are "
            "read.",
            file=entry.path,
        )
    content = b"".join(chunks.read(chunk) for chunk in entry.chunks)
    header = parse_header(content, entry.size_bytes)
    if header.length != entry.stored_bytes:
        raise InvalidArgumentError(
            ErrorReason.SHAPE_MISMATCH,
            f"The header of file {entry.path!r} ends at byte {header.length}; {entry.stored_bytes} bytes of it "
            "were sent.",
            file=entry.path,
        )
    return header
