"""What a diff of a repository gives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mgit.values import ModelSummary
from mgit_core.diff.relationship import Relationship, RelationshipKind
from mgit_core.diff.values import (
    DiffState,
    FlowDiff,
    LayerDiff,
    ParameterChange,
    ParameterDiff,
    ParameterSide,
    StructuralDiff,
)

__all__ = [
    "DiffState",
    "FlowDiff",
    "LayerDiff",
    "ModelDiff",
    "ParameterChange",
    "ParameterDiff",
    "ParameterSide",
    "Relationship",
    "RelationshipKind",
    "StructuralDiff",
]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelDiff:
    """What differs between two models. Falsy if nothing does.

    Files beside the parameters, such as a tokenizer, are not compared.

    Attributes:
        before: The model that is compared from.
        after: The model that is compared to.
        relationship: How they stand to each other in the lineage.
        structural: Layers and data flow that differ.
        contextual: Parameters that differ or were renamed, in the order of before, added ones last; all of them where
            equal ones were asked for.
        equal_parameters: Number of parameters with equal bits, renamed ones included.
    """

    before: ModelSummary
    after: ModelSummary
    relationship: Relationship
    structural: StructuralDiff
    contextual: tuple[ParameterDiff, ...]
    equal_parameters: int

    def __bool__(self) -> bool:
        return bool(self.structural) or any(self.contextual)

    def __repr__(self) -> str:
        refs = f"{self.before.ref} -> {self.after.ref}"
        if not self:
            return f"<diff {refs}: equal>"
        return f"<diff {refs}: {', '.join(self.counts()) or 'layers renamed'}>"

    def counts(self) -> list[str]:
        """How many layers, edges of data flow and parameters are in which state, for a person."""
        structural = self.structural
        layers = Counter(layer.state for layer in structural.layers)
        flow = Counter(edge.state for edge in structural.flow)
        parameters = Counter(each.state for each in self.contextual)
        told: list[str] = []
        for counter, word in ((layers, "layer"), (flow, "flow edge"), (parameters, "parameter")):
            told += [
                f"{counter[state]:,} {word}{'' if counter[state] == 1 else 's'} {state}"
                for state in (DiffState.CHANGED, DiffState.ADDED, DiffState.REMOVED)
                if counter[state]
            ]
        return told
