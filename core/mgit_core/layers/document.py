"""The document of a layer graph, as it is kept with a model and sent (docs/format.md)."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.documents import pack_document, unpack_document
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError, MGitError
from mgit_core.layers.graph import AttributeValue, Layer, LayerGraph, LayerGraphSource

__all__ = [
    "LARGEST_LAYER_GRAPH",
    "LARGEST_SENT_LAYER_GRAPH",
    "LAYER_GRAPH_VERSION",
    "layer_graph_digest",
    "layer_graph_from_bytes",
    "layer_graph_to_bytes",
    "pack_layer_graph",
    "unpack_layer_graph",
]

LAYER_GRAPH_VERSION = 1
LARGEST_LAYER_GRAPH = 16 << 20
"""Most bytes of a document's content: some 60,000 layers."""
LARGEST_SENT_LAYER_GRAPH = 512 * 1024
"""Most bytes of a document as it is stored and sent: with what else is said of a model it fits in one message."""
_FORMAT = "mgit-layers"

_Value = TypeVar("_Value")


def layer_graph_to_bytes(graph: LayerGraph) -> bytes:
    """Canonical bytes: JSON with sorted keys, no spaces, ASCII only, one final line feed."""
    document = {
        "format": _FORMAT,
        "version": LAYER_GRAPH_VERSION,
        "source": graph.source.value,
        "note": graph.note,
        "layers": [_to_document(layer) for layer in graph.layers],
        "edges": graph.edges,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def layer_graph_digest(algorithm: DigestAlgorithm, graph: LayerGraph) -> Digest:
    """Identity of the layer graph."""
    return digest_of(algorithm, layer_graph_to_bytes(graph))


def layer_graph_from_bytes(content: bytes) -> LayerGraph:
    """The layer graph that ``content`` holds.

    Raises:
        CorruptError: MANIFEST_CORRUPT, or UNKNOWN_FORMAT_VERSION.
    """
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT or document["version"] != LAYER_GRAPH_VERSION:
            raise CorruptError(
                ErrorReason.UNKNOWN_FORMAT_VERSION,
                f"A layer graph of version {LAYER_GRAPH_VERSION} was wanted; found "
                f"{str(document['format'])[:80]!r} of version {str(document['version'])[:80]!r}.",
            )
        graph = LayerGraph(
            layers=tuple(_from_document(layer) for layer in _typed(document["layers"], list)),
            edges=tuple(_edge(edge) for edge in _typed(document["edges"], list)),
            source=LayerGraphSource(document["source"]),
            note=_typed(document["note"], str),
        )
    except (KeyError, TypeError, ValueError, RecursionError, InvalidArgumentError) as error:
        raise _corrupt(f"{type(error).__name__}: {error}") from error
    if layer_graph_to_bytes(graph) != content:
        raise _corrupt("its bytes are not the canonical ones")
    return graph


def pack_layer_graph(graph: LayerGraph) -> bytes:
    """The document of a layer graph, as it is sent.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH, if it is larger than a service takes.
    """
    content = layer_graph_to_bytes(graph)
    document = pack_document(content)
    if len(content) > LARGEST_LAYER_GRAPH or len(document) > LARGEST_SENT_LAYER_GRAPH:
        raise InvalidArgumentError(
            ErrorReason.INVALID_LAYER_GRAPH,
            f"A layer graph has at most {LARGEST_LAYER_GRAPH} bytes as JSON and {LARGEST_SENT_LAYER_GRAPH} "
            f"compressed; found {len(content)} and {len(document)}. Add the model without one (trace=False).",
        )
    return document


def unpack_layer_graph(document: bytes) -> LayerGraph:
    """The layer graph in a document that was sent.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH, whatever is wrong with it.
    """
    if len(document) > LARGEST_SENT_LAYER_GRAPH:
        raise InvalidArgumentError(
            ErrorReason.INVALID_LAYER_GRAPH,
            f"The document of a layer graph has at most {LARGEST_SENT_LAYER_GRAPH} bytes; found {len(document)}.",
        )
    try:
        return layer_graph_from_bytes(unpack_document("The document", document, LARGEST_LAYER_GRAPH))
    except MGitError as error:
        raise InvalidArgumentError(ErrorReason.INVALID_LAYER_GRAPH, error.message) from error


def _to_document(layer: Layer) -> dict[str, Any]:
    return {
        "path": layer.path,
        "kind": layer.kind,
        "attributes": dict(layer.attributes),
        "parameters": layer.parameters,
        "repeats": layer.repeats,
    }


def _from_document(document: dict[str, Any]) -> Layer:
    attributes = _typed(document["attributes"], dict)
    return Layer(
        path=_typed(document["path"], str),
        kind=_typed(document["kind"], str),
        attributes={name: _attribute(value) for name, value in attributes.items()},
        parameters=tuple(_typed(name, str) for name in _typed(document["parameters"], list)),
        repeats=_typed(document["repeats"], str),
    )


def _attribute(value: Any) -> AttributeValue:
    if isinstance(value, list):
        return tuple(_typed(item, int) for item in value)
    if isinstance(value, str | int | bool):
        return value
    raise TypeError(f"an attribute was wanted, found {type(value).__name__}")


def _edge(document: Any) -> tuple[int, int]:
    giver, taker = _typed(document, list)
    return _typed(giver, int), _typed(taker, int)


def _typed(value: object, wanted: type[_Value]) -> _Value:
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TypeError(f"{wanted.__name__} was wanted, found {type(value).__name__}")
    return value


def _corrupt(found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"A layer graph cannot be read: {found}.")
