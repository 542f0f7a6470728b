"""Frames and models of other stores as they come in, piece by piece."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.message import Message

from mgit_core.digest import DIGEST_SIZE, Digest, DigestAlgorithm
from mgit_core.errors import ErrorReason, InvalidArgumentError, ResourceExhaustedError
from mgit_core.lineage import RequestKey
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_service.servicers.exchange_messages import header_of, model_value, promise_value
from mgit_service.servicers.messages import add_part, check_size, out_of_order
from mgit_service.servicers.requests import check_request_id
from mgit_service.use_cases.exchange.models import ModelArrival
from mgit_service.use_cases.transfer.drafting import DraftAssembly

__all__ = [
    "MAX_FRAME_BYTES",
    "MAX_MODELS",
    "MAX_PARAMETERS",
    "EncodedPieces",
    "ModelArrivals",
    "RequestDigest",
]

MAX_FRAME_BYTES = 2 << 20
MAX_MODELS = 1_000
MAX_PARAMETERS = 20_000
"""Most parameters of several models: so many new tensors fit one transaction of a small graph."""
_MAX_START_BYTES = 2 << 20
# Digests of chunks that are kept in memory, as many as those of one draft.
_MAX_DIGESTS = 1 << 22


class EncodedPieces:
    """Joins the pieces of encoded chunks."""

    def __init__(self) -> None:
        self._digest: Digest = b""
        self._frame = bytearray()
        self._left = 0

    def take(self, message: pb.WriteEncodedChunksRequest) -> tuple[Digest, bytes] | None:
        """Take a piece; gives the digest and the frame that it completes.

        Raises:
            InvalidArgumentError: MESSAGE_OUT_OF_ORDER or SHAPE_MISMATCH.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        check_size(message.ByteSize())
        if not self._left:
            self._begin(message)
        elif message.digest or message.size_bytes:
            raise out_of_order(f"a chunk began while {self._left} bytes of the one before were still to come")
        self._left -= len(message.data)
        if self._left < 0:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"An encoded chunk came with {-self._left} bytes more than were announced.",
                digest=self._digest.hex(),
            )
        self._frame += message.data
        if self._left:
            return None
        frame, self._frame = bytes(self._frame), bytearray()
        return self._digest, frame

    def finish(self) -> None:
        """Refuses a stream that ends in the middle of a chunk.

        Raises:
            InvalidArgumentError: MESSAGE_OUT_OF_ORDER.
        """
        if self._left:
            raise out_of_order(f"the stream ended with {self._left} bytes of a chunk still to come")

    def _begin(self, message: pb.WriteEncodedChunksRequest) -> None:
        if not message.digest:
            raise out_of_order("a piece came without a chunk that it continues")
        if len(message.digest) != DIGEST_SIZE or not 1 <= message.size_bytes <= MAX_FRAME_BYTES:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"An encoded chunk has a digest of {DIGEST_SIZE} bytes and a frame of 1 to {MAX_FRAME_BYTES}; found "
                f"{len(message.digest)} and {message.size_bytes}.",
            )
        self._digest, self._left = message.digest, message.size_bytes


class RequestDigest:
    """Digest of the arguments of a request that comes as a stream."""

    def __init__(self, kind: str) -> None:
        self._state = hashlib.sha256(kind.encode("ascii"))

    def add(self, message: Message) -> None:
        """Take a part of the arguments."""
        content = message.SerializeToString(deterministic=True)
        self._state.update(len(content).to_bytes(8, "little"))
        self._state.update(content)

    def key(self, request_id: str) -> RequestKey | None:
        """What makes the request idempotent; None if it has no id.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        checked = check_request_id(request_id)
        return None if checked is None else RequestKey(id=checked, arguments_digest=self._state.digest())


@dataclass(slots=True)
class _OpenModel:
    """A model whose parts still come."""

    start: pb.ImportStart
    assembly: DraftAssembly
    has_parts: bool = False


class ModelArrivals:
    """Puts the messages of an import of models together."""

    def __init__(self, algorithm: DigestAlgorithm) -> None:
        self._algorithm = algorithm
        self._open: _OpenModel | None = None
        self._arrivals: list[ModelArrival] = []
        self._parameters = 0
        self._digests = 0

    def begin(self, start: pb.ImportStart) -> None:
        """Begin a model.

        Raises:
            InvalidArgumentError: As ``header_of`` and ``model_value``; SHAPE_MISMATCH for the model before.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        self._close()
        if len(self._arrivals) == MAX_MODELS:
            raise _too_many(f"at most {MAX_MODELS} models", MAX_MODELS)
        if start.ByteSize() > _MAX_START_BYTES:
            raise _too_many(f"starts of at most {_MAX_START_BYTES} bytes", _MAX_START_BYTES)
        self._open = _OpenModel(start, DraftAssembly(self._algorithm, header_of(start)))

    def add(self, part: pb.ImportModelsRequest) -> None:
        """Take a part of the model that began last.

        Raises:
            InvalidArgumentError: As ``add_part``, and MESSAGE_OUT_OF_ORDER.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        check_size(part.ByteSize())
        if self._open is None:
            raise out_of_order("a part came before the start of its model")
        self._open.has_parts = True
        self._digests += len(add_part(self._open.assembly, part.part))
        if self._digests > _MAX_DIGESTS:
            raise _too_many(f"at most {_MAX_DIGESTS} chunks", _MAX_DIGESTS)

    def finish(self) -> list[ModelArrival]:
        """All models.

        Raises:
            InvalidArgumentError: SHAPE_MISMATCH for the last model.
            ResourceExhaustedError: LIMIT_EXCEEDED.
        """
        self._close()
        return self._arrivals

    def _close(self) -> None:
        if self._open is None:
            return
        opened, self._open = self._open, None
        draft = opened.assembly.finish()
        model = model_value(opened.start.model, draft.header)
        if model.parameters is None:
            if opened.has_parts:
                raise out_of_order(f"parts came for {model.ref}, which was removed")
            self._arrivals.append(ModelArrival(model=model))
            return
        self._parameters += len(draft.manifest.parameters)
        if self._parameters > MAX_PARAMETERS and self._arrivals:
            raise _too_many(
                f"several models with at most {MAX_PARAMETERS} parameters together", MAX_PARAMETERS
            )
        promise = promise_value(opened.start.model)
        self._arrivals.append(ModelArrival(model=model, draft=draft, promise=promise))


def _too_many(what: str, limit: int) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        ErrorReason.LIMIT_EXCEEDED, f"An import has {what}; send the rest in another one.", limit=limit
    )
