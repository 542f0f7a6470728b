"""What a draft asks of the graph and the store before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.lineage import ParentLink, Previous
from mgit_core.ports.graph import StoreState
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.drafting import DraftHeader
from mgit_service.use_cases.references import find_model, resolve_parent

__all__ = ["EpochWatch", "MissingChunks", "in_thread", "resolve_parents", "resolve_previous"]

_T = TypeVar("_T")


def in_thread(backend: Backend, work: Callable[..., _T], *arguments: object) -> asyncio.Future[_T]:
    """Run blocking ``work`` in the backend's threads."""
    return asyncio.get_running_loop().run_in_executor(backend.threads, work, *arguments)


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


class MissingChunks:
    """Asks the store part by part which chunks it lacks; names each at most once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._told: set[Digest] = set()

    async def find(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those of ``digests`` that are missing and were not named before, in order of first occurrence."""
        asked = [digest for digest in digests if digest not in self._told]
        if not asked:
            return []
        missing = await in_thread(self._backend, self._backend.chunks.find_missing, asked)
        self._told.update(missing)
        return missing


async def resolve_parents(backend: Backend, header: DraftHeader) -> tuple[ParentLink, ...]:
    """The parents that ``header`` names, pinned to models that exist.

    Raises:
        NotFoundError: PARENT_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE, INVALID_NAME, or INVALID_RELATION for one parent and relation
            twice.
    """
    links: list[ParentLink] = []
    for parent in header.parents:
        link = await resolve_parent(backend.lineage, parent)
        if any((other.parent_uid, other.relation) == (link.parent_uid, link.relation) for other in links):
            raise InvalidArgumentError(
                ErrorReason.INVALID_RELATION,
                f"Parent {parent.reference} was named twice with relation {parent.relation}.",
                parent=parent.reference,
            )
        links.append(link)
    return tuple(links)


async def resolve_previous(backend: Backend, header: DraftHeader) -> Previous:
    """The version edge that ``header`` asks for.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    if header.previous is None:
        return Previous(automatic=header.automatic_previous)
    model = await find_model(backend.lineage, header.previous)
    return Previous(uid=model.uid, automatic=False)
