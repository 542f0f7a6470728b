"""Holding the maintenance lease while a work runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mgit_core.errors import ConflictError, ErrorReason, MGitError
from mgit_core.ports.graph import Lease, Leases
from mgit_service.use_cases.backend import Backend, finish_surely, in_thread

__all__ = ["LEASE_SECONDS", "MERGE", "HeldLease", "held_lease"]

_T = TypeVar("_T")

_LOG = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
MERGE = "merge"
"""What the upkeep holds the lease for; everybody else waits for it."""
# A holder renews after this part of its time, so that two renewals may fail before it has to stop.
_RENEW_AFTER = 1 / 6
# With less than this part of its time left a holder takes nothing more away.
_LEFT_TO_STOP = 1 / 3
_RELEASE_TIMEOUT_S = 5.0
_WAIT_FOR_MERGE_S = 30.0
_PAUSE_S = 0.1


@dataclass(slots=True)
class HeldLease:
    """A lease that is renewed in the background.

    Attributes:
        lease: What the graph gave.
    """

    lease: Lease
    _clock: Callable[[], float]
    _renewed_at: float
    _is_lost: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Return if there is time left to take one more step; callable from any thread.

        Raises:
            ConflictError: LEASE_LOST, if another has the lease, or less than a third of its seconds is left.
        """
        with self._lock:
            left = self._renewed_at + self.lease.seconds - self._clock()
            is_lost = self._is_lost
        if is_lost or left < self.lease.seconds * _LEFT_TO_STOP:
            raise ConflictError(
                ErrorReason.LEASE_LOST,
                f"The lease for {self.lease.work} could not be renewed in time; nothing more is done without "
                "it. Start again.",
                work=self.lease.work,
            )

    def lose(self) -> None:
        """Let every later check fail."""
        with self._lock:
            self._is_lost = True

    async def in_thread(self, backend: Backend, work: Callable[..., _T], *arguments: object) -> _T:
        """Run blocking ``work`` in the backend's threads, and never leave it behind.

        When cancelled, every later check fails, and the thread is waited for: it must not go on when the lease
        has passed to another.
        """
        future = in_thread(backend, work, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.lose()
            await asyncio.wait([future])
            raise

    async def renew(self, leases: Leases) -> None:
        """Let the seconds begin anew.

        Raises:
            ConflictError: LEASE_LOST.
        """
        asked_at = self._clock()
        await leases.renew(self.lease)
        with self._lock:
            self._renewed_at = asked_at


@contextlib.asynccontextmanager
async def held_lease(
    backend: Backend,
    work: str,
    *,
    seconds: float = LEASE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[HeldLease]:
    """Hold the maintenance lease for the time of a ``with`` block, and renew it meanwhile.

    The block goes on when the lease is lost; ``check`` of what it is given tells.

    Args:
        backend: Whose lease.
        work: What for: ``gc``, ``repack``, ``merge`` or ``fsck``.
        seconds: How long the lease lasts without a renewal.
        clock: Monotonic seconds; tests inject their own.

    Raises:
        ConflictError: MAINTENANCE_BUSY.
    """
    leases = backend.lineage.leases
    held = await _acquired(leases, work, seconds, clock)
    renewing = asyncio.create_task(_renew(leases, held))
    try:
        yield held
    finally:
        held.lose()
        # A caller who leaves at this very moment must not keep the lease from being given back.
        await finish_surely(_end(leases, held, renewing))


async def _end(leases: Leases, held: HeldLease, renewing: asyncio.Task[None]) -> None:
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)
    await _release(leases, held.lease)


async def _acquired(leases: Leases, work: str, seconds: float, clock: Callable[[], float]) -> HeldLease:
    """The lease, as soon as no merge has it: nobody asked for that work, and it is short."""
    give_up_at = clock() + _WAIT_FOR_MERGE_S
    while True:
        asked_at = clock()
        try:
            return HeldLease(await _taken(leases, work, seconds), clock, asked_at)
        except ConflictError as error:
            is_merge = error.reason is ErrorReason.MAINTENANCE_BUSY and error.details.get("work") == MERGE
            if work == MERGE or not is_merge or clock() > give_up_at:
                raise
        await asyncio.sleep(_PAUSE_S)


async def _taken(leases: Leases, work: str, seconds: float) -> Lease:
    """The lease; given back if this is cancelled while the graph gives it."""
    taking = asyncio.ensure_future(leases.acquire(work, seconds))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        with contextlib.suppress(MGitError):  # What was not given need not be given back.
            await _release(leases, await taking)
        raise


async def _renew(leases: Leases, held: HeldLease) -> None:
    """Renew again and again until the lease is lost; what fails is tried again at the next turn."""
    while True:
        await asyncio.sleep(held.lease.seconds * _RENEW_AFTER)
        try:
            async with asyncio.timeout(held.lease.seconds * _LEFT_TO_STOP):
                await held.renew(leases)
        except ConflictError as error:
            _LOG.warning("%s", error.message)
            held.lose()
            return
        except (MGitError, TimeoutError) as error:
            _LOG.warning("the lease for %s could not be renewed: %s", held.lease.work, error)


async def _release(leases: Leases, lease: Lease) -> None:
    """Give the lease back, also when the work was cancelled; if that fails it expires by itself."""
    try:
        async with asyncio.timeout(_RELEASE_TIMEOUT_S):
            await leases.release(lease)
    except (MGitError, TimeoutError) as error:
        _LOG.warning("the lease for %s could not be given back: %s", lease.work, error)
