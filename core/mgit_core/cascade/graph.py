"""What a cascade is planned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mgit_core.creation import CreationRecord
from mgit_core.lineage import ModelSummary, ProvenanceEdge, RevisionEdge

__all__ = ["CascadeGraph", "NewParent", "PlanOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeGraph:
    """What a plan is made from.

    Attributes:
        old: The model that was updated.
        new: What follows it.
        models: Old, new, every descendant of these two by provenance, what was made in one call with a descendant and
            the descendants of that, and the parents of all of these and the bases of merges among them, by uid.
        edges: Every provenance edge that leads from one of these, parents and bases apart, by child and position.
        revisions: The version edges that lead from new to old, newest first.
        creations: Creation records by uid of the model, without source and environment; models without one lack.
        latest: The latest present version of the name of each parent, by name.
    """

    old: ModelSummary
    new: ModelSummary
    models: Mapping[str, ModelSummary]
    edges: tuple[ProvenanceEdge, ...]
    revisions: tuple[RevisionEdge, ...] = ()
    creations: Mapping[str, CreationRecord] = field(default_factory=dict)
    latest: Mapping[str, ModelSummary] = field(default_factory=dict)

    def parents_by_child(self) -> dict[str, list[ProvenanceEdge]]:
        """Edges of each child, by position."""
        found: dict[str, list[ProvenanceEdge]] = {}
        for edge in sorted(self.edges, key=lambda edge: edge.position):
            found.setdefault(edge.child_uid, []).append(edge)
        return found

    def children_by_parent(self) -> dict[str, set[str]]:
        """UIDs of the children of each parent."""
        found: dict[str, set[str]] = {}
        for edge in self.edges:
            found.setdefault(edge.parent_uid, set()).add(edge.child_uid)
        return found


@dataclass(frozen=True, slots=True)
class NewParent:
    """An edge of a new model: like an old edge, to a model that exists or to what replaces an affected one.

    Attributes:
        like: The old edge.
        uid: Of the model that exists, or of the affected one that is replaced.
        is_affected: Which of both.
    """

    like: ProvenanceEdge
    uid: str
    is_affected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan leaves out, and which parents it takes.

    Attributes:
        skip: Uids that are not made anew; the cascade goes on through them.
        stop_at: Uids that are not made anew, nor what lies behind them only.
        refresh_parents: Whether parents that this cascade does not make are replaced by the latest versions of their
            names, as the paper does; else they stay pinned. The latest version is its new model where the cascade makes
            that one anew too. A parent stays pinned where its latest version was made from the child, or is a parent
            already.
    """

    skip: frozenset[str] = frozenset()
    stop_at: frozenset[str] = frozenset()
    refresh_parents: bool = False
