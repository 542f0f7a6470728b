"""A tie to a graph that fails on demand, for tests of what the service does then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mgit_core.errors import MGitError
from mgit_core.ports.graph import Lease, StoreBinding, StoreState
from mgit_service.health import Watch, WatchedStore

STORE_ID = "00000000-0000-4000-8000-000000000001"


class FaultyBinding(StoreBinding):
    """Raises ``failure`` while there is one; ``calls`` are the names of what was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.calls: list[str] = []
        self.given_empty: bool | None = None

    async def bind(self, store_id: str, *, store_is_empty: bool) -> None:
        assert store_id == STORE_ID
        self.given_empty = store_is_empty
        self._answer("bind")

    async def epoch(self) -> int:
        self._answer("epoch")
        return 7

    async def state(self) -> StoreState:
        self._answer("state")
        return StoreState(epoch=7, condemned=None)

    async def condemn(self, key: str | None, lease: Lease) -> StoreState:
        assert lease.work
        self._answer("condemn")
        return StoreState(epoch=8, condemned=key)

    async def server(self) -> tuple[str, str]:
        self._answer("server")
        return "5.26.0", "community"

    async def close(self) -> None:
        self._answer("close")

    def _answer(self, name: str) -> None:
        self.calls.append(name)
        if self.failure is not None:
            raise self.failure


class FaultyStore:
    """A store that is empty and there, until ``failure`` is set."""

    def __init__(self) -> None:
        self.failure: MGitError | None = None

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def watched(self) -> WatchedStore:
        return WatchedStore(id=STORE_ID, is_empty=lambda: True, check=self.check)


def make_watch(
    binding: FaultyBinding, threads: ThreadPoolExecutor, store: FaultyStore | None = None
) -> Watch:
    return Watch(store=(store or FaultyStore()).watched(), binding=binding, threads=threads)
