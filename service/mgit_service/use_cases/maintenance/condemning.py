"""Taking copies away so that every service and every upload hears of it in time."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.maintenance import Copy
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.maintenance.leasing import HeldLease
from mgit_service.use_cases.maintenance.reporting import Teller

__all__ = ["Condemned"]

_LOG = logging.getLogger(__name__)

_COPIES_AT_ONCE = 100_000


class Condemned:
    """The list of condemned copies, in the graph and in this process."""

    def __init__(self, backend: Backend, held: HeldLease) -> None:
        self._backend = backend
        self._held = held
        self._maintenance = backend.chunks.maintenance
        self._epoch = EpochWatch(backend)  # It tells this process's store what the graph says.

    async def begin(self, copies: Sequence[Copy]) -> None:
        """From its end on no commit that was drafted before succeeds, and no draft counts these copies."""
        key = await self._held.in_thread(self._backend, self._maintenance.condemn, copies)
        self._held.check()
        await self._backend.lineage.binding.condemn(key, self._held.lease)
        await self._epoch.read()

    async def recall(self, key: str) -> list[Copy]:
        """The copies of a list that the graph names already; none if the list cannot be read."""
        try:
            await self._epoch.read()
            return await self._held.in_thread(self._backend, self._maintenance.set_condemned, key)
        except (NotFoundError, CorruptError) as error:
            if error.reason is ErrorReason.UNKNOWN_FORMAT_VERSION:
                raise
            _LOG.warning("the list of condemned copies of an earlier collection is lost: %s", error.message)
            return []

    async def drop(self, copies: Sequence[Copy], report: Teller | None = None) -> int:
        """Take them away; gives the bytes by which packs and indexes shrank."""
        freed = 0
        for start in range(0, len(copies), _COPIES_AT_ONCE):
            if report is not None:
                report.tell("deleting", start, len(copies))
            part = copies[start : start + _COPIES_AT_ONCE]
            dropped = await self._held.in_thread(
                self._backend, self._maintenance.drop, part, self._held.check
            )
            freed += dropped.bytes_freed
        return freed

    async def end(self) -> None:
        """Nothing is condemned any more."""
        self._held.check()
        await self._backend.lineage.binding.condemn(None, self._held.lease)
        await self._epoch.read()
