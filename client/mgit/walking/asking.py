"""Walks by the service: the question, and its answers read ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator

from mgit.connection import Answers, Connection
from mgit_proto.v1 import lineage_pb2 as pb

__all__ = ["read_ahead"]


def read_ahead(connection: Connection, request: pb.WalkModelsRequest) -> Generator[pb.WalkModelsResponse]:
    """The parts of a walk as they arrive, each taken from the service at once, however long the caller works on one.

    So a walk over which a program works for hours asks no more of the service than one that is only listed; a model
    takes some hundred bytes until its turn.

    Raises:
        MGitError: As the service answers.
    """
    parts: queue.SimpleQueue[pb.WalkModelsResponse | BaseException | None] = queue.SimpleQueue()
    with connection.stream(connection.lineage.WalkModels, request, is_bounded=True) as answers:
        threading.Thread(target=_take_all, args=(answers, parts), name="mgit walk", daemon=True).start()
        while (part := parts.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part


def _take_all(
    answers: Answers, parts: queue.SimpleQueue[pb.WalkModelsResponse | BaseException | None]
) -> None:
    try:
        for answer in answers:
            parts.put(answer)
    except BaseException as error:  # noqa: BLE001 - raised where the walk is read
        parts.put(error)
    else:
        parts.put(None)
