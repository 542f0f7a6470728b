"""A network with two heads on one encoder, what each head tells apart, and how one is taught."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from examples.minilm.optimizing import deterministic, read_tokenizer, tensors_of
from examples.minilm.recipe import Base
from examples.minilm.text import LabeledText, Row, read_label_set
from examples.minilm.training import TopicClassifier
from examples.minilm.weights import read_model
from torch import nn
from transformers import BertConfig

__all__ = ["HEADS", "TwoHeads", "accuracies", "make_base", "set_weights", "teach"]

HEADS = {"mail": 1, "code": 4}
"""Heads by name, and the label set that each tells apart."""

_TOKENS = 24
_ROWS = 96
_BATCH = 64


class TwoHeads(nn.Module):
    """The encoder, with a linear head for each label set."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = TopicClassifier(BertConfig.from_dict(read_model(Base.folder()).config))
        del self.trunk.classifier
        self.trunk.pooler = None  # Nothing asks for what it gives.
        width = self.trunk.config.hidden_size
        self.mail = nn.Linear(width, len(_text("mail").label_names))
        self.code = nn.Linear(width, len(_text("code").label_names))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of both heads, one row a text."""
        pooled = self.trunk.pooled(input_ids, attention_mask)
        return self.mail(pooled), self.code(pooled)

    @property
    def dummy_inputs(self) -> dict[str, torch.Tensor]:
        """What it may be called with, for a trace."""
        ones = torch.ones(2, 8, dtype=torch.long)
        return {"input_ids": ones, "attention_mask": ones}


def make_base() -> TwoHeads:
    """The encoder as its package carries it, with two heads that know nothing yet."""
    with deterministic(0):
        network = TwoHeads()
    weights = read_model(Base.folder()).weights
    names = [name for name, _ in network.trunk.named_parameters()]
    network.trunk.load_state_dict({name: weights[name] for name in names}, strict=False)
    return network


def teach(network: TwoHeads, head: str, *, rate: float, steps: int) -> None:
    """Train one head on what the encoder gives, which stays as it is."""
    pooled, labels = _encode(network, _text(head).train)
    layer: nn.Linear = getattr(network, head)
    optimizer = torch.optim.Adam(layer.parameters(), lr=rate)
    with deterministic(0):
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(layer(pooled), labels).backward()
            optimizer.step()


def accuracies(network: TwoHeads) -> dict[str, float]:
    """The share of held-out texts that each head gets right, by its name."""
    found: dict[str, float] = {}
    for head in HEADS:
        pooled, labels = _encode(network, _text(head).held_out)
        with torch.inference_mode():
            found[head] = float((getattr(network, head)(pooled).argmax(1) == labels).float().mean())
    return found


def set_weights(weights: Mapping[str, Any]) -> TwoHeads:
    """A network with these tensors or arrays."""
    network = TwoHeads()
    network.load_state_dict({name: torch.as_tensor(weights[name]) for name in network.state_dict()})
    return network


def _encode(network: TwoHeads, rows: tuple[Row, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    encoder = read_tokenizer(_TOKENS)
    chosen = list(rows[:: max(1, len(rows) // _ROWS)])
    pooled: list[torch.Tensor] = []
    network.train(mode=False)
    with torch.no_grad():
        for start in range(0, len(chosen), _BATCH):
            ids, mask, _ = tensors_of(encoder, chosen[start : start + _BATCH])
            pooled.append(network.trunk.pooled(ids, mask))
    return torch.cat(pooled), torch.tensor([row.label for row in chosen])


@functools.cache
def _text(head: str) -> LabeledText:
    return read_label_set(HEADS[head])
