"""What a service does by itself, while nobody waits for it: sketches of new models, merges of indexes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, MGitError, NotFoundError
from mgit_core.lineage import ParameterSet
from mgit_core.ports.graph import Page
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.maintenance.leasing import MERGE, held_lease
from mgit_service.use_cases.maintenance.sketching import keep_sketch

__all__ = ["Upkeep"]

_LOG = logging.getLogger(__name__)

_PAUSE_S = 60.0
_TROUBLE_PAUSE_S = 1.0
# Commits often come in a row, and each is followed by somebody who waits for the next.
_AFTER_COMMIT_S = 0.5
_SETS_AT_ONCE = 100
# What could not be sketched is damaged, most likely; whoever repairs it need not start the service anew.
_TRY_AGAIN_AFTER_S = 3_600.0


class Upkeep:
    """Works in turns: after commits, and once a minute. One for a service; several services share the work."""

    def __init__(
        self,
        backend: Backend,
        is_healthy: Callable[[], bool],
        *,
        pause: Callable[[float], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the upkeep; nothing is done yet.

        Args:
            backend: What is looked after.
            is_healthy: Whether store and graph answer; no turn begins while they do not.
            pause: Waits between two turns, at most so many seconds; tests inject their own.
            clock: Monotonic seconds.
        """
        self._backend = backend
        self._is_healthy = is_healthy
        self._pause = pause or self._wait_for_commit
        self._clock = clock
        self._epochs = EpochWatch(backend)
        self._failed: dict[Digest, float] = {}
        self._said: set[tuple[str, ErrorReason | None]] = set()

    async def run(self) -> None:
        """Work until cancelled; what is under way then ends within a second."""
        while True:
            is_healthy = self._is_healthy()
            if is_healthy:
                await self.turn()
            await self._pause(_PAUSE_S if is_healthy else _TROUBLE_PAUSE_S)

    async def turn(self) -> None:
        """Do once what there is to do. Never raises: what fails is logged once and tried at the next turn."""
        await self._try("follow the epoch", self._follow)
        await self._try("merge indexes", self._merge)
        await self._try("make sketches", self._sketch)

    async def _try(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except MGitError as error:
            self._say_once(what, error.reason, error.message)
        except Exception:  # noqa: BLE001 - the upkeep must outlive every fault; it is logged with traceback
            self._say_once(what, None, "an error that was not foreseen")
        else:
            self._said = {said for said in self._said if said[0] != what}

    def _say_once(self, what: str, reason: ErrorReason | None, message: str) -> None:
        if (what, reason) not in self._said:
            self._said.add((what, reason))
            _LOG.warning("the upkeep could not %s: %s", what, message, exc_info=reason is None)

    async def _follow(self) -> None:
        """Learn of a collection also when no upload asks."""
        await self._epochs.read()

    async def _merge(self) -> None:
        maintenance = self._backend.chunks.maintenance
        if not await in_thread(self._backend, maintenance.is_merge_due):
            return
        try:
            async with held_lease(self._backend, MERGE) as held:
                await held.in_thread(self._backend, maintenance.merge_indexes, held.check)
        except MGitError as error:
            # Whoever has the lease leaves the indexes in order, or the next turn does.
            if error.reason is not ErrorReason.MAINTENANCE_BUSY:
                raise

    async def _sketch(self) -> None:
        now = self._clock()
        self._failed = {digest: at for digest, at in self._failed.items() if now - at < _TRY_AGAIN_AFTER_S}
        after: str | None = None
        while True:
            page = await self._backend.lineage.sketches.lacking(Page(size=_SETS_AT_ONCE, after=after))
            for parameter_set in page:
                if parameter_set.digest not in self._failed:
                    await self._sketch_one(parameter_set)
            if len(page) < _SETS_AT_ONCE:
                return
            after = page[-1].digest.hex()

    async def _sketch_one(self, parameter_set: ParameterSet) -> None:
        try:
            await keep_sketch(self._backend, parameter_set)
        except (NotFoundError, CorruptError) as error:
            self._failed[parameter_set.digest] = self._clock()
            _LOG.warning("no sketch of parameter set %s: %s", parameter_set.digest.hex(), error.message)

    async def _wait_for_commit(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._backend.committed.wait(), seconds)
            await asyncio.sleep(_AFTER_COMMIT_S)
        self._backend.committed.clear()
