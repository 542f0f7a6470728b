"""One color for each kind of edge and each state of a model, the same in every picture."""

from __future__ import annotations

from mgit.values import Edge, ModelState, ModelSummary, Relation

__all__ = [
    "BUG_COLOR",
    "FAILED_COLOR",
    "PASSED_COLOR",
    "RELATION_COLORS",
    "VERSION_COLOR",
    "edge_label",
    "model_label",
]

# Each stands out against white and against near black.
RELATION_COLORS: dict[Relation, str] = {
    Relation.FINETUNED: "#3b7ddd",
    Relation.ADAPTED: "#12a594",
    Relation.PRUNED: "#d9730d",
    Relation.QUANTIZED: "#9065d8",
    Relation.DISTILLED: "#d6467e",
    Relation.MERGED: "#3f9f4b",
    Relation.AGGREGATED: "#9a8b0e",
    Relation.CAST: "#5f8296",
    Relation.DERIVED: "#a0714a",
}
VERSION_COLOR = "#8b8f97"
PASSED_COLOR = "#2f9e44"
FAILED_COLOR = "#e03131"
BUG_COLOR = "#c2255c"


def model_label(model: ModelSummary) -> str:
    """The reference, and whether the model was removed."""
    return model.ref if model.state is ModelState.PRESENT else f"{model.ref} (removed)"


def edge_label(edge: Edge) -> str:
    """The relation, with weight and confidence if the edge has them."""
    weight = "" if edge.weight is None else f" {edge.weight:g}"
    sure = "" if edge.confidence is None else f" ({edge.confidence:.0%} sure)"
    return f"{edge.relation.value}{weight}{sure}"
