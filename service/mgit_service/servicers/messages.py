"""Messages of the parameter service as values of the use cases, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError, ResourceExhaustedError
from mgit_core.files import FileEntry, FileKind
from mgit_core.lineage import Dataset, check_metadata
from mgit_core.manifest import Parameter
from mgit_core.names import MAX_NAME_LENGTH, check_model_name
from mgit_core.tensor import TensorSpec
from mgit_proto.v1 import parameters_pb2, types_pb2
from mgit_service.servicers.convert import parent_request
from mgit_service.servicers.creation_messages import creation_value, step_value
from mgit_service.servicers.loss import loss_value
from mgit_service.servicers.metadata import metadata_value
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.transfer.drafting import DraftAssembly, FilePart, ParameterPart

__all__ = [
    "MAX_DIGESTS",
    "MAX_MESSAGE_BYTES",
    "PIECE_BYTES",
    "add_part",
    "check_digests",
    "check_size",
    "file_message",
    "header_value",
    "manifest_messages",
    "out_of_order",
    "parameter_message",
    "spec_value",
]

MAX_MESSAGE_BYTES = 1 << 20
MAX_DIGESTS = 10_000
PIECE_BYTES = 512 << 10
"""Bytes of content in a message: two such pieces make a whole chunk and each leaves room for its frame."""

_PART_BYTES = 512 << 10
_DIGEST_BYTES = DIGEST_SIZE + 2
_SOURCE_FORMATS = ("", "safetensors", "folder", "torch", "numpy", "zarr")

_FILE_KINDS = {kind: types_pb2.FileKind.Value(f"FILE_KIND_{kind.name}") for kind in FileKind}
_FILE_KIND_VALUES = {number: kind for kind, number in _FILE_KINDS.items()}


def out_of_order(found: str) -> InvalidArgumentError:
    """The error for a message that the protocol does not allow here."""
    return InvalidArgumentError(ErrorReason.MESSAGE_OUT_OF_ORDER, f"A message came out of order: {found}.")


def check_size(size_bytes: int) -> None:
    """Refuses a message of more than 1 MiB.

    Raises:
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """
    if size_bytes > MAX_MESSAGE_BYTES:
        raise ResourceExhaustedError(
            ErrorReason.LIMIT_EXCEEDED,
            f"A message has at most {MAX_MESSAGE_BYTES} bytes; found {size_bytes}.",
            limit=MAX_MESSAGE_BYTES,
        )


def check_digests(count: int) -> None:
    """Refuses a message with more than 10,000 digests.

    Raises:
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """
    if count > MAX_DIGESTS:
        raise ResourceExhaustedError(
            ErrorReason.LIMIT_EXCEEDED,
            f"A message names at most {MAX_DIGESTS} digests; found {count}.",
            limit=MAX_DIGESTS,
        )


def header_value(message: parameters_pb2.ModelHeader) -> DraftHeader:
    """What a draft says of the model as a whole, checked as far as it can be without the graph.

    Raises:
        InvalidArgumentError: INVALID_NAME, INVALID_METADATA, INVALID_RELATION, INVALID_REFERENCE, INVALID_CREATION or
            INVALID_ARGUMENT.
    """
    if message.source_format not in _SOURCE_FORMATS:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A source format is one of {', '.join(_SOURCE_FORMATS[1:])}, or empty; found "
            f"{message.source_format[:80]!r}.",
            field="source_format",
        )
    previous = message.previous.WhichOneof("kind")
    is_given = previous == "model"
    return DraftHeader(
        # A step's target has a name; it need not be said again.
        name=message.name if message.HasField("step") else check_model_name(message.name),
        parents=tuple(parent_request(parent) for parent in message.parents),
        previous=message.previous.model if is_given else None,
        automatic_previous=not is_given and not message.previous.none,
        type=_type_value(message.type),
        metadata=check_metadata(metadata_value(message.metadata)),
        datasets=tuple(dict.fromkeys(_dataset_value(dataset) for dataset in message.datasets)),
        source_format=message.source_format,
        ties=tuple(tuple(tie.names) for tie in message.ties),
        loss=loss_value(message.loss) if message.HasField("loss") else None,
        layer_graph=message.layer_graph,
        creation=creation_value(message.creation) if message.HasField("creation") else None,
        step=step_value(message.step) if message.HasField("step") else None,
    )


def _type_value(text: str) -> str | None:
    if not text:
        return None
    if "/" in check_model_name(text):
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME, f"A model type is one segment of a name; found {text!r}.", field="type"
        )
    return text


def _dataset_value(message: types_pb2.Dataset) -> Dataset:
    if len(message.version) > MAX_NAME_LENGTH or not message.version.isprintable():
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME,
            f"The version of a data set has at most {MAX_NAME_LENGTH} printable characters; found "
            f"{message.version[:80]!r}.",
            field="datasets",
        )
    return Dataset(name=check_model_name(message.name), version=message.version)


def spec_value(message: types_pb2.Parameter) -> TensorSpec:
    """Data type and shape.

    Raises:
        InvalidArgumentError: UNKNOWN_DTYPE or SHAPE_MISMATCH.
    """
    return TensorSpec(message.dtype, tuple(message.shape))


def add_part(assembly: DraftAssembly, message: parameters_pb2.DraftPart) -> list[Digest]:
    """Take a part of a draft; gives its digests, in order.

    Raises:
        InvalidArgumentError: As ``DraftAssembly``, and UNKNOWN_DTYPE.
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """
    digests: list[Digest] = []
    for parameter in message.parameters:
        chunks = list(parameter.chunk_digests)
        digests += chunks
        check_digests(len(digests))
        is_continued = not parameter.dtype and not parameter.shape
        spec = None if is_continued else spec_value(parameter)
        assembly.add_parameter(ParameterPart(name=parameter.name, spec=spec, chunks=chunks))
    for file in message.files:
        chunks = list(file.chunk_digests)
        digests += chunks
        check_digests(len(digests))
        assembly.add_file(_file_part(file, chunks))
    return digests


def _file_part(message: types_pb2.File, chunks: list[Digest]) -> FilePart:
    """A file, or more of the last one: an entry that has a path and digests and nothing else."""
    kind = _FILE_KIND_VALUES.get(message.kind)
    is_continued = not (message.kind or message.size_bytes or message.stored_bytes or message.prefix)
    if kind is None and not is_continued:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"File {message.path[:80]!r} does not say how its bytes are kept, or in a way that is not known.",
            field="kind",
        )
    return FilePart(
        path=message.path,
        kind=kind,
        chunks=chunks,
        size_bytes=message.size_bytes,
        stored_bytes=message.stored_bytes,
        prefix=message.prefix,
    )


def parameter_message(parameter: Parameter) -> types_pb2.Parameter:
    """A parameter without its chunk digests."""
    return types_pb2.Parameter(
        name=parameter.name,
        dtype=parameter.spec.dtype,
        shape=parameter.spec.shape,
        digest=parameter.digest,
    )


def file_message(entry: FileEntry) -> types_pb2.File:
    """A file without its chunk digests."""
    return types_pb2.File(
        path=entry.path,
        kind=_FILE_KINDS[entry.kind],
        size_bytes=entry.size_bytes,
        stored_bytes=entry.stored_bytes,
        prefix=entry.prefix,
    )


def manifest_messages(
    first: parameters_pb2.GetManifestResponse, parameters: Iterable[Parameter], files: Iterable[FileEntry]
) -> Iterator[parameters_pb2.GetManifestResponse]:
    """A manifest in messages of at most 1 MiB and 10,000 digests; ``first`` is filled up and comes first."""
    message = first
    room, digests_left = _PART_BYTES - message.ByteSize(), MAX_DIGESTS
    for entry in _manifest_entries(parameters, files):
        size_bytes, count = entry.ByteSize() + 8, len(entry.chunk_digests)
        if size_bytes > room or count > digests_left:
            yield message
            message = parameters_pb2.GetManifestResponse()
            room, digests_left = _PART_BYTES, MAX_DIGESTS
        if isinstance(entry, types_pb2.Parameter):
            message.parameters.append(entry)
        else:
            message.files.append(entry)
        room -= size_bytes
        digests_left -= count
    yield message


def _manifest_entries(
    parameters: Iterable[Parameter], files: Iterable[FileEntry]
) -> Iterator[types_pb2.Parameter | types_pb2.File]:
    """Each parameter and file; one with many digests in several entries, all but the first without type."""
    step = _PART_BYTES // _DIGEST_BYTES // 2
    for parameter in parameters:
        whole = parameter_message(parameter)
        whole.chunk_digests.extend(parameter.chunks[:step])
        yield whole
        for start in range(step, len(parameter.chunks), step):
            more = parameter.chunks[start : start + step]
            yield types_pb2.Parameter(name=parameter.name, chunk_digests=more)
    for entry in files:
        file = file_message(entry)
        file.chunk_digests.extend(entry.chunks[:step])
        yield file
        for start in range(step, len(entry.chunks), step):
            yield types_pb2.File(path=entry.path, chunk_digests=entry.chunks[start : start + step])
