"""What a walk asks of the lineage graph."""

from __future__ import annotations

from dataclasses import dataclass

from mgit_core.lineage import Relation
from mgit_core.walks.question import WalkDirection, WalkEdges

__all__ = ["WalkQuery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkQuery:
    """What a walk goes over.

    Attributes:
        uids: Where it starts; empty means all of the graph.
        direction: Which way it goes.
        edges: Which edges it follows.
        relations: Provenance edges to follow; empty means all.
        max_depth: Largest number of hops; None means no bound.
        enough: So many models, counted by hops, are enough; None means all.
    """

    uids: tuple[str, ...] = ()
    direction: WalkDirection = WalkDirection.DESCENDANTS
    edges: WalkEdges = WalkEdges.PROVENANCE
    relations: tuple[Relation, ...] = ()
    max_depth: int | None = None
    enough: int | None = None
