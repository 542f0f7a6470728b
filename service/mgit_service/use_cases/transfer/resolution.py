"""What a draft asks of the graph and the store before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink, Previous
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.references import find_model, resolve_parent

__all__ = ["MissingChunks", "resolve_parents", "resolve_previous"]


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
