"""Leases on steps of an update: taken, held while the work lasts, and given back."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Self, TypeVar

from mgit.connection import Connection, Patience
from mgit_core.cascade.values import StepLease
from mgit_core.errors import (
    ConflictError,
    DeadlineExceededError,
    ErrorReason,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
    UnavailableError,
)
from mgit_core.ports.cascades import StepReport
from mgit_proto.v1 import cascade_pb2 as pb

__all__ = ["DEFAULT_LEASE_S", "HeldLease", "is_lost", "outlast", "report_step", "take_step", "worker_name"]

T = TypeVar("T")

DEFAULT_LEASE_S = 60.0
"""Long beside a renewal that a busy machine delays, short beside the patience of who waits for a dead worker's step."""
_SHORTEST_LEASE_S = 1.0
_LONGEST_LEASE_S = 3600.0
# Three renewals in a lease: two may fail before it is lost.
_RENEWALS = 3
_RETRY_S = 0.5
_MOST_ERROR = 4_000
_LOST = frozenset({ErrorReason.STEP_LEASE_LOST, ErrorReason.CASCADE_ENDED, ErrorReason.CASCADE_NOT_FOUND})


def worker_name(number: int = 0) -> str:
    """What people read of a worker: machine, process, and its number in the process."""
    return f"{socket.gethostname()[:150]}:{os.getpid()}:{number}"


def outlast(connection: Connection, call: Callable[[], T]) -> T:
    """What ``call`` gives; a service that is away is waited for, half a minute long, and the call repeated.

    Raises:
        MGitError: As the service answers, or SERVICE_UNAVAILABLE.
    """
    return Patience(connection, has_answered=True).outlast(call)


def is_lost(error: Exception) -> bool:
    """Whether ``error`` says that the step is another's now, or nobody's any more."""
    return isinstance(error, ConflictError | NotFoundError) and error.reason in _LOST


def take_step(connection: Connection, cascade_id: str, worker: str, lease_s: float) -> pb.LeaseStepResponse:
    """The next step of a cascade, if there is one now, and the cascade's state.

    Raises:
        InvalidArgumentError: INVALID_CASCADE, for a lease that is too short or too long.
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED.
    """
    if not _SHORTEST_LEASE_S <= lease_s <= _LONGEST_LEASE_S:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CASCADE,
            f"A step is leased for {_SHORTEST_LEASE_S:g} to {_LONGEST_LEASE_S:g} s; found {lease_s:g}.",
        )
    request = pb.LeaseStepRequest(cascade_id=cascade_id, worker=worker, lease_s=lease_s)
    return outlast(connection, lambda: connection.call(connection.cascades.LeaseStep, request))


def report_step(connection: Connection, lease: StepLease, report: StepReport) -> pb.ReportStepResponse:
    """Leave a step.

    Raises:
        ConflictError: STEP_LEASE_LOST.
    """
    request = pb.ReportStepRequest(
        cascade_id=lease.cascade_id,
        step=lease.step,
        attempt=lease.attempt,
        error=_fitted(report.error),
        is_final=report.is_final,
        failed_tests=report.failed_tests,
        released=report.is_released,
    )
    return outlast(connection, lambda: connection.call(connection.cascades.ReportStep, request))


def _fitted(error: str) -> str:
    """``error`` with its middle cut out if it is too long: the beginning says what, the end why."""
    if len(error) <= _MOST_ERROR:
        return error
    cut = "\n… (cut) …\n"
    half = (_MOST_ERROR - len(cut)) // 2
    return f"{error[:half]}{cut}{error[-half:]}"


class HeldLease:
    """A lease that is renewed until its context is left. Thread-safe.

    ``on_lost`` is called at most once, in a thread of its own, when the service says that the step is another's: what is
    made then cannot be kept.
    """

    def __init__(
        self, connection: Connection, lease: StepLease, lease_s: float, on_lost: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._request = pb.RenewStepRequest(
            cascade_id=lease.cascade_id, step=lease.step, attempt=lease.attempt, lease_s=lease_s
        )
        self._on_lost = on_lost
        self._over = threading.Event()
        self._is_lost = False
        self._thread = threading.Thread(target=self._keep, name=f"mgit-lease-{lease.step}", daemon=True)

    @property
    def is_lost(self) -> bool:
        """Whether the service said that the step is another's."""
        return self._is_lost

    def _keep(self) -> None:
        usual_s = pause_s = self._request.lease_s / _RENEWALS
        while not self._over.wait(pause_s):
            try:
                self._connection.call(self._connection.cascades.RenewStep, self._request)
                pause_s = usual_s
            except (UnavailableError, DeadlineExceededError):
                pause_s = min(_RETRY_S, usual_s)  # The step is kept for as long as nobody else has taken it.
            except MGitError:
                self._is_lost = True
                self._on_lost()
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
