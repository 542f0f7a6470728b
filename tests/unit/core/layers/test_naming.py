"""Layer graphs from parameter names."""

from __future__ import annotations

import pytest

from mgit_core.chunking import chunk_count
from mgit_core.digest import DigestAlgorithm
from mgit_core.layers.document import layer_graph_to_bytes
from mgit_core.layers.graph import LayerGraphSource
from mgit_core.layers.naming import layers_from_names
from mgit_core.layers.reach import reachable
from mgit_core.manifest import Parameter, make_parameter
from mgit_core.tensor import TensorSpec


def _parameters(**shapes: tuple[int, ...]) -> list[Parameter]:
    found = []
    for name, shape in shapes.items():
        spec = TensorSpec("float32", shape)
        chunks = [bytes(32)] * chunk_count(spec)
        found.append(make_parameter(DigestAlgorithm.BLAKE3, name.replace("__", "."), spec, chunks))
    return found


def test_parameters_of_one_module_make_a_layer_in_the_order_of_the_file() -> None:
    graph = layers_from_names(_parameters(b__bias=(2,), a__x__weight=(3, 2), b__weight=(2, 4), scale=()))
    assert [(layer.path, layer.kind, layer.parameters) for layer in graph.layers] == [
        ("b", "Linear", ("b.bias", "b.weight")),
        ("a.x", "Linear", ("a.x.weight",)),
        ("", "Parameters", ("scale",)),
    ]
    assert (graph.source, graph.edges) == (LayerGraphSource.NAMES, ((0, 1), (1, 2)))


def test_without_parameters_there_is_no_layer() -> None:
    graph = layers_from_names([])
    assert (graph.layers, graph.edges) == ((), ())


def test_every_later_layer_may_depend_on_an_earlier_one() -> None:
    graph = layers_from_names(_parameters(a__weight=(2, 2), b__weight=(2, 2), c__weight=(2, 2)))
    assert reachable(graph, [0]) == {1, 2}


@pytest.mark.parametrize(
    ("path", "shapes", "kind", "attributes"),
    [
        ("q", {"weight": (3, 2)}, "Linear", {"in_features": 2, "out_features": 3, "bias": False}),
        (
            "q",
            {"weight": (3, 2), "bias": (3,)},
            "Linear",
            {"in_features": 2, "out_features": 3, "bias": True},
        ),
        ("embed_tokens", {"weight": (9, 2)}, "Embedding", {"num_embeddings": 9, "embedding_dim": 2}),
        ("h.wte", {"weight": (9, 2)}, "Embedding", {"num_embeddings": 9, "embedding_dim": 2}),
        ("ln", {"weight": (2,), "bias": (2,)}, "LayerNorm", {"normalized_shape": (2,)}),
        ("ln", {"weight": (2,)}, "RMSNorm", {"normalized_shape": (2,)}),
        (
            "bn",
            {"weight": (2,), "bias": (2,), "running_mean": (2,), "running_var": (2,)},
            "BatchNorm",
            {"num_features": 2},
        ),
        (
            "conv",
            {"weight": (8, 3, 5, 5)},
            "Conv2d",
            {"in_channels": 3, "out_channels": 8, "kernel_size": (5, 5), "bias": False},
        ),
        ("attn", {"in_proj_weight": (6, 2), "in_proj_bias": (6,)}, "MultiheadAttention", {"embed_dim": 2}),
        (
            "rnn",
            {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "weight_hh_l1": (8, 2)},
            "LSTM",
            {"input_size": 3, "hidden_size": 2, "num_layers": 2, "bidirectional": False},
        ),
        (
            "rnn",
            {"weight_ih_l0": (6, 3), "weight_hh_l0": (6, 2), "weight_hh_l0_reverse": (6, 2)},
            "GRU",
            {"input_size": 3, "hidden_size": 2, "num_layers": 1, "bidirectional": True},
        ),
        ("rnn", {"weight_hh_l0": (6, 0)}, "Parameters", {"shape_0": (6, 0)}),
        ("odd", {"weight": (1, 2, 3, 4, 5, 6)}, "Parameters", {"shape_0": (1, 2, 3, 4, 5, 6)}),
        ("odd", {"weight": ()}, "Parameters", {"shape_0": ()}),
        ("cls", {"token": (1, 1, 4), "mask": (4,)}, "Parameters", {"shape_0": (1, 1, 4), "shape_1": (4,)}),
    ],
)
def test_the_kind_is_what_names_and_shapes_look_like(
    path: str, shapes: dict[str, tuple[int, ...]], kind: str, attributes: dict[str, object]
) -> None:
    [layer] = layers_from_names(
        _parameters(**{f"{path}.{own}".replace(".", "__"): shape for own, shape in shapes.items()})
    ).layers
    assert (layer.path, layer.kind, dict(layer.attributes)) == (path, kind, attributes)


def test_so_many_parameters_in_one_place_still_make_a_document() -> None:
    graph = layers_from_names(_parameters(**{f"p{at}": (1,) * 32 for at in range(300)}))
    assert len(graph.layers[0].parameters) == 300
    assert layer_graph_to_bytes(graph)


def test_a_model_with_names_but_no_dots_is_one_layer() -> None:
    [layer] = layers_from_names(_parameters(weight=(2, 3), bias=(2,))).layers
    assert (layer.path, layer.kind, layer.parameters) == ("", "Linear", ("weight", "bias"))
