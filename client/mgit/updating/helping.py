"""Helps with updates that others started, until nothing is left to be done, or for ever."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mgit.connection import Connection
from mgit.updating.leases import outlast
from mgit.updating.local import MOST_WORKERS, LocalWorkers
from mgit.updating.steps import WorkOptions
from mgit.updating.values import UpdateListener
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import cascade_pb2 as pb

__all__ = ["Help", "help_with"]

_PAUSE_S = 2.0
_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """What a helper works at.

    Attributes:
        cascade_ids: Which cascades; None means all that run, also those that are started later.
        once: Whether to end when there is no step now.
        workers: How many steps at a time.
        work: How they are worked at.
        on_step: Told whenever a step was left.
    """

    cascade_ids: Sequence[str] | None = None
    once: bool = False
    workers: int = 1
    work: WorkOptions = field(default_factory=WorkOptions)
    on_step: UpdateListener | None = None

    def __post_init__(self) -> None:
        """Refuses a number of workers that no machine has.

        Raises:
            InvalidArgumentError: INVALID_CASCADE.
        """
        if not 1 <= self.workers <= MOST_WORKERS:
            raise InvalidArgumentError(
                ErrorReason.INVALID_CASCADE,
                f"From 1 to {MOST_WORKERS} workers are at an update; found {self.workers!r}.",
            )


def help_with(connection: Connection, wanted: Help) -> int:
    """Work at cascades; gives how many steps were left.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND, for one that was named.
        MGitError: As the service answers.
    """
    count = 0
    while True:
        before = count
        running = list(_running(connection, wanted.cascade_ids))
        for cascade_id in running:
            workers = LocalWorkers(connection, cascade_id, wanted.workers, wanted.work)
            # With several cascades none holds up the others: each is left when it has no step now.
            with contextlib.closing(workers.work(once=True)) as left:
                for progress in left:
                    count += 1
                    if wanted.on_step is not None:
                        wanted.on_step(progress)
        is_idle = count == before
        if is_idle and (wanted.once or (wanted.cascade_ids is not None and not running)):
            return count
        if is_idle:
            time.sleep(_PAUSE_S)


def _running(connection: Connection, cascade_ids: Sequence[str] | None) -> Iterator[str]:
    """Ids of the cascades that have steps left; of those that were named, or of all."""
    if cascade_ids is not None:
        for cascade_id in cascade_ids:
            request = pb.GetCascadeRequest(id=cascade_id)
            answer = outlast(
                connection,
                lambda: connection.call(connection.cascades.GetCascade, request),  # noqa: B023 - called at once
            )
            if answer.cascade.state == pb.CASCADE_STATE_RUNNING:
                yield cascade_id
        return
    token = ""
    while True:
        page = pb.ListCascadesRequest(page_size=_PAGE_SIZE, page_token=token)
        listed = outlast(
            connection,
            lambda: connection.call(connection.cascades.ListCascades, page),  # noqa: B023 - called at once
        )
        yield from (each.id for each in listed.cascades if each.state == pb.CASCADE_STATE_RUNNING)
        token = listed.next_page_token
        if not token:
            return
