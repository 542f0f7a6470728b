"""The tie between a graph in memory and a store."""

from __future__ import annotations

from mgit_core.ports.graph import Lease, StoreBinding, StoreState
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.leases import check_lease
from mgit_storage.lineage.memory.state import MemoryGraph

__all__ = ["MemoryStoreBinding"]


class MemoryStoreBinding(StoreBinding):
    """Binds at the first call, checks at every other."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def bind(self, store_id: str, *, store_is_empty: bool) -> None:
        if self._graph.store_id is None:
            checks.check_both_empty(graph_is_empty=True, store_is_empty=store_is_empty)
            self._graph.store_id = store_id
        checks.check_bound(self._graph.store_id, store_id)

    async def epoch(self) -> int:
        return (await self.state()).epoch

    async def state(self) -> StoreState:
        checks.check_still_bound(self._graph.store_id, self._graph.store_id)
        return StoreState(epoch=self._graph.epoch, condemned=self._graph.condemned)

    async def condemn(self, key: str | None, lease: Lease) -> StoreState:
        await self.state()
        check_lease(self._graph, lease)
        self._graph.condemned = key
        self._graph.epoch += 1
        return await self.state()

    async def server(self) -> tuple[str, str]:
        return "0", "memory"

    async def close(self) -> None:
        """Nothing is held."""
