"""Sends chunks that a store lost, from a file that still has them."""

from __future__ import annotations

from collections.abc import Iterator

from mgit.connection import Connection
from mgit.cutting import CutSource, Location, cut_source
from mgit.frameworks.detection import open_source
from mgit_core.digest import Digest
from mgit_core.errors import MGitError
from mgit_proto.v1 import parameters_pb2

__all__ = ["Resending"]

# Half of the largest message: two pieces make a whole chunk, each well in its frame.
_PIECE_BYTES = 512 * 1024


class Resending:
    """A source whose chunks may be sent again.

    Attributes:
        sent_bytes: Bytes of the chunks that were sent.
    """

    def __init__(self, connection: Connection, source: object) -> None:
        """Open and cut ``source``, whatever may be added as a model.

        Raises:
            MGitError: As the readers of sources.
        """
        self._connection = connection
        self._cut: CutSource = cut_source(open_source(source), connection.capabilities.algorithm)
        self._failure: Exception | None = None
        self.sent_bytes = 0

    def send(self, missing: tuple[Digest, ...]) -> int:
        """Send those of ``missing`` that the source has; gives their number.

        Raises:
            MGitError: As the service answers, or as the source's reader.
        """
        known = self._cut.locations
        wanted = {digest: known[digest] for digest in missing if digest in known}
        if wanted:
            try:
                self._connection.call(
                    self._connection.parameters.UploadChunks, self._messages(wanted), is_bounded=False
                )
            except MGitError:
                if self._failure is None:
                    raise
            if self._failure is not None:
                raise self._failure
        return len(wanted)

    def _messages(self, wanted: dict[Digest, Location]) -> Iterator[parameters_pb2.UploadChunksRequest]:
        """The chunks in pieces. gRPC would only log what their making raises: it ends them here and is kept."""
        for digest, place in wanted.items():
            try:
                view = memoryview(place.content.read(place.start, place.stop))
            except Exception as error:  # noqa: BLE001 - raised again in the thread that waits for the answer
                self._failure = error
                return
            yield parameters_pb2.UploadChunksRequest(
                digest=digest,
                size_bytes=len(view),
                item_bytes=place.number_bytes,
                data=bytes(view[:_PIECE_BYTES]),
            )
            for start in range(_PIECE_BYTES, len(view), _PIECE_BYTES):
                yield parameters_pb2.UploadChunksRequest(data=bytes(view[start : start + _PIECE_BYTES]))
            self.sent_bytes += len(view)
