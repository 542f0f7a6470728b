"""Layer graphs of tests, written as text."""

from __future__ import annotations

from mgit_core.diff.marks import MarkedGraph

Edges = frozenset[tuple[int, int]]


def graph(*layers: str, edges: Edges | set[tuple[int, int]] = frozenset()) -> MarkedGraph:
    """Layers written ``PATH:FORM`` or ``PATH:FORM:CONTENT``."""
    parts = [(*layer.split(":"), "")[:3] for layer in layers]
    return MarkedGraph(
        paths=tuple(part[0] for part in parts),
        forms=tuple(part[1] for part in parts),
        contents=tuple(part[2].encode() for part in parts),
        edges=frozenset(edges),
    )


def chain(*layers: str) -> MarkedGraph:
    return graph(*layers, edges={(at, at + 1) for at in range(len(layers) - 1)})
