"""The lineage graph in memory: what the one in Neo4j must do, said as simply as possible."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from mgit_core.ports.graph import Lineage
from mgit_storage.lineage.memory.binding import MemoryStoreBinding
from mgit_storage.lineage.memory.bugs import MemoryBugs
from mgit_storage.lineage.memory.cascades import MemoryCascades
from mgit_storage.lineage.memory.content import MemoryContentQueries
from mgit_storage.lineage.memory.edges import MemoryEdges
from mgit_storage.lineage.memory.exchange import MemoryExchange
from mgit_storage.lineage.memory.facts import MemoryFacts
from mgit_storage.lineage.memory.leases import MemoryLeases
from mgit_storage.lineage.memory.model_tests import MemoryModelTests
from mgit_storage.lineage.memory.models import MemoryModels
from mgit_storage.lineage.memory.sketches import MemorySketches
from mgit_storage.lineage.memory.staging import MemoryStagedModels
from mgit_storage.lineage.memory.state import MemoryGraph
from mgit_storage.lineage.memory.tags import MemoryTags
from mgit_storage.lineage.memory.traversal import MemoryTraversal

__all__ = ["open_memory_graph"]


def _now() -> datetime:
    return datetime.now(UTC)


def open_memory_graph(clock: Callable[[], datetime] = _now) -> Lineage:
    """An empty graph in memory, not bound yet.

    Args:
        clock: Gives the time, UTC, by which answers to requests and leases grow old.
    """
    graph = MemoryGraph(clock)
    return Lineage(
        models=MemoryModels(graph),
        tags=MemoryTags(graph),
        edges=MemoryEdges(graph),
        traversal=MemoryTraversal(graph),
        content=MemoryContentQueries(graph),
        binding=MemoryStoreBinding(graph),
        leases=MemoryLeases(graph),
        sketches=MemorySketches(graph),
        facts=MemoryFacts(graph),
        bugs=MemoryBugs(graph),
        model_tests=MemoryModelTests(graph),
        staging=MemoryStagedModels(graph),
        cascades=MemoryCascades(graph),
        exchange=MemoryExchange(graph),
    )
