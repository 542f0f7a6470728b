"""Structural diffs of real architectures that are not the same, traced from torch."""

from __future__ import annotations

import pytest
import torch
from tests.unit.core.diff.gauging import parameters_of
from transformers import BertConfig, BertForSequenceClassification, BertModel

from mgit.frameworks.torch import trace_layers
from mgit_core.diff.structural import LayeredModel, diff_structure
from mgit_core.diff.values import DiffState, StructuralDiff

pytestmark = pytest.mark.slow

_BLOCK = {
    *(f"attention.self.{part}" for part in ("query", "key", "value")),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "output.dense", "output.LayerNorm"),
}


def config(layers: int) -> BertConfig:
    return BertConfig(
        num_hidden_layers=layers,
        hidden_size=16,
        num_attention_heads=2,
        intermediate_size=24,
        vocab_size=40,
        max_position_embeddings=16,
    )


def layered(module: torch.nn.Module) -> LayeredModel:
    tensors = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    graph = trace_layers(module)
    assert graph.is_traced
    return LayeredModel(graph=graph, parameters=parameters_of(tensors))


@pytest.fixture(scope="module")
def base() -> BertModel:
    torch.manual_seed(1)
    return BertModel(config(3))


@pytest.fixture(scope="module")
def traced(base: BertModel) -> LayeredModel:
    return layered(base)


def paths(diff: StructuralDiff, state: DiffState) -> set[str]:
    return {layer.path for layer in diff.layers if layer.state is state}


def test_a_classifier_is_its_encoder_under_another_name_with_a_head(
    base: BertModel, traced: LayeredModel
) -> None:
    task = BertForSequenceClassification(config(3))
    task.bert.load_state_dict(base.state_dict())
    diff = diff_structure(traced, layered(task))
    assert paths(diff, DiffState.ADDED) == {"classifier"}
    assert (diff.items, diff.is_minimal) == (2, True)
    assert {layer.after.path for layer in diff.layers if layer.is_renamed and layer.after} == {
        f"bert.{layer.path}" for layer in traced.graph.layers
    }


def test_a_block_that_was_taken_out_is_named_and_the_others_moved(
    base: BertModel, traced: LayeredModel
) -> None:
    """By names the last block is gone; what blocks hold tells that it was the middle one."""
    shallow = BertModel(config(2))
    shallow.load_state_dict(base.state_dict(), strict=False)
    shallow.encoder.layer[1].load_state_dict(base.encoder.layer[2].state_dict())
    small = layered(shallow)
    for before, after, state in (
        (traced, small, DiffState.REMOVED),
        (small, traced, DiffState.ADDED),
    ):
        diff = diff_structure(before, after)
        assert paths(diff, state) == {f"encoder.layer.1.{part}" for part in _BLOCK}
        assert sum(layer.is_renamed for layer in diff.layers) == len(_BLOCK)
        assert diff.is_minimal


def test_trained_apart_and_deeper_models_are_compared_by_structure_alone(traced: LayeredModel) -> None:
    torch.manual_seed(2)
    diff = diff_structure(traced, layered(BertModel(config(4))))
    counts = [sum(layer.state is state for layer in diff.layers) for state in DiffState]
    assert counts[1:] == [0, len(_BLOCK), 0]
    assert diff.is_minimal
