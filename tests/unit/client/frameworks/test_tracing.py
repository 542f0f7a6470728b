"""Layers of torch modules, and how far a trace gets."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from mgit.frameworks.torch import trace_layers
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.layers.document import pack_layer_graph, unpack_layer_graph
from mgit_core.layers.graph import LayerGraph, LayerGraphSource

INPUT = torch.zeros(1, 4)


def _sources(graph: LayerGraph) -> dict[str, tuple[str, ...]]:
    """Paths of what each layer takes from, by path."""
    found: dict[str, list[str]] = {layer.path: [] for layer in graph.layers}
    for giver, taker in graph.edges:
        found[graph.layers[taker].path].append(graph.layers[giver].path)
    return {path: tuple(sorted(givers)) for path, givers in found.items()}


def _trace(module: nn.Module, inputs: object = INPUT) -> LayerGraph:
    """The trace of a module, which must own each entry of the state dict once."""
    graph = trace_layers(module, inputs)  # type: ignore[arg-type]
    assert graph.owners().keys() == module.state_dict().keys()
    return graph


class Branches(nn.Module):
    """Two heads over one trunk; one of them looks at the other's parameters too if asked."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(4, 4)
        self.left = nn.Linear(4, 2)
        self.right = nn.Linear(4, 3)
        self.spare = nn.Linear(1, 1)

    def forward(self, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = torch.relu(self.trunk(given))
        return self.left(hidden), self.right(hidden)


@pytest.mark.parametrize(
    ("inputs", "source"),
    [(INPUT, LayerGraphSource.EXPORT), (None, LayerGraphSource.FX)],
    ids=["export", "fx"],
)
def test_heads_do_not_depend_on_each_other(inputs: torch.Tensor | None, source: LayerGraphSource) -> None:
    graph = _trace(Branches(), inputs)
    assert graph.source is source
    assert _sources(graph) == {"trunk": (), "left": ("trunk",), "right": ("trunk",), "spare": ()}
    layer = graph.layers[graph.owners()["left.weight"]]
    assert (layer.kind, dict(layer.attributes)) == (
        "Linear",
        {"in_features": 4, "out_features": 2, "bias": True},
    )


def test_inputs_may_have_names_or_an_order() -> None:
    assert [_trace(Branches(), inputs) for inputs in ({"given": INPUT}, [INPUT])] == [_trace(Branches())] * 2


def test_a_graph_from_a_trace_is_a_document() -> None:
    graph = _trace(Branches())
    assert unpack_layer_graph(pack_layer_graph(graph)) == graph


class Twice(nn.Module):
    """A layer that is called again, and one whose weight is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Linear(4, 4)
        self.between = nn.Linear(4, 4)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.again(self.between(self.again(given)))
        return nn.functional.linear(hidden, self.between.weight.t())


@pytest.mark.parametrize("inputs", [INPUT, None], ids=["export", "fx"])
def test_shared_modules_and_weights_are_layers_again(inputs: torch.Tensor | None) -> None:
    graph = _trace(Twice(), inputs)
    assert _sources(graph) == {
        "again": (),
        "between": ("again",),
        "again#2": ("between",),
        "between#2": ("again#2",),
    }
    assert [layer.repeats for layer in graph.layers] == ["", "", "again", "between"]


class OwnParameters(nn.Module):
    """Parameters of the outermost module, of a list, and a buffer; some tied."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.shifts = nn.ParameterList([nn.Parameter(torch.ones(4))])
        self.register_buffer("mean", torch.ones(4))
        self.embed = nn.Embedding(8, 4)
        self.head = nn.Linear(4, 8, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.embed(given) * self.scale + self.shifts[0] - self.mean)
        return result


@pytest.mark.parametrize("inputs", [torch.zeros(1, 4, dtype=torch.int64), None], ids=["export", "fx"])
def test_parameters_outside_of_layers_are_layers_where_they_are_used(inputs: torch.Tensor | None) -> None:
    graph = _trace(OwnParameters(), inputs)
    assert _sources(graph) == {
        "embed": (),
        "scale": ("embed",),
        "shifts": ("scale",),
        "mean": ("shifts",),
        "head": ("mean",),
    }
    scale = graph.layers[graph.owners()["scale"]]
    assert (scale.kind, dict(scale.attributes)) == ("Parameter", {"shape_0": (4,)})


def test_a_transformer_of_torch() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    found = _sources(_trace(model, (torch.zeros(1, 3, 8), torch.zeros(1, 3, 8))))
    assert found["decoder.layers.0.multihead_attn"] == ("decoder.layers.0.norm1", "encoder.norm")
    assert found["decoder.layers.0.multihead_attn.out_proj"] == ("decoder.layers.0.multihead_attn",)
    assert found["encoder.layers.0.norm2"] == ("encoder.layers.0.linear2", "encoder.layers.0.norm1")
    assert found["decoder.norm"] == ("decoder.layers.0.norm3",)


def test_a_plain_sequence_needs_no_inputs() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2))
    graph = _trace(model, None)
    assert (graph.source, _sources(graph)) == (LayerGraphSource.FX, {"0": (), "3": ("0",)})
    assert "example inputs" in graph.note


