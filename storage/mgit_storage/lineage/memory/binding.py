"""The tie between a graph in memory and a store."""

from __future__ import annotations

from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.ports.graph import StoreBinding
from mgit_storage.lineage import checks
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
        if self._graph.store_id is None:
            raise FailedPreconditionError(
                ErrorReason.STORE_MISMATCH, "The graph does not belong to this store any more."
            )
        return self._graph.epoch

    async def server(self) -> tuple[str, str]:
        return "0", "memory"

    async def close(self) -> None:
        """Nothing is held."""
