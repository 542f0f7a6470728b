"""Says of chunks that are not there whether they were left at a remote, and how to get them.

A service cannot: asked for a chunk by digest it does not know for which model. Here it is asked only after a miss, so
that reading what is there costs nothing more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable

from mgit.connection import Connection
from mgit_core.errors import ErrorReason, FailedPreconditionError, MGitError, NotFoundError
from mgit_proto.v1 import lineage_pb2

__all__ = ["promises_told"]


@contextlib.contextmanager
def promises_told(connection: Connection, uids: Iterable[str]) -> Generator[None]:
    """Reads chunks of some models; a miss of a promised model becomes an error that names the remote.

    Raises:
        FailedPreconditionError: PARAMETERS_PROMISED.
    """
    try:
        yield
    except NotFoundError as error:
        if error.reason is not ErrorReason.CHUNK_NOT_FOUND:
            raise
        for uid in dict.fromkeys(uids):
            _tell_if_promised(connection, uid, error)
        raise


def _tell_if_promised(connection: Connection, uid: str, error: NotFoundError) -> None:
    request = lineage_pb2.GetModelRequest(model=f"@{uid}")
    try:
        model = connection.call(connection.lineage.GetModel, request).model
    except MGitError:
        return  # The miss is what the reader has to know.
    if not model.HasField("promised_by"):
        return
    ref = f"{model.summary.name}@{model.summary.version}"
    raise FailedPreconditionError(
        ErrorReason.PARAMETERS_PROMISED,
        f"Parameters of {ref} were left at remote {model.promised_by.remote!r}; fetch them with 'mgit pull {ref}'.",
        model=ref,
        remote=model.promised_by.remote,
        store_id=model.promised_by.store_id,
    ) from error