def test_a_model_that_is_one_layer() -> None:
    graph = _trace(nn.Linear(4, 2))
    assert [(layer.path, layer.kind, layer.parameters) for layer in graph.layers] == [
        ("", "Linear", ("weight", "bias"))
    ]


class Undecided(nn.Module):
    """What runs depends on values: nobody can trace that."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.first(given)
        if hidden.sum() > 0:
            hidden = self.second(hidden)
        return hidden


def test_what_cannot_be_traced_falls_back_to_names_and_says_why() -> None:
    graph = _trace(Undecided())
    assert (graph.source, graph.edges) == (LayerGraphSource.NAMES, ((0, 1),))
    assert [layer.kind for layer in graph.layers] == ["Linear", "Linear"]
    assert graph.note.startswith("Not traced, so the data flow is not known. torch.export: ")
    assert "torch.fx: TraceError" in graph.note


@pytest.mark.parametrize("inputs", [torch.zeros(1, 5), {"other": INPUT}, ["text"], []])
def test_inputs_that_do_not_fit_are_told_and_fx_is_tried(inputs: object) -> None:
    graph = _trace(Branches(), inputs)
    assert graph.source is LayerGraphSource.FX
    assert graph.note.startswith("torch.export: ")


class Raising(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        del given
        raise ValueError("a\x00b\n" + "x" * 5_000)


def test_any_message_of_a_module_makes_a_note() -> None:
    graph = _trace(Raising())
    assert graph.source is LayerGraphSource.NAMES
    assert "ValueError: a b" in graph.note
    assert len(graph.note) < 1_000


@dataclass
class Answer:
    main: torch.Tensor
    more: dict[str, list[torch.Tensor]]
    text: str = ""


class Wrapped(nn.Module):
    """Its result is of a class of its own, with tensors deep in it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, given: torch.Tensor) -> Answer:
        hidden = self.first(given)
        return Answer(main=hidden, more={"last": [self.second(hidden)]})


def test_results_of_any_class_are_looked_through() -> None:
    graph = _trace(Wrapped())
    assert (graph.source, _sources(graph)) == (LayerGraphSource.EXPORT, {"first": (), "second": ("first",)})


def test_the_module_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    model[2].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _trace(model, torch.ones(3, 4))
    assert [part.training for part in model.modules()] == [True, True, True, False]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_buffers_belong_to_the_layer_that_has_them() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    graph = _trace(model, torch.zeros(1, 3, 8, 8))
    assert len(graph.layers[1].parameters) == 5
    assert graph.layers[0].attributes["kernel_size"] == (3, 3)


def test_a_recurrent_layer_is_one_layer() -> None:
    model = nn.Sequential(nn.LSTM(4, 3, num_layers=2))
    [layer] = _trace(model, torch.zeros(2, 1, 4)).layers
    assert (layer.kind, layer.attributes["hidden_size"], layer.attributes["num_layers"]) == ("LSTM", 3, 2)


@pytest.mark.parametrize("value", ["model.safetensors", {"w": INPUT}, None])
def test_only_modules_are_traced(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="torch module") as caught:
        trace_layers(value)
    assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH
