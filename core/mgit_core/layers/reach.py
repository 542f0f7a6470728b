"""Which layers depend on which, by the data flow of a layer graph."""

from __future__ import annotations

from collections.abc import Iterable

from mgit_core.layers.graph import LayerGraph

__all__ = ["reachable"]


def reachable(graph: LayerGraph, from_layers: Iterable[int]) -> frozenset[int]:
    """Indexes of the layers whose input changes with the parameters of some layers; linear in layers and edges.

    A layer that is called again works with its parameters each time, so what any of its calls gives changes. Where
    edges come from names, every later layer is reached: that one does not depend on another is then never known.

    Args:
        graph: The layers.
        from_layers: Indexes of the layers whose parameters change.

    Returns:
        Those with a call that is fed by them, directly or not, and of a further call the first one too, which owns the
        parameters. One of ``from_layers`` only if another one feeds it, or an earlier call of its own.
    """
    starts = _with_further_calls(graph, set(from_layers))
    fed: set[int] = set()
    # Edges are sorted and lead to later layers, so when those of a layer come all that lead to it have been.
    for giver, taker in graph.edges:
        if giver in starts or giver in fed:
            fed.add(taker)
    return frozenset(fed | _first_calls(graph, fed))


def _with_further_calls(graph: LayerGraph, starts: set[int]) -> set[int]:
    if all(not layer.repeats for layer in graph.layers):
        return starts
    paths = {graph.layers[at].repeats or graph.layers[at].path for at in starts}
    return {at for at, layer in enumerate(graph.layers) if (layer.repeats or layer.path) in paths}


def _first_calls(graph: LayerGraph, fed: set[int]) -> set[int]:
    paths = {graph.layers[at].repeats for at in fed} - {""}
    if not paths:
        return set()
    return {at for at, layer in enumerate(graph.layers) if layer.path in paths}
