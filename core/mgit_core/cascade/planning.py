"""Plans a cascade over any DAG (paper, section 3; the released code's defects 12 and 13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mgit_core.creation import CreationRecord
from mgit_core.lineage import ModelSummary, ProvenanceEdge, RevisionEdge

__all__ = ["CascadeGraph", "PlanOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeGraph:
    """What a plan is made from.

    Attributes:
        old: The model that was updated.
        new: What follows it.
        models: Old, new, every descendant of old by provenance, and all their parents, by uid.
        edges: Every provenance edge that leads from one of the descendants, by child and position.
        revisions: Every version edge between models of these names.
        creations: Creation records by uid of the model; models without one lack.
        latest: For each name among ``models``, its latest present version.
    """

    old: ModelSummary
    new: ModelSummary
    models: Mapping[str, ModelSummary]
    edges: tuple[ProvenanceEdge, ...]
    revisions: tuple[RevisionEdge, ...] = ()
    creations: Mapping[str, CreationRecord] = field(default_factory=dict)
    latest: Mapping[str, ModelSummary] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan leaves out, and which parents it takes.

    Attributes:
        skip: Uids that are not made anew; the cascade goes on through them.
        stop_at: Uids that are not made anew, nor what lies behind them only.
        refresh_parents: Whether parents that this cascade does not make are replaced by the latest versions of their
            names, as the paper does; else they stay pinned.
    """

    skip: frozenset[str] = frozenset()
    stop_at: frozenset[str] = frozenset()
    refresh_parents: bool = False
