"""A layer graph of one model for another one with the same layers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.layers.graph import LayerGraph

__all__ = ["fitted_to"]


def fitted_to(graph: LayerGraph, names: Collection[str]) -> LayerGraph:
    """``graph`` for a model whose parameters have these names.

    Parameters that the model lacks are left out: files have one name of those that are tied. Their layers stay.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH, for a parameter that is in no layer.
    """
    wanted = set(names)
    owned = graph.owners().keys()
    lacking = sorted(wanted - owned)
    if lacking:
        raise InvalidArgumentError(
            ErrorReason.INVALID_LAYER_GRAPH,
            f"The layer graph is of another model: {len(lacking)} of {len(wanted)} parameters are in none of its "
            f"layers, such as {lacking[0][:80]!r}.",
            parameter=lacking[0][:80],
        )
    if owned == wanted:
        return graph
    layers = tuple(
        replace(layer, parameters=tuple(name for name in layer.parameters if name in wanted))
        for layer in graph.layers
    )
    return replace(graph, layers=layers)
