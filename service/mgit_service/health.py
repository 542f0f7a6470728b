"""Whether store and graph are there and belong together: bound at the start, watched ever after."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    InternalError,
    MGitError,
    UnauthenticatedError,
    UnavailableError,
)
from mgit_core.ports.graph import StoreBinding
from mgit_service.logs import FIELDS

__all__ = ["ServiceState", "Watch", "WatchedStore"]

_LOG = logging.getLogger(__name__)

_HEALTHY_PAUSE_S = 2.0
_TROUBLE_PAUSE_S = 0.5
# Neo4j locks a user out for five seconds after three wrong passwords in a row.
_CREDENTIALS_PAUSE_S = 6.0
_CHECK_TIMEOUT_S = 3.0
# A first binding makes the schema of the graph.
_BIND_TIMEOUT_S = 60.0
_FIRST_CHECK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedStore:
    """The store as the watch sees it. Both functions may block.

    Attributes:
        id: UUID of the store.
        is_empty: Whether nothing was ever stored in it.
        check: Raises UnavailableError STORE_UNAVAILABLE if the store cannot be read and written.
    """

    id: str
    is_empty: Callable[[], bool]
    check: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How the parts of the service were at the last look.

    Attributes:
        problem: What does not answer, or None.
        store_id: Id of the store; empty while it is not bound to the graph.
        epoch: Epoch of the store at the last look that saw it.
        neo4j_version: Empty while Neo4j does not answer.
        neo4j_edition: Empty while Neo4j does not answer.
    """

    problem: MGitError | None
    store_id: str = ""
    epoch: int = 0
    neo4j_version: str = ""
    neo4j_edition: str = ""

    @property
    def is_healthy(self) -> bool:
        """Whether all parts answer."""
        return self.problem is None


class Watch:
    """Binds graph and store, and looks again and again whether both are there.

    The service starts without Neo4j, recovers by itself when it comes or comes back, and refuses work at
    once instead of after a driver's time-outs while it is gone.
    """

    def __init__(
        self,
        *,
        store: WatchedStore,
        binding: StoreBinding,
        threads: ThreadPoolExecutor,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        """Prepare a watch; nothing is looked at yet.

        Args:
            store: The store.
            binding: The tie between graph and store.
            threads: Where the store is looked at; its own, so that work does not make it look slow.
            pause: Waits between two looks; tests inject their own time.
        """
        self._store = store
        self._binding = binding
        self._threads = threads
        self._pause = pause or self._wait_for_wake
        self._is_bound = False
        self._was_slow = False
        self._has_looked = asyncio.Event()
        self._wake = asyncio.Event()
        self._state = ServiceState(
            problem=UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, "The service is starting; ask again.")
        )

    @property
    def state(self) -> ServiceState:
        """How it was at the last look."""
        return self._state

    async def require_healthy(self) -> None:
        """Let a call pass if all parts answer; waits for the first look if there was none yet.

        Raises:
            UnavailableError: NEO4J_UNAVAILABLE or STORE_UNAVAILABLE.
            FailedPreconditionError: STORE_MISMATCH or SCHEMA_TOO_NEW.
        """
        if not self._has_looked.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_looked.wait(), _FIRST_CHECK_TIMEOUT_S)
        problem = self._state.problem
        if isinstance(problem, UnauthenticatedError):
            # The caller's own credentials are right; it is the service that cannot log in.
            raise UnavailableError(
                ErrorReason.NEO4J_UNAVAILABLE,
                "The service cannot log in to Neo4j; whoever runs it must correct its user name or password.",
            )
        if problem is not None:
            raise type(problem)(problem.reason, problem.message, **problem.details)

    def look_soon(self) -> None:
        """Look at once, since a call met a part that does not answer."""
        self._wake.set()

    async def run(self, tell: Callable[[ServiceState], Awaitable[None]]) -> None:
        """Look until cancelled; ``tell`` hears of every look."""
        while True:
            state = await self.look()
            await tell(state)
            await self._pause(_pause_after(state))

    async def look(self) -> ServiceState:
        """Look once at store and graph, and bind them if they are not bound yet; never raises."""
        before = self._state
        try:
            after = await self._seen()
        except (TimeoutError, DeadlineExceededError):
            after = self._after_slow_look()
        except MGitError as error:
            after = self._with_problem(error)
        except Exception:  # noqa: BLE001 - the watch must outlive every fault; it is logged with traceback
            _LOG.exception("the watch over store and graph failed")
            after = self._with_problem(
                InternalError(ErrorReason.INTERNAL, "The look at store and graph failed; the log says why.")
            )
        else:
            self._was_slow = False
        self._state = after
        _log_change(before if self._has_looked.is_set() else None, after)
        self._has_looked.set()
        return after

    async def _seen(self) -> ServiceState:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            await loop.run_in_executor(self._threads, self._store.check)
        if not self._is_bound:
            async with asyncio.timeout(_BIND_TIMEOUT_S):
                is_empty = await loop.run_in_executor(self._threads, self._store.is_empty)
                await self._binding.bind(self._store.id, store_is_empty=is_empty)
            self._is_bound = True
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            epoch = await self._epoch()
            version, edition = self._state.neo4j_version, self._state.neo4j_edition
            if not version:
                version, edition = await self._binding.server()
        return ServiceState(
            problem=None,
            store_id=self._store.id,
            epoch=epoch,
            neo4j_version=version,
            neo4j_edition=edition,
        )

    def _after_slow_look(self) -> ServiceState:
        """A busy machine makes one look slow; two in a row mean that a part is gone."""
        if self._state.is_healthy and not self._was_slow:
            self._was_slow = True
            self.look_soon()
            return self._state
        return self._with_problem(
            UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, "Neo4j or the store does not answer in time.")
        )

    async def _epoch(self) -> int:
        try:
            return await self._binding.epoch()
        except MGitError as error:
            if error.reason is ErrorReason.STORE_MISMATCH:
                self._is_bound = False  # The graph was emptied or replaced; the next look binds anew.
            raise

    def _with_problem(self, problem: MGitError) -> ServiceState:
        return replace(
            self._state,
            problem=problem,
            store_id=self._store.id if self._is_bound else "",
            neo4j_version="",
            neo4j_edition="",
        )

    async def _wait_for_wake(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        self._wake.clear()


def _pause_after(state: ServiceState) -> float:
    if state.problem is None:
        return _HEALTHY_PAUSE_S
    if state.problem.reason is ErrorReason.NEO4J_CREDENTIALS_WRONG:
        return _CREDENTIALS_PAUSE_S
    return _TROUBLE_PAUSE_S


def _log_change(before: ServiceState | None, after: ServiceState) -> None:
    problem = after.problem
    if problem is None:
        if before is None or not before.is_healthy:
            fields = {"store_id": after.store_id, "epoch": after.epoch, "neo4j": after.neo4j_version}
            _LOG.info("serving", extra={FIELDS: fields})
    elif before is None or before.problem is None or before.problem.reason is not problem.reason:
        _LOG.warning("not serving: %s", problem.message, extra={FIELDS: {"reason": problem.reason.value}})
