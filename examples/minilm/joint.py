"""Training of one encoder for several tasks in turn, each with a head of its own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from examples.minilm.optimizing import (
    OnStep,
    deterministic,
    each_batch,
    optimize,
    read_tokenizer,
    tensors_of,
)
from examples.minilm.recipe import Multitask, Training
from examples.minilm.text import LabeledText, read_label_set
from examples.minilm.training import TopicClassifier
from examples.minilm.variation import task_text
from examples.minilm.weights import HEAD, Model
from torch import nn
from transformers import BertConfig

__all__ = ["Joint", "take_head", "train_jointly"]

_HEADS = "heads"
_LABELS = "task_labels"
_HELD_OUT = 128


@dataclass(frozen=True, slots=True)
class Joint:
    """A model with all heads, mean losses over the first and the last tenth of the steps, and mean accuracy."""

    model: Model
    first_loss: float
    last_loss: float
    accuracy: float


def train_jointly(model: Model, recipe: Multitask, on_step: OnStep) -> Joint:
    """The model trained on a batch of each task in turn; tensors that training does not reach keep their bits."""
    read = functools.cache(read_label_set)  # Parsing takes a second, and several tasks share a set.
    texts = [task_text(task, read(task.label_set)) for task in recipe.tasks]
    with deterministic(recipe.training.seed):
        network = _Network(model, texts)
        losses = optimize(network, recipe.training, _losses(network, texts, recipe.training), on_step, {})
        accuracy = _accuracy(network, texts, recipe.training)
    tenth = max(1, len(losses) // 10)
    trained = {name.removeprefix("trunk."): value.detach() for name, value in network.named_parameters()}
    config = model.config | {_LABELS: [list(text.label_names) for text in texts]}
    return Joint(
        Model(model.weights | trained, config),
        sum(losses[:tenth]) / tenth,
        sum(losses[-tenth:]) / tenth,
        accuracy,
    )


def take_head(model: Model, task: int) -> Model:
    """A model of ``train_jointly`` with the head of one task alone, under the name that a head has."""
    mine = f"{_HEADS}.{task}."
    weights = {
        f"{HEAD}.{name.removeprefix(mine)}" if name.startswith(mine) else name: tensor
        for name, tensor in model.weights.items()
        if name.startswith(mine) or not name.startswith(f"{_HEADS}.")
    }
    labels = model.config[_LABELS]
    assert isinstance(labels, list)
    names = {str(label): name for label, name in enumerate(labels[task])}
    config = {key: value for key, value in model.config.items() if key != _LABELS}
    config |= {"architectures": [TopicClassifier.__name__], "id2label": names}
    return Model(weights, config | {"label2id": {name: int(label) for label, name in names.items()}})


class _Network(nn.Module):
    """An encoder with several heads."""

    def __init__(self, model: Model, texts: list[LabeledText]) -> None:
        super().__init__()
        self.trunk = TopicClassifier(BertConfig.from_dict(model.config))
        del self.trunk.classifier
        names = [name for name, _ in self.trunk.named_parameters()]
        self.trunk.load_state_dict({name: model.weights[name] for name in names})
        width = self.trunk.config.hidden_size
        self.heads = nn.ModuleList(nn.Linear(width, len(text.label_names)) for text in texts)

    def forward(self, task: int, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores of one task."""
        scores: torch.Tensor = self.heads[task](self.trunk.pooled(ids, mask))
        return scores


def _losses(network: _Network, texts: list[LabeledText], training: Training) -> Iterator[torch.Tensor]:
    encoder = read_tokenizer(training.tokens)
    rows = [
        each_batch(text.train, replace(training, seed=training.seed + task))
        for task, text in enumerate(texts)
    ]
    for task in itertools.cycle(range(len(texts))):
        ids, mask, labels = tensors_of(encoder, next(rows[task]))
        yield nn.functional.cross_entropy(network(task, ids, mask), labels)


def _accuracy(network: _Network, texts: list[LabeledText], training: Training) -> float:
    encoder = read_tokenizer(training.tokens)
    shares = []
    network.train(mode=False)
    with torch.inference_mode():
        for task, text in enumerate(texts):
            every = -(-len(text.held_out) // _HELD_OUT)
            ids, mask, labels = tensors_of(encoder, list(text.held_out[::every]))
            shares.append(float((network(task, ids, mask).argmax(1) == labels).float().mean()))
    return sum(shares) / len(shares)
