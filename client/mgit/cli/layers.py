"""Layers as lines of a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mgit.cli.formatting import format_table

if TYPE_CHECKING:
    from mgit_core.layers.graph import AttributeValue, Layer, LayerGraph

__all__ = ["layer_lines"]


def layer_lines(graph: LayerGraph) -> Iterator[str]:
    """A line a layer: its number, path, kind, attributes, and the numbers of the layers that it takes from."""
    takes: defaultdict[int, list[int]] = defaultdict(list)
    for giver, taker in graph.edges:
        takes[taker].append(giver)
    rows = [
        (str(at), layer.path or ".", layer.kind, _attributes(layer), " ".join(map(str, takes[at])))
        for at, layer in enumerate(graph.layers)
    ]
    return format_table(("NO", "LAYER", "KIND", "ATTRIBUTES", "TAKES FROM"), rows, "rllll")


def _attributes(layer: Layer) -> str:
    if layer.repeats:
        return f"again {layer.repeats}"
    return " ".join(f"{name}={_value(value)}" for name, value in layer.attributes.items())


def _value(value: AttributeValue) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "()"
    return str(value).lower() if isinstance(value, bool) else str(value)
