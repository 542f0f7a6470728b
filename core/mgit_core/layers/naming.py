"""Layer graphs from parameter names: what is known of a model that nobody traced."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from mgit_core.layers.graph import MAX_ATTRIBUTES, AttributeValue, Layer, LayerGraph, LayerGraphSource
from mgit_core.manifest import Parameter

__all__ = ["guess_layer", "layers_from_names"]

_Shape = tuple[int, ...]
_EMBEDDING_NAMES = ("embed", "wte", "wpe", "shared")
_CONVOLUTIONS = {3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}
# How many gates the rows of a recurrent layer's matrix are for.
_RECURRENT = {4: "LSTM", 3: "GRU", 1: "RNN"}


def layers_from_names(parameters: Iterable[Parameter]) -> LayerGraph:
    """The layers that parameter names tell of, one behind the other in the order of the file.

    Parameters whose names are equal up to the last dot make one layer. Its kind is what names and shapes look like, in
    torch's words, and ``Parameters`` where they look like nothing known.
    """
    shapes: dict[str, dict[str, _Shape]] = {}
    for parameter in parameters:
        path, _, own = parameter.name.rpartition(".")
        shapes.setdefault(path, {})[own] = parameter.spec.shape
    layers = tuple(
        guess_layer(path, owned, [f"{path}.{own}" if path else own for own in owned])
        for path, owned in shapes.items()
    )
    edges = tuple((at, at + 1) for at in range(len(layers) - 1))
    return LayerGraph(layers=layers, edges=edges, source=LayerGraphSource.NAMES)


def guess_layer(path: str, shapes: Mapping[str, _Shape], names: Iterable[str]) -> Layer:
    """The layer that parameters of these shapes look like.

    Args:
        path: Its path.
        shapes: Shape of each of its parameters, by the last part of the name.
        names: Their whole names.
    """
    kind, attributes = _guess_kind(path, shapes)
    return Layer(path=path, kind=kind, attributes=attributes, parameters=tuple(names))


def _guess_kind(path: str, shapes: Mapping[str, _Shape]) -> tuple[str, dict[str, AttributeValue]]:
    weight = shapes.get("weight", ())
    if len(shapes.get("in_proj_weight", ())) == 2:
        return "MultiheadAttention", {"embed_dim": shapes["in_proj_weight"][1]}
    if "weight_hh_l0" in shapes:
        return _recurrent(shapes)
    if len(weight) == 1:
        return _norm(shapes)
    if len(weight) == 2:
        return _matrix(path, weight, has_bias="bias" in shapes)
    if len(weight) in _CONVOLUTIONS:
        return _CONVOLUTIONS[len(weight)], {
            "in_channels": weight[1],
            "out_channels": weight[0],
            "kernel_size": weight[2:],
            "bias": "bias" in shapes,
        }
    return _unknown(shapes)


def _norm(shapes: Mapping[str, _Shape]) -> tuple[str, dict[str, AttributeValue]]:
    if "running_mean" in shapes:
        return "BatchNorm", {"num_features": shapes["weight"][0]}
    return ("LayerNorm" if "bias" in shapes else "RMSNorm"), {"normalized_shape": shapes["weight"]}


def _matrix(path: str, weight: _Shape, *, has_bias: bool) -> tuple[str, dict[str, AttributeValue]]:
    rows, columns = weight
    last = path.rpartition(".")[2].lower()
    if not has_bias and any(word in last for word in _EMBEDDING_NAMES):
        return "Embedding", {"num_embeddings": rows, "embedding_dim": columns}
    return "Linear", {"in_features": columns, "out_features": rows, "bias": has_bias}


def _recurrent(shapes: Mapping[str, _Shape]) -> tuple[str, dict[str, AttributeValue]]:
    hidden, given = shapes["weight_hh_l0"], shapes.get("weight_ih_l0", ())
    if len(hidden) != 2 or len(given) != 2 or not hidden[1] or hidden[0] // hidden[1] not in _RECURRENT:
        return _unknown(shapes)
    layers = sum(own.startswith("weight_hh_l") and not own.endswith("_reverse") for own in shapes)
    return _RECURRENT[hidden[0] // hidden[1]], {
        "input_size": given[1],
        "hidden_size": hidden[1],
        "num_layers": layers,
        "bidirectional": any(own.endswith("_reverse") for own in shapes),
    }


def _unknown(shapes: Mapping[str, _Shape]) -> tuple[str, dict[str, AttributeValue]]:
    """Nothing known: the shapes themselves are what fixes it, as far as a layer has room for attributes."""
    few = itertools.islice(shapes.values(), MAX_ATTRIBUTES)
    return "Parameters", {f"shape_{at}": shape for at, shape in enumerate(few)}
