"""What every use case works with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mgit_core.ports.chunks import ChunkStore, ParameterStore
from mgit_core.ports.graph import Lineage

__all__ = ["Backend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """An opened store and its lineage, chosen by the composition root.

    Attributes:
        store_id: UUID of the store.
        chunks: Its chunks.
        parameters: Its manifests and file lists.
        lineage: The graph.
        threads: Where blocking work runs: the ports to stored content block, the event loop must not.
    """

    store_id: str
    chunks: ChunkStore
    parameters: ParameterStore
    lineage: Lineage
    threads: ThreadPoolExecutor
