"""How two models stand to each other in the lineage."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mgit_core.lineage import Model, ModelState, ModelSummary, Relation

__all__ = ["MAX_COMMON_ANCESTORS", "Relationship", "RelationshipKind", "direct_relationship"]

MAX_COMMON_ANCESTORS = 10


class RelationshipKind(enum.StrEnum):
    """What the model that is compared to is to the one that is compared from, over provenance edges."""

    SAME = "same"
    CHILD = "child"
    PARENT = "parent"
    DESCENDANT = "descendant"
    """Over more than one edge."""
    ANCESTOR = "ancestor"
    RELATED = "related"
    """They have a common ancestor."""
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """How two models stand to each other.

    Attributes:
        kind: Over provenance edges.
        relation: That of the edge between a child and its parent, else None.
        is_newer_version: Whether a version edge leads from the model compared to to the one compared from.
        is_older_version: Whether one leads the other way.
        common_ancestors: Of related models, those that are no ancestors of another common one; 10 at most.
    """

    kind: RelationshipKind
    relation: Relation | None = None
    is_newer_version: bool = False
    is_older_version: bool = False
    common_ancestors: tuple[ModelSummary, ...] = ()


def direct_relationship(before: Model, after: Model) -> Relationship | None:
    """What the two models themselves say; None if that is nothing, and the graph has to be asked."""
    kind, relation = None, None
    if before.uid == after.uid:
        kind = RelationshipKind.SAME
    for edge in after.parents:
        if edge.parent_uid == before.uid and kind is None:
            kind, relation = RelationshipKind.CHILD, edge.relation
    for edge in before.parents:
        if edge.parent_uid == after.uid and kind is None:
            kind, relation = RelationshipKind.PARENT, edge.relation
    if kind is None and ModelState.STAGED in {before.state, after.state}:
        # A staged model is in no traversal.
        kind = RelationshipKind.UNRELATED
    if kind is None:
        return None
    return Relationship(
        kind=kind,
        relation=relation,
        is_newer_version=after.previous is not None and after.previous.uid == before.uid,
        is_older_version=before.previous is not None and before.previous.uid == after.uid,
    )
