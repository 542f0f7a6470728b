"""Edges after the fact."""

from __future__ import annotations

from mgit_core.lineage import ParentLink, ProvenanceEdge, Relation, RequestKey, RevisionEdge
from mgit_core.ports.graph import Lineage
from mgit_service.use_cases.references import (
    NO_UID,
    ParentRequest,
    change_resolved,
    resolve_parent,
    resolve_uid,
)

__all__ = ["link", "link_revision", "unlink", "unlink_revision"]

_NO_PAIR = (NO_UID, NO_UID)


async def link(
    lineage: Lineage, child: str, parent: ParentRequest, request: RequestKey | None
) -> ProvenanceEdge:
    """Add a provenance edge behind the other parents of ``child``.

    Raises:
        NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND or PARENT_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        AlreadyExistsError: EDGE_EXISTS.
        ConflictError: CYCLE or REQUEST_ID_REUSED.
    """

    async def resolved() -> tuple[str, ParentLink]:
        return await resolve_uid(lineage, child), await resolve_parent(lineage, parent)

    return await change_resolved(
        resolved(),
        lambda found: lineage.edges.link(found[0], found[1], request),
        nothing=(NO_UID, ParentLink(parent_uid=NO_UID)),
        request=request,
    )


async def unlink(
    lineage: Lineage, child: str, parent: str, relation: Relation | None, request: RequestKey | None
) -> list[ProvenanceEdge]:
    """Delete the edge of this relation, or all between the two; returns what was deleted.

    Raises:
        NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND or EDGE_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        ConflictError: REQUEST_ID_REUSED.
    """
    return await change_resolved(
        _pair(lineage, child, parent),
        lambda found: lineage.edges.unlink(found[0], found[1], relation, request),
        nothing=_NO_PAIR,
        request=request,
    )


async def link_revision(lineage: Lineage, newer: str, older: str, request: RequestKey | None) -> RevisionEdge:
    """Add a version edge.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        AlreadyExistsError: EDGE_EXISTS.
        ConflictError: CYCLE or REQUEST_ID_REUSED.
    """
    return await change_resolved(
        _pair(lineage, newer, older),
        lambda found: lineage.edges.link_revision(found[0], found[1], request),
        nothing=_NO_PAIR,
        request=request,
    )


async def unlink_revision(
    lineage: Lineage, newer: str, older: str, request: RequestKey | None
) -> RevisionEdge:
    """Delete a version edge.

    Raises:
        NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND or EDGE_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        ConflictError: REQUEST_ID_REUSED.
    """
    return await change_resolved(
        _pair(lineage, newer, older),
        lambda found: lineage.edges.unlink_revision(found[0], found[1], request),
        nothing=_NO_PAIR,
        request=request,
    )


async def _pair(lineage: Lineage, one: str, other: str) -> tuple[str, str]:
    return await resolve_uid(lineage, one), await resolve_uid(lineage, other)
