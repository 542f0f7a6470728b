"""Layer graphs through the real service: kept with models, read back, shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.integration.local.command_line import CommandLine
from tests.running_service import RunningService

import mgit
from mgit.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError
from mgit.frameworks.torch import trace_layers
from mgit_core.layers.graph import LayerGraph, LayerGraphSource

pytestmark = pytest.mark.neo4j


class TwoHeads(torch.nn.Module):
    """A trunk and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = torch.nn.Linear(4, 4)
        self.left = torch.nn.Linear(4, 2)
        self.right = torch.nn.Linear(4, 3)

    def forward(self, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.trunk(given).relu()
        return self.left(hidden), self.right(hidden)


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    torch.manual_seed(7)
    return TwoHeads()


@pytest.fixture(scope="module")
def graph(module: torch.nn.Module) -> LayerGraph:
    return trace_layers(module)


@pytest.fixture(scope="module")
def traced(repo: mgit.Repository, module: torch.nn.Module) -> mgit.Model:
    return repo.add("traced", module, trace=torch.zeros(1, 4))


def test_a_traced_module_keeps_its_layers(
    repo: mgit.Repository, module: torch.nn.Module, traced: mgit.Model
) -> None:
    read = repo.get("traced").layers()
    assert read == traced.layers() == trace_layers(module, torch.zeros(1, 4))
    assert (read.source, len(read.layers), read.edges) == (LayerGraphSource.EXPORT, 3, ((0, 1), (0, 2)))
    assert traced.addition is not None
    assert "Its 3 layers are traced by torch.export." in traced.addition.notes
    assert repo.get("traced").layer_graph_digest == traced.layer_graph_digest is not None


def test_true_means_the_inputs_of_the_module_or_none(repo: mgit.Repository, module: torch.nn.Module) -> None:
    model = repo.add("by-fx", module, trace=True)
    assert model.layers().source is LayerGraphSource.FX
    assert model.addition is not None
    [note] = model.addition.notes
    assert note.startswith("Its 3 layers are traced by torch.fx. torch.export needs example inputs")


def test_without_a_trace_the_names_tell(repo: mgit.Repository, module: torch.nn.Module) -> None:
    model = repo.add("untraced", module)
    assert (model.layers().source, model.layer_graph_digest) == (LayerGraphSource.NAMES, None)
    assert model.addition is not None
    assert model.addition.notes == ()
    assert [layer.path for layer in model.layers().layers] == ["trunk", "left", "right"]


def test_the_same_parameters_may_have_another_layer_graph(
    repo: mgit.Repository, module: torch.nn.Module, traced: mgit.Model, graph: LayerGraph
) -> None:
    other = replace(graph, note="another")
    again = repo.add("another-graph", module, layer_graph=other)
    assert again.addition is not None
    assert traced.ref in again.addition.same_as
    assert repo.get("another-graph").layers() == other
    assert repo.get("traced").layers().note == ""


def test_a_file_takes_the_layers_of_its_model(
    repo: mgit.Repository, module: torch.nn.Module, traced: mgit.Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(module.state_dict(), path)
    model = repo.add("from-file", path, layer_graph=traced.layers())
    assert model.layer_graph_digest == traced.layer_graph_digest
    assert repo.get("from-file").layers() == traced.layers()


def test_layers_of_another_model_are_refused_before_anything_is_sent(
    repo: mgit.Repository, graph: LayerGraph
) -> None:
    with pytest.raises(InvalidArgumentError, match="another model") as caught:
        repo.add("not-added", {"x": np.zeros(3)}, layer_graph=graph)
    assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH
    with pytest.raises(NotFoundError):
        repo.get("not-added")


def test_only_a_module_is_traced(repo: mgit.Repository) -> None:
    with pytest.raises(InvalidArgumentError, match="torch module") as caught:
        repo.add("not-added", {"x": np.zeros(3)}, trace=True)
    assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH


def test_a_graph_is_given_or_traced_not_both(
    repo: mgit.Repository, module: torch.nn.Module, graph: LayerGraph
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        repo.add("not-added", module, trace=True, layer_graph=graph)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


def test_a_repeated_request_gives_the_first_answer(repo: mgit.Repository, module: torch.nn.Module) -> None:
    first, second = (
        repo.add("repeated", module, trace=torch.zeros(1, 4), request_id="layers-twice") for _ in range(2)
    )
    assert first.ref == second.ref
    assert second.addition is not None
    assert second.addition.repeated


def test_a_removed_model_has_no_layers(repo: mgit.Repository, module: torch.nn.Module) -> None:
    model = repo.add("removed", module, trace=torch.zeros(1, 4))
    repo.tag(model, "kept")
    repo.add("child", {"x": np.zeros(3)}, parents=[model])
    removed = repo.get(f"@{repo.remove(model).uid}")
    assert removed.layer_graph_digest is None
    with pytest.raises(FailedPreconditionError) as caught:
        removed.layers()
    assert caught.value.reason is ErrorReason.MODEL_REMOVED


@pytest.fixture
def mgit_command(service: RunningService, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", {"MGIT_ADDRESS": service.address})


def test_the_command_shows_layers(mgit_command: CommandLine, traced: mgit.Model) -> None:
    shown = mgit_command.run("show", "traced", "--layers")
    assert shown.code == 0, shown.err
    assert [line.split() for line in shown.out.splitlines()] == [
        ["NO", "LAYER", "KIND", "ATTRIBUTES", "TAKES", "FROM"],
        ["0", "trunk", "Linear", "bias=true", "in_features=4", "out_features=4"],
        ["1", "left", "Linear", "bias=true", "in_features=4", "out_features=2", "0"],
        ["2", "right", "Linear", "bias=true", "in_features=4", "out_features=3", "0"],
    ]
    told = mgit_command.json("show", "traced", "--layers")
    assert told.keys() == {"ref", "uid", "source", "note", "layers", "edges"}
    assert (told["ref"], told["source"], told["edges"]) == ("traced@1", "export", [[0, 1], [0, 2]])
    assert told["layers"][0] == {
        "path": "trunk",
        "kind": "Linear",
        "attributes": {"in_features": 4, "out_features": 4, "bias": True},
        "parameters": ["trunk.weight", "trunk.bias"],
        "repeats": None,
    }
    assert mgit_command.json("show", "traced")["layer_graph_digest"] == traced.layer_graph_digest


def test_the_command_adds_a_file_with_the_layers_of_another_model(
    mgit_command: CommandLine, module: torch.nn.Module, traced: mgit.Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(module.state_dict(), path)
    added = mgit_command.json("add", str(path), "--name", "by-command", "--layers", traced.ref)
    assert added["layer_graph_digest"] == traced.layer_graph_digest
    plain = mgit_command.run("add", str(path), "--name", "by-command")
    assert plain.code == 0, plain.err
    shown = mgit_command.run("show", "by-command", "--layers")
    assert "known by name only" in shown.err
