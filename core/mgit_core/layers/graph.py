"""A layer graph as a value: what a model is made of, and which layer's output feeds which."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = [
    "MAX_ATTRIBUTES",
    "MAX_EDGES",
    "MAX_LAYERS",
    "AttributeValue",
    "Layer",
    "LayerGraph",
    "LayerGraphSource",
]

AttributeValue: TypeAlias = str | int | bool | tuple[int, ...]
"""Exact values only: what is rounded does not fix a shape."""

MAX_LAYERS = 100_000
MAX_EDGES = 1_000_000
MAX_ATTRIBUTES = 100
_MAX_PATH = 1_024
_MAX_KIND = 200
_MAX_TEXT = 1_000
_MAX_NOTE = 2_000
_MAX_LENGTHS = 64
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


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
    """A module with parameters, or a junction: where several flows meet that several layers take, or the model gives.

    Attributes:
        path: Its place in the model, such as ``encoder.layer.0.attention.self.query``; unique in a graph, and empty
            for the model's outermost module. A junction's is that of the module which makes it, a colon and its kind.
        kind: What it is: the name of its class where it was traced, else what its parameters look like; of a junction
            the operation, such as ``add``.
        attributes: What fixes its shape, such as ``in_features``; never a value of a parameter.
        parameters: Names of the parameters and buffers that it owns itself, as in the manifest.
        repeats: Path of the layer of which this is a further call, by the same parameters; empty for a first call.
            A further call owns no parameters, and its path ends in ``#2``, ``#3`` and so on.
    """

    path: str
    kind: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    repeats: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGraph:
    """The layers of a model and the data flow between them in one forward pass, which has no cycles.

    Attributes:
        layers: In the order of execution where that is known, else of the file.
        edges: Pairs of indexes into ``layers``: what the first gives, the second takes. Sorted, each once, and the
            first index is always the smaller one.
        source: Where it comes from.
        note: What a reader should know, such as why a trace was not possible; empty if there is nothing.
    """

    layers: tuple[Layer, ...]
    edges: tuple[tuple[int, int], ...]
    source: LayerGraphSource
    note: str = ""

    def __post_init__(self) -> None:
        """Refuses what is no layer graph. Linear in layers and edges.

        Raises:
            InvalidArgumentError: INVALID_LAYER_GRAPH.
        """
        if len(self.layers) > MAX_LAYERS or len(self.edges) > MAX_EDGES:
            raise _invalid(
                f"it has at most {MAX_LAYERS} layers and {MAX_EDGES} edges; found {len(self.layers)} and "
                f"{len(self.edges)}"
            )
        _check_text(self.note, _MAX_NOTE, "a note")
        _check_layers(self.layers)
        _check_edges(self.edges, len(self.layers))

    @property
    def is_traced(self) -> bool:
        """Whether its edges are data flow."""
        return self.source is not LayerGraphSource.NAMES

    def owners(self) -> dict[str, int]:
        """Index of the layer that owns each parameter, by the parameter's name."""
        return {name: at for at, layer in enumerate(self.layers) for name in layer.parameters}


def _check_layers(layers: tuple[Layer, ...]) -> None:
    firsts: set[str] = set()
    paths: set[str] = set()
    owned: set[str] = set()
    for layer in layers:
        _check_text(layer.path, _MAX_PATH, "a path")
        _check_text(layer.kind, _MAX_KIND, "a kind")
        if layer.path in paths:
            raise _invalid(f"every path is there once; found {layer.path[:80]!r} twice")
        paths.add(layer.path)
        if not layer.repeats:
            firsts.add(layer.path)
        elif layer.repeats not in firsts or layer.parameters:
            raise _invalid(
                f"{layer.path[:80]!r} repeats a first call that stands before it, and owns no parameters itself; "
                f"found {layer.repeats[:80]!r} with {len(layer.parameters)} parameters"
            )
        for name in layer.parameters:
            _check_text(name, _MAX_PATH, "the name of a parameter")
            if not name or name in owned:
                raise _invalid(f"every parameter has one owner and a name; found {name[:80]!r} once more")
            owned.add(name)
        _check_attributes(layer)


def _check_attributes(layer: Layer) -> None:
    if len(layer.attributes) > MAX_ATTRIBUTES:
        raise _invalid(f"a layer has at most {MAX_ATTRIBUTES} attributes; found {len(layer.attributes)}")
    for name, value in layer.attributes.items():
        if not _ATTRIBUTE.fullmatch(name) or not _is_attribute(value):
            raise _invalid(
                f"attribute {name[:80]!r} of {layer.path[:80]!r} is a short name with text, a 64-bit integer, a "
                f"boolean or a few integers; found {type(value).__name__}"
            )


def _is_attribute(value: object) -> bool:
    if isinstance(value, str):
        return _is_text(value, _MAX_TEXT)
    if isinstance(value, tuple):
        return len(value) <= _MAX_LENGTHS and all(type(item) is int and _is_narrow(item) for item in value)
    return isinstance(value, int) and _is_narrow(value)


def _is_narrow(number: int) -> bool:
    return -(2**63) <= number < 2**63


def _check_edges(edges: tuple[tuple[int, int], ...], count: int) -> None:
    last = (-1, -1)
    for edge in edges:
        giver, taker = edge
        if not 0 <= giver < taker < count:
            raise _invalid(f"an edge leads from a layer to a later one of {count}; found {giver} to {taker}")
        if edge <= last:
            raise _invalid(f"edges are sorted and each is there once; found {edge} behind {last}")
        last = edge


def _check_text(text: str, most: int, what: str) -> None:
    if not _is_text(text, most):
        raise _invalid(
            f"{what} has at most {most} characters, none of them a control character: {text[:80]!r}"
        )


def _is_text(text: str, most: int) -> bool:
    # Half of a surrogate pair is no text: UTF-8 cannot say it.
    return len(text) <= most and not any(
        character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in text
    )


def _invalid(rule: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_LAYER_GRAPH, f"This is no layer graph: {rule}.")
