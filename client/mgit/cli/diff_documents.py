"""Diffs as JSON: the keys that ``--output json`` promises."""

from __future__ import annotations

from collections.abc import Mapping

from mgit.cli.documents import document_of_summary
from mgit.diffing.values import (
    FlowDiff,
    LayerDiff,
    ModelDiff,
    ParameterChange,
    ParameterDiff,
    ParameterSide,
    Relationship,
    StructuralDiff,
)
from mgit_core.layers.graph import Layer

__all__ = ["document_of_diff", "is_equal"]

Document = dict[str, object]


def is_equal(diff: ModelDiff, *, structural: bool, contextual: bool) -> bool:
    """Whether nothing differs in the parts that are told."""
    return not ((structural and diff.structural) or (contextual and any(diff.contextual)))


def document_of_diff(diff: ModelDiff, *, structural: bool, contextual: bool) -> Document:
    """A diff; the part that is not told is null."""
    return {
        "before": document_of_summary(diff.before),
        "after": document_of_summary(diff.after),
        "relationship": _relationship(diff.relationship),
        "equal": is_equal(diff, structural=structural, contextual=contextual),
        "equal_parameters": diff.equal_parameters,
        "structural": _structural(diff.structural) if structural else None,
        "contextual": [_parameter(each) for each in diff.contextual] if contextual else None,
    }


def _relationship(relationship: Relationship) -> Document:
    return {
        "kind": relationship.kind.value,
        "relation": None if relationship.relation is None else relationship.relation.value,
        "newer_version": relationship.is_newer_version,
        "older_version": relationship.is_older_version,
        "common_ancestors": [model.ref for model in relationship.common_ancestors],
    }


def _structural(diff: StructuralDiff) -> Document:
    return {
        "equal": not diff,
        "items": diff.items,
        "least_items": diff.least_items,
        "minimal": diff.is_minimal,
        "equal_layers": diff.equal_layers,
        "equal_flow": diff.equal_flow,
        "source": diff.source.value,
        "note": diff.note,
        "layers": [_layer(layer) for layer in diff.layers],
        "flow": [_flow(edge) for edge in diff.flow],
    }


def _layer(layer: LayerDiff) -> Document:
    return {
        "path": layer.path,
        "state": layer.state.value,
        "renamed": layer.is_renamed,
        "before": None if layer.before is None else _layer_side(layer.before),
        "after": None if layer.after is None else _layer_side(layer.after),
    }


def _layer_side(layer: Layer) -> Document:
    attributes: Mapping[str, object] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in layer.attributes.items()
    }
    return {
        "path": layer.path,
        "kind": layer.kind,
        "attributes": attributes,
        "parameters": list(layer.parameters),
        "repeats": layer.repeats,
    }


def _flow(edge: FlowDiff) -> Document:
    return {"giver": edge.giver, "taker": edge.taker, "state": edge.state.value}


def _parameter(diff: ParameterDiff) -> Document:
    return {
        "name": diff.name,
        "state": diff.state.value,
        "renamed": diff.is_renamed,
        "cast": diff.is_cast,
        "reshaped": diff.is_reshaped,
        "before": None if diff.before is None else _parameter_side(diff.before),
        "after": None if diff.after is None else _parameter_side(diff.after),
        "change": None if diff.change is None else _change(diff.change),
    }


def _parameter_side(side: ParameterSide) -> Document:
    return {
        "name": side.name,
        "dtype": side.spec.dtype,
        "shape": list(side.spec.shape),
        "digest": side.digest.hex(),
    }


def _change(change: ParameterChange) -> Document:
    return {
        "compared": change.compared,
        "differing": change.differing,
        "not_finite": change.not_finite,
        "before_zeros": change.before_zeros,
        "after_zeros": change.after_zeros,
        "before_norm": _finite(change.before_norm),
        "after_norm": _finite(change.after_norm),
        "change_norm": _finite(change.change_norm),
        "relative": change.relative,
        "largest": _finite(change.largest),
        "cosine": change.cosine,
        "rank": change.rank,
        "rank_is_bound": change.rank_is_bound,
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity; null stands for what is too large."""
    return value if abs(value) < float("inf") else None
