"""What every use case works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from mgit_core.ports.chunks import ChunkStore, ParameterStore
from mgit_core.ports.graph import Lineage, StoreState

__all__ = ["Backend", "SeenEpoch", "finish_surely", "in_thread"]

_T = TypeVar("_T")


@dataclass(slots=True, kw_only=True)
class SeenEpoch:
    """What the graph said of the store that this process has taken over.

    Attributes:
        state: The last state; None before the first look.
        condemned: Key of the list whose copies do not count as there.
        lock: Held while a new state is taken over.
    """

    state: StoreState | None = None
    condemned: str | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """An opened store and its lineage, chosen by the composition root.

    Attributes:
        store_id: UUID of the store.
        chunks: Its chunks.
        parameters: Its manifests, file lists and layer graphs.
        lineage: The graph.
        window_bytes: Raw bytes of a tensor that are gathered before it is judged what it was made from.
        threads: Where blocking work runs: the ports to stored content block, the event loop must not.
        seen: Written by ``epochs.EpochWatch`` only.
        committed: Set whenever a model was committed; the upkeep clears it.
    """

    store_id: str
    chunks: ChunkStore
    parameters: ParameterStore
    lineage: Lineage
    threads: ThreadPoolExecutor
    window_bytes: int = 64 << 20
    seen: SeenEpoch = field(default_factory=SeenEpoch)
    committed: asyncio.Event = field(default_factory=asyncio.Event)


def in_thread(backend: Backend, work: Callable[..., _T], *arguments: object) -> asyncio.Future[_T]:
    """Run blocking ``work`` in the backend's threads."""
    return asyncio.get_running_loop().run_in_executor(backend.threads, work, *arguments)


async def finish_surely(work: Awaitable[_T]) -> _T:
    """Wait for ``work`` to its end, also when cancelled; the cancellation is passed on then."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
