"""The epoch of the store, as the graph tells it, and what a process must look at anew when it moves."""

from __future__ import annotations

from mgit_core.errors import NotFoundError
from mgit_core.ports.graph import StoreState
from mgit_service.use_cases.backend import Backend, in_thread

__all__ = ["EpochWatch"]


class EpochWatch:
    """Reads the store's epoch, and looks at the store anew when a collection moved it.

    Any number may be made of one backend: what they saw is kept there. Whoever moves the epoch reads it next.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seen = backend.seen

    async def read(self) -> int:
        """The epoch. What the store says is there afterwards has been there since this epoch began.

        Copies that are condemned in this epoch do not count as there.

        Raises:
            FailedPreconditionError: STORE_MISMATCH.
            NotFoundError: OBJECT_NOT_FOUND, if the list of condemned copies is gone.
            CorruptError: MANIFEST_CORRUPT, if it cannot be read.
        """
        state = await self._backend.lineage.binding.state()
        if state == self._seen.state:
            return state.epoch
        # One at a time, and each with what the graph says by then: an older word must not come last.
        async with self._seen.lock:
            return (await self._follow()).epoch

    async def _follow(self) -> StoreState:
        """Take over what the graph says now; the list that it names may go while it is read."""
        binding = self._backend.lineage.binding
        state = await binding.state()
        while state != self._seen.state:
            try:
                await in_thread(self._backend, self._look_anew, state)
            except NotFoundError:
                later = await binding.state()
                if later == state:
                    raise
                state = later
            else:
                self._seen.state = state
        return state

    def _look_anew(self, state: StoreState) -> None:
        # First the index: copies that were dropped must be gone from it when they are not condemned any more.
        self._backend.chunks.refresh()
        if state.condemned != self._seen.condemned:
            self._backend.chunks.maintenance.set_condemned(state.condemned)
            self._seen.condemned = state.condemned
