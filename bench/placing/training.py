"""Data that a network can learn from, and gradient descent on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from bench.placing.networks import Network, NetworkShape
from torch import Tensor, nn

__all__ = ["Batches", "Recipe", "images", "labeled_text", "text", "train"]

Batches = Callable[[torch.Generator], tuple[Tensor, Tensor]]
"""Gives inputs and what is to be answered, drawn with the generator."""

_BATCH, _TOKENS, _SIDES = 32, 24, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: Number of batches.
        rate: Learning rate, reached after a tenth of the steps.
        optimizer: ``adamw``, ``sgd`` with momentum, or ``adam`` without decay.
        seed: Decides the order of what is drawn.
        trains: Names of parameters that move begin so; empty means all.
        keeps_zeros: Whether weights that are zero stay zero.
    """

    steps: int
    rate: float
    optimizer: str = "adamw"
    seed: int = 0
    trains: str = ""
    keeps_zeros: bool = False


def text(shape: NetworkShape, seed: int) -> Batches:
    """Text of a random Markov chain, and its next tokens."""
    chain = _chain(shape.vocabulary, seed)

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = _walk(chain.expand(_BATCH, -1, -1), generator)
        return rows[:, :-1], rows[:, 1:]

    return draw


def labeled_text(shape: NetworkShape, seed: int, labels: int) -> Batches:
    """Text of one of ``labels`` chains that have much in common, and which it was."""
    common = _chain(shape.vocabulary, seed)
    own = [0.5 * common + 0.5 * _chain(shape.vocabulary, seed + 1 + label) for label in range(labels)]
    chains = torch.stack(own)

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        answers = torch.randint(labels, (_BATCH,), generator=generator)
        return _walk(chains[answers], generator)[:, :-1], answers

    return draw


def images(side: int, seed: int, labels: int, noise: float = 1.0) -> Batches:
    """Images of ``labels`` random smooth patterns with noise, and which pattern it was."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(labels, 1, 4, 4, generator=generator)
    patterns = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        answers = torch.randint(labels, (2 * _BATCH,), generator=generator)
        noises = torch.randn(len(answers), 1, side, side, generator=generator)
        return patterns[answers] + noise * noises, answers

    return draw


def train(network: Network, batches: Batches, recipe: Recipe) -> float:
    """Train in place; gives the last loss."""
    moved = [weight for name, weight in network.named_parameters() if name.startswith(recipe.trains)]
    network.train(not recipe.trains)
    optimizer = _optimizer(moved, recipe)
    masks = [(weight != 0).float() for weight in moved] if recipe.keeps_zeros else []
    generator = torch.Generator().manual_seed(recipe.seed)
    last = 0.0
    for step in range(recipe.steps):
        rate = recipe.rate * min(1.0, (step + 1) / (0.1 * recipe.steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, answers = batches(generator)
        loss = nn.functional.cross_entropy(network(inputs).flatten(0, -2), answers.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(moved, 1.0)
        optimizer.step()
        with torch.no_grad():
            for weight, mask in zip(moved, masks, strict=False):
                weight.mul_(mask)
        last = loss.item()
    return last


def _optimizer(moved: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(moved, recipe.rate, momentum=0.9)
    decay = 0.01 if recipe.optimizer == "adamw" else 0.0
    return torch.optim.AdamW(moved, recipe.rate, weight_decay=decay)


def _chain(vocabulary: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2.5 * torch.randn(vocabulary, vocabulary, generator=generator), 1)


def _walk(chains: Tensor, generator: torch.Generator) -> Tensor:
    """A row of tokens for each chain."""
    steps = list(_steps(chains, generator))
    return torch.stack(steps, 1)


def _steps(chains: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    rows = torch.arange(len(chains))
    token = torch.randint(chains.shape[1], (len(chains),), generator=generator)
    yield token
    for _ in range(_TOKENS):
        token = torch.multinomial(chains[rows, token], 1, generator=generator).squeeze(1)
        yield token
