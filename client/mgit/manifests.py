"""Manifests, file lists and drafts on the wire, in messages of a size that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.manifest import Manifest, Parameter, make_parameter
from mgit_core.tensor import TensorSpec
from mgit_proto.v1 import parameters_pb2, types_pb2

__all__ = ["Listing", "draft_parts", "read_listing"]

_FILE_KINDS = {kind: types_pb2.FileKind.Value(f"FILE_KIND_{kind.name}") for kind in FileKind}
_FILE_KIND_OF = {number: kind for kind, number in _FILE_KINDS.items()}

# A message has 1 MiB at most and names 10,000 digests at most; half of that leaves room for long names.
_PART_BYTES = 512 * 1024
_DIGEST_BYTES = 34  # 32 bytes, a field number and a length.


@dataclass(frozen=True, slots=True)
class Listing:
    """What a model is made of.

    Attributes:
        manifest: Its parameters.
        files: Its files, what it looked like at the source, and which names shared one memory there.
    """

    manifest: Manifest
    files: FileList

    @property
    def dtypes(self) -> dict[str, str]:
        """Name of the data type of each parameter."""
        return {parameter.name: parameter.spec.dtype for parameter in self.manifest.parameters}


def draft_parts(
    parameters: Iterable[Parameter], files: Iterable[FileEntry], max_digests: int
) -> Iterator[parameters_pb2.DraftPart]:
    """A draft in messages of a size that the wire takes; long parameters are continued."""
    part, size_bytes, digests = parameters_pb2.DraftPart(), 0, 0
    for entry in _entries(parameters, files, max_digests):
        count = len(entry.chunk_digests)
        entry_bytes = entry.ByteSize() + 8
        if size_bytes + entry_bytes > _PART_BYTES or digests + count > max_digests:
            yield part
            part, size_bytes, digests = parameters_pb2.DraftPart(), 0, 0
        if isinstance(entry, types_pb2.Parameter):
            part.parameters.append(entry)
        else:
            part.files.append(entry)
        size_bytes += entry_bytes
        digests += count
    if size_bytes:
        yield part


def _entries(
    parameters: Iterable[Parameter], files: Iterable[FileEntry], max_digests: int
) -> Iterator[types_pb2.Parameter | types_pb2.File]:
    step = min(max_digests, _PART_BYTES // _DIGEST_BYTES // 2)
    for parameter in parameters:
        yield types_pb2.Parameter(
            name=parameter.name,
            dtype=parameter.spec.dtype,
            shape=parameter.spec.shape,
            chunk_digests=parameter.chunks[:step],
        )
        for start in range(step, len(parameter.chunks), step):
            yield types_pb2.Parameter(
                name=parameter.name, chunk_digests=parameter.chunks[start : start + step]
            )
    for entry in files:
        yield types_pb2.File(
            path=entry.path,
            kind=_FILE_KINDS[entry.kind],
            size_bytes=entry.size_bytes,
            stored_bytes=entry.stored_bytes,
            chunk_digests=entry.chunks[:step],
            prefix=entry.prefix,
        )
        for start in range(step, len(entry.chunks), step):
            yield types_pb2.File(path=entry.path, chunk_digests=entry.chunks[start : start + step])


def read_listing(
    algorithm: DigestAlgorithm, answers: Sequence[parameters_pb2.GetManifestResponse]
) -> Listing:
    """What the messages of a manifest say, continued entries joined, each digest recomputed.

    Raises:
        CorruptError: MANIFEST_CORRUPT.
    """
    try:
        return Listing(
            Manifest(
                algorithm, _read_parameters(algorithm, (e for each in answers for e in each.parameters))
            ),
            FileList(
                algorithm=algorithm,
                source_format=answers[0].source_format,
                files=_read_files(entry for each in answers for entry in each.files),
                ties=tuple(tuple(tie.names) for tie in answers[0].ties),
            ),
        )
    except InvalidArgumentError as error:
        raise _corrupt(error.message.rstrip(".")) from error


def _read_parameters(
    algorithm: DigestAlgorithm, entries: Iterable[types_pb2.Parameter]
) -> tuple[Parameter, ...]:
    heads: list[types_pb2.Parameter] = []
    chunks: list[list[bytes]] = []
    for entry in entries:
        if entry.dtype:
            heads.append(entry)
            chunks.append(list(entry.chunk_digests))
        elif heads and heads[-1].name == entry.name:
            chunks[-1].extend(entry.chunk_digests)
        else:
            raise _corrupt(f"a part of {entry.name!r} comes without its beginning")
    found = []
    for head, digests in zip(heads, chunks, strict=True):
        parameter = make_parameter(algorithm, head.name, TensorSpec(head.dtype, tuple(head.shape)), digests)
        if head.digest and parameter.digest != head.digest:
            raise _corrupt(f"the digest of {head.name!r} does not fit its chunks")
        found.append(parameter)
    return tuple(found)


def _read_files(entries: Iterable[types_pb2.File]) -> tuple[FileEntry, ...]:
    heads: list[types_pb2.File] = []
    chunks: list[list[bytes]] = []
    for entry in entries:
        if entry.kind:
            heads.append(entry)
            chunks.append(list(entry.chunk_digests))
        elif heads and heads[-1].path == entry.path:
            chunks[-1].extend(entry.chunk_digests)
        else:
            raise _corrupt(f"a part of file {entry.path!r} comes without its beginning")
    return tuple(
        FileEntry(
            path=head.path,
            kind=_FILE_KIND_OF[head.kind],
            size_bytes=head.size_bytes,
            stored_bytes=head.stored_bytes,
            chunks=tuple(digests),
            prefix=head.prefix,
        )
        for head, digests in zip(heads, chunks, strict=True)
    )


def _corrupt(found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"A manifest from the service cannot be used: {found}.")
