"""A layer graph as a value, and as the document that is kept with a model."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["AttributeValue", "Layer", "LayerGraph", "LayerGraphSource"]

AttributeValue: TypeAlias = str | int | float | bool | tuple[int, ...]


class LayerGraphSource(enum.StrEnum):
    """Where a layer graph comes from, and so how much its edges say."""

    EXPORT = "export"
    """Traced with ``torch.export``: edges are the data flow for the inputs that were given."""
    FX = "fx"
    """Traced symbolically with ``torch.fx``: edges are the data flow."""
    NAMES = "names"
    """From parameter names and their order: edges only say what comes next, no data flow is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A module that computes: it has parameters, or takes part in the data flow.

    Attributes:
        path: Its place in the model, such as ``encoder.layer.0.attention.self.query``; unique in a graph.
        kind: What it is: the name of its class where it was traced, else what its parameters look like.
        attributes: What fixes its shape, such as ``in_features``; never a value of a parameter.
        parameters: Names of the parameters and buffers that it owns itself, as in the manifest.
    """

    path: str
    kind: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGraph:
    """The layers of a model and the data flow between them.

    Attributes:
        layers: In the order of execution where that is known, else of the file.
        edges: Pairs of indexes into ``layers``: what the first gives, the second takes. Sorted, each once.
        source: Where it comes from.
        note: What a reader should know, such as why a trace was not possible; empty if there is nothing.
    """

    layers: tuple[Layer, ...]
    edges: tuple[tuple[int, int], ...]
    source: LayerGraphSource
    note: str = ""
