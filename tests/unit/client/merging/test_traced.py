"""Merges by the layers that are really traced from torch modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.unit.core.merge.models import manifest

from mgit.frameworks.torch import trace_layers
from mgit_core.merge.planning import plan_merge
from mgit_core.merge.values import Dependence, MergeClass, MergeOptions, MergeSide, MergeSides


class Towers(torch.nn.Module):
    """Two towers over one input; what becomes of both is what differs."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.left = torch.nn.Linear(4, 4)
        self.right = torch.nn.Linear(4, 4)
        self.top = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> object:
        left, right = self.left(x).relu(), self.right(x).tanh()
        if self.how == "apart":
            return self.top(left), right
        return left + right if self.how == "summed" else self.top(left * right)


def side(module: torch.nn.Module, *changed: str) -> MergeSide:
    contents = {
        name: tensor.numpy() + np.float32(name in changed) for name, tensor in module.state_dict().items()
    }
    return MergeSide(manifest=manifest(contents), graph=trace_layers(module, (torch.zeros(1, 4),)))


@pytest.mark.parametrize(
    ("how", "wanted", "dependence"),
    [
        ("apart", MergeClass.NO_CONFLICT, None),
        ("summed", MergeClass.POSSIBLE_CONFLICT, Dependence.SHARED_LAYER),
        ("joined", MergeClass.POSSIBLE_CONFLICT, Dependence.SHARED_LAYER),
    ],
)
def test_two_towers_are_independent_unless_something_takes_both(
    how: str, wanted: MergeClass, dependence: Dependence | None
) -> None:
    """Also where that has no parameters and is what the model gives."""
    module = Towers(how)
    three = MergeSides(base=side(module), ours=side(module, "left.weight"), theirs=side(module, "right.bias"))
    plan = plan_merge(three, MergeOptions())
    assert wanted is plan.kind
    assert [each.dependence for each in plan.possible] == ([] if dependence is None else [dependence])
    assert plan.notes == ()


def test_two_heads_of_a_transformer_are_independent_and_its_layers_are_not() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.heads = torch.nn.ModuleDict({"a": torch.nn.Linear(8, 2), "b": torch.nn.Linear(8, 3)})

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            found = self.body(x)
            return {name: head(found) for name, head in self.heads.items()}

    module = Net()
    graph = trace_layers(module, (torch.zeros(1, 3, 8),))

    def of(*changed: str) -> MergeSide:
        contents = {
            name: tensor.numpy() + np.float32(name in changed) for name, tensor in module.state_dict().items()
        }
        return MergeSide(manifest=manifest(contents), graph=graph)

    def kind(ours: str, theirs: str) -> MergeClass:
        return plan_merge(MergeSides(base=of(), ours=of(ours), theirs=of(theirs)), MergeOptions()).kind

    assert kind("heads.a.weight", "heads.b.bias") is MergeClass.NO_CONFLICT
    assert kind("body.linear1.weight", "body.norm2.weight") is MergeClass.POSSIBLE_CONFLICT
    assert kind("body.self_attn.in_proj_weight", "heads.b.weight") is MergeClass.POSSIBLE_CONFLICT
