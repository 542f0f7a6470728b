"""Small models over the wire, by generated stubs alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from tests.running_service import Stubs

from mgit_proto.v1 import parameters_pb2, types_pb2

UPLOAD_TIMEOUT_S = 60
END = parameters_pb2.UploadModelRequest(end=parameters_pb2.UploadModelEnd())


def link(parent: str, relation: str = "FINETUNED", weight: float | None = None) -> types_pb2.ParentLink:
    """An edge to ``parent``; ``relation`` in upper case."""
    return types_pb2.ParentLink(
        parent=parent, relation=types_pb2.Relation.Value(f"RELATION_{relation}"), weight=weight
    )


def upload(
    stubs: Stubs,
    header: parameters_pb2.ModelHeader,
    tensors: Mapping[str, npt.NDArray[np.float32]],
    *,
    files: Mapping[str, bytes] | None = None,
    request_id: str = "",
) -> parameters_pb2.UploadModelResponse:
    """Add a model of float32 tensors, and of files, whole."""
    requests = _requests(header, tensors, files or {}, request_id)
    return stubs.parameters.UploadModel(requests, timeout=UPLOAD_TIMEOUT_S)


def add(
    stubs: Stubs,
    name: str,
    parents: Sequence[types_pb2.ParentLink] = (),
    tensors: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> types_pb2.Model:
    """Add a model; without ``tensors`` its parameters are its own."""
    own = np.frombuffer(name.encode().ljust(64), np.float32)
    header = parameters_pb2.ModelHeader(name=name, parents=parents)
    return upload(stubs, header, {"weight": own} if tensors is None else tensors).model


def _requests(
    header: parameters_pb2.ModelHeader,
    tensors: Mapping[str, npt.NDArray[np.float32]],
    files: Mapping[str, bytes],
    request_id: str,
) -> Iterator[parameters_pb2.UploadModelRequest]:
    first = parameters_pb2.UploadModelHeader(model=header, request_id=request_id)
    yield parameters_pb2.UploadModelRequest(header=first)
    for name, tensor in tensors.items():
        parameter = types_pb2.Parameter(name=name, dtype="float32", shape=tensor.shape)
        yield from _content(parameters_pb2.ContentStart(parameter=parameter), tensor.tobytes())
    for path, content in sorted(files.items()):
        file = types_pb2.File(
            path=path,
            kind=types_pb2.FILE_KIND_OPAQUE,
            size_bytes=len(content),
            stored_bytes=len(content),
        )
        yield from _content(parameters_pb2.ContentStart(file=file), content)
    yield END


def _content(
    start: parameters_pb2.ContentStart, content: bytes
) -> Iterator[parameters_pb2.UploadModelRequest]:
    start.size_bytes = len(content)
    yield parameters_pb2.UploadModelRequest(start=start)
    for at in range(0, len(content), 256 << 10):
        yield parameters_pb2.UploadModelRequest(data=content[at : at + (256 << 10)])
