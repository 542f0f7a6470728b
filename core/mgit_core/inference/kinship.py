"""How one model was made from another, as far as weights tell."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mgit_core.lineage import ModelSummary, Relation

__all__ = ["DEFAULT_CONFIDENCE", "Claim", "Kinship", "relation_of"]

DEFAULT_CONFIDENCE = 0.6
"""Below it nothing is claimed unless asked for: where two relatives are as near, the confidence is one half."""


class Kinship(enum.StrEnum):
    """What the weights of a child tell about its parent."""

    FINETUNED = "finetuned"
    ADAPTED = "adapted"
    PRUNED = "pruned"
    CAST = "cast"
    MERGED = "merged"
    HEAD_REPLACED = "head-replaced"
    DUPLICATE = "duplicate"


_RELATIONS = {
    Kinship.FINETUNED: Relation.FINETUNED,
    Kinship.ADAPTED: Relation.ADAPTED,
    Kinship.PRUNED: Relation.PRUNED,
    Kinship.CAST: Relation.CAST,
    Kinship.MERGED: Relation.MERGED,
    Kinship.HEAD_REPLACED: Relation.FINETUNED,
}


def relation_of(kinship: Kinship) -> Relation | None:
    """The relation of an edge for ``kinship``; None for a duplicate, which gets no edge."""
    return _RELATIONS.get(kinship)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That a model was made from another.

    Attributes:
        child: The newer model.
        parent: What it was made from.
        kinship: How.
        weight: Share of the parent in a merge, if it could be told.
        confidence: Between 0 and 1: about how often a claim like this is right.
        evidence: What it rests on, a short sentence each.
    """

    child: ModelSummary
    parent: ModelSummary
    kinship: Kinship
    weight: float | None = None
    confidence: float
    evidence: tuple[str, ...]

    @property
    def relation(self) -> Relation | None:
        """The relation of an edge for it."""
        return relation_of(self.kinship)
