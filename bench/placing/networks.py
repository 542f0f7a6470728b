"""Small networks, as state dicts that a framework would save: a transformer, a perceptron, a convolutional one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["Network", "NetworkShape", "make_network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShape:
    """The architecture of a pool's models.

    Attributes:
        kind: ``transformer``, ``perceptron`` or ``convolutional``.
        width: Width of its layers.
        layers: How many.
        vocabulary: Tokens of a transformer; pixels of a side for the others.
        outputs: Size of the head that a base is trained with.
    """

    kind: str
    width: int
    layers: int
    vocabulary: int
    outputs: int


class Network(nn.Module):
    """A body and a head; fine-tuning may exchange the head."""

    body: nn.Module
    head: nn.Linear

    def __init__(self, body: nn.Module, width: int, outputs: int, *, pools: bool) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, outputs)
        self.pools = pools

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        features = self.body(inputs)
        return self.head(features.mean(1) if self.pools else features)

    def replace_head(self, outputs: int, *, pools: bool) -> None:
        """A new head of ``outputs`` numbers, its first values random."""
        self.head = nn.Linear(self.head.in_features, outputs)
        self.pools = pools


class _Block(nn.Module):
    """Attention and a perceptron behind it, each with its norm before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.attention_norm = nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.rise, self.fall = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        normed = self.attention_norm(inputs)
        query, key, value = (self._split(layer(normed)) for layer in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        inputs = inputs + self.output(mixed.transpose(1, 2).flatten(2))
        return inputs + self.fall(nn.functional.gelu(self.rise(self.norm(inputs))))

    def _split(self, values: Tensor) -> Tensor:
        return values.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class _Transformer(nn.Module):
    """Token and position embeddings, blocks, a norm."""

    def __init__(self, shape: NetworkShape, length: int = 64) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(length, shape.width)
        self.blocks = nn.ModuleList(_Block(shape.width) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        places = torch.arange(inputs.shape[1])
        values = self.tokens(inputs) + self.positions(places)
        for block in self.blocks:
            values = block(values)
        normed: Tensor = self.norm(values)
        return normed


def _perceptron(shape: NetworkShape) -> nn.Module:
    widths = [shape.vocabulary**2, *[shape.width] * shape.layers]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, behind in itertools.pairwise(widths):
        layers += [nn.Linear(before, behind), nn.ReLU()]
    return nn.Sequential(*layers)


def _convolutional(shape: NetworkShape) -> nn.Module:
    widths = [1, *[shape.width] * shape.layers]
    layers: list[nn.Module] = []
    for before, behind in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, behind, 3, padding=1), nn.BatchNorm2d(behind), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * shape.width, shape.width)
    )


def make_network(shape: NetworkShape, seed: int) -> Network:
    """A network with random first values that follow from ``seed``."""
    torch.manual_seed(seed)
    bodies = {"transformer": _Transformer, "perceptron": _perceptron, "convolutional": _convolutional}
    return Network(bodies[shape.kind](shape), shape.width, shape.outputs, pools=False)
