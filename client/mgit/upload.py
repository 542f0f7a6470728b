"""Sends a model: draft, missing chunks, commit; whatever was sent is never sent twice.

A cut stream or a store that moved on is met by drafting again with the same request id: the service then asks
only for what it still lacks, and a commit whose answer was lost answers again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from mgit.connection import Connection, Patience
from mgit.cutting import CutSource, Location
from mgit.manifests import draft_parts
from mgit.outgoing import Outgoing
from mgit.progress import ProgressCounter
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, FailedPreconditionError, MGitError, UnavailableError
from mgit_proto.v1 import parameters_pb2, types_pb2

__all__ = ["Upload", "Uploaded", "upload"]

# Half of the largest message: two pieces make a whole chunk, each well in its frame.
_PIECE_BYTES = 512 * 1024
# A parameter name may have 4 KiB.
_HINTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A model that is to be sent.

    Attributes:
        header: What is said of it as a whole.
        cut: Its parameters and files, and where their bytes are.
        request_id: Makes it idempotent.
        lattices: How guarded loss made some of its tensors.
    """

    header: parameters_pb2.ModelHeader
    cut: CutSource
    request_id: str
    lattices: tuple[parameters_pb2.LatticeHint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A model that was sent.

    Attributes:
        model: The model, as the service answered.
        same_as: References of other models with the same parameters.
        repeated: Whether an earlier call with the request id made it.
        sent_bytes: Bytes of the chunks that were sent, all attempts together.
        stored_bytes: Bytes that the store grew by.
        unused_hints: Parameters whose lattices the service could not use.
    """

    model: types_pb2.Model
    same_as: tuple[str, ...]
    repeated: bool
    sent_bytes: int
    stored_bytes: int
    unused_hints: tuple[str, ...] = ()


def upload(connection: Connection, job: Upload, progress: ProgressCounter) -> Uploaded:
    """Send what is missing and commit; outlasts a service that restarts.

    Raises:
        MGitError: As the service answers the last attempt, or as the source's reader.
    """
    patience = Patience(connection)
    sender = _Sender(connection, job, progress, patience)
    while True:
        try:
            return sender.send()
        except (UnavailableError, FailedPreconditionError) as error:
            # CHUNKS_MISSING means that a collection passed between draft and commit: as good as stale.
            if not (error.is_retryable or error.reason is ErrorReason.CHUNKS_MISSING):
                raise
            patience.wait_or_raise(error)


class _Sender:
    """The attempts to send one model."""

    def __init__(
        self, connection: Connection, job: Upload, progress: ProgressCounter, patience: Patience
    ) -> None:
        self._connection = connection
        self._patience = patience
        self._job = job
        self._progress = progress
        files = job.cut.files.files
        max_digests = connection.capabilities.max_digests
        self._max_digests = max_digests
        self._parts = tuple(draft_parts(job.cut.manifest.parameters, files, max_digests))
        self.sent_bytes = 0
        self._stored_bytes = 0
        self._unused_hints: dict[str, None] = {}

    def send(self) -> Uploaded:
        missing, epoch = self._draft()
        locations = {digest: self._location(digest) for digest in missing}
        missing_bytes = sum(place.stop - place.start for place in locations.values())
        self._progress.begin(self._job.cut.size_bytes)
        self._progress.add(self._job.cut.size_bytes - missing_bytes)
        if missing:
            self._send_chunks(locations)
            self._patience.got_through()
        stub = self._connection.parameters
        answer = self._connection.call(stub.CommitModel, self._commit(epoch), is_bounded=False)
        return Uploaded(
            model=answer.model,
            same_as=tuple(answer.same_as),
            repeated=answer.repeated_request,
            sent_bytes=self.sent_bytes,
            stored_bytes=self._stored_bytes,
            unused_hints=tuple(self._unused_hints),
        )

    def _send_chunks(self, locations: dict[Digest, Location]) -> None:
        pieces = Outgoing(chain(self._outline(locations), self._chunks(locations)))
        try:
            answer = self._connection.call(self._connection.parameters.UploadChunks, pieces, is_bounded=False)
        except MGitError:
            if pieces.failure is not None:
                raise pieces.failure from None
            raise
        if pieces.failure is not None:
            raise pieces.failure
        self._stored_bytes += answer.stored_bytes
        self._unused_hints |= dict.fromkeys(answer.unused_hints)

    def _draft(self) -> tuple[Sequence[Digest], int]:
        missing: dict[Digest, None] = {}
        epoch = 0
        draft = self._connection.parameters.DraftModel
        with self._connection.stream(draft, self._draft_messages()) as answers:
            for answer in answers:
                missing |= dict.fromkeys(answer.missing)
                epoch = answer.epoch or epoch
        return tuple(missing), epoch

    def _draft_messages(self) -> Iterator[parameters_pb2.DraftModelRequest]:
        yield parameters_pb2.DraftModelRequest(header=self._job.header)
        for part in self._parts:
            yield parameters_pb2.DraftModelRequest(part=part)

    def _commit(self, epoch: int) -> Iterator[parameters_pb2.CommitModelRequest]:
        yield parameters_pb2.CommitModelRequest(header=self._job.header)
        for part in self._parts:
            yield parameters_pb2.CommitModelRequest(part=part)
        end = parameters_pb2.CommitEnd(epoch=epoch, request_id=self._job.request_id)
        yield parameters_pb2.CommitModelRequest(end=end)

    def _location(self, digest: Digest) -> Location:
        place = self._job.cut.locations.get(digest)
        if place is None:
            raise CorruptError(
                ErrorReason.MANIFEST_CORRUPT,
                f"The service asks for chunk {digest.hex()}, which the model does not have.",
                digest=digest.hex(),
            )
        return place

    def _outline(self, locations: dict[Digest, Location]) -> Iterator[parameters_pb2.UploadChunksRequest]:
        """Where the chunks belong: the service stores them as differences to what it knows of there."""
        parameters = [
            parameter
            for parameter in self._job.cut.manifest.parameters
            if any(digest in locations for digest in parameter.chunks)
        ]
        if not parameters:
            return
        header = parameters_pb2.ModelHeader()
        header.CopyFrom(self._job.header)
        header.ClearField("layer_graph")  # It tells nothing of what chunks are made from.
        yield parameters_pb2.UploadChunksRequest(header=header)
        for part in draft_parts(parameters, (), self._max_digests):
            yield parameters_pb2.UploadChunksRequest(part=part)
        names = {parameter.name for parameter in parameters}
        hints = [hint for hint in self._job.lattices if hint.parameter in names]
        for start in range(0, len(hints), _HINTS_AT_ONCE):
            yield parameters_pb2.UploadChunksRequest(lattices=hints[start : start + _HINTS_AT_ONCE])

    def _chunks(self, locations: dict[Digest, Location]) -> Iterator[parameters_pb2.UploadChunksRequest]:
        """The chunks in pieces; gRPC takes the next one when it has room, so few are in memory at once."""
        for digest, place in locations.items():
            size_bytes = place.stop - place.start
            view = memoryview(place.content.read(place.start, place.stop))
            yield parameters_pb2.UploadChunksRequest(
                digest=digest,
                size_bytes=size_bytes,
                item_bytes=place.number_bytes,
                data=bytes(view[:_PIECE_BYTES]),
            )
            for start in range(_PIECE_BYTES, size_bytes, _PIECE_BYTES):
                yield parameters_pb2.UploadChunksRequest(data=bytes(view[start : start + _PIECE_BYTES]))
            self.sent_bytes += size_bytes
            self._patience.got_through()
            self._progress.add(size_bytes)
