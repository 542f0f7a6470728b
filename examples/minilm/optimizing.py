"""The loop of every training here: batches in a fixed order, AdamW, clipped gradients, two threads, fixed seeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from examples.minilm.recipe import Base, Training
from examples.minilm.text import Row
from tokenizers import Tokenizer
from torch import nn

__all__ = ["OnStep", "deterministic", "each_batch", "optimize", "read_tokenizer", "tensors_of"]

OnStep = Callable[[int], None]
"""Told after each step how many are done."""

_THREADS = 2
_CLIP_NORM = 1.0


def optimize(
    network: nn.Module,
    training: Training,
    losses: Iterator[torch.Tensor],
    on_step: OnStep,
    masks: Mapping[str, torch.Tensor],
) -> list[float]:
    """Train what has gradients, and give the loss of each step.

    Args:
        network: In training mode afterwards.
        training: Steps, rate and decay.
        losses: The loss of the next batch each time that it is asked, at least as many as steps.
        on_step: Told of each step.
        masks: Ones and zeros by parameter name: where its gradient is kept.
    """
    parameters = {name: value for name, value in network.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    warm_up = max(1, training.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
    taken: list[float] = []
    network.train()
    for loss in itertools.islice(losses, training.steps):
        loss.backward()
        for name, kept in masks.items():
            gradient = parameters[name].grad
            if gradient is not None:
                gradient.mul_(kept)
        nn.utils.clip_grad_norm_(parameters.values(), _CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        taken.append(loss.item())
        on_step(len(taken))
    return taken


def each_batch(rows: tuple[Row, ...], training: Training) -> Iterator[list[Row]]:
    """Batches without end, each pass over the rows in another order; a pass's incomplete last batch is left out."""
    order = torch.Generator().manual_seed(training.seed)
    while True:
        shuffled = torch.randperm(len(rows), generator=order).tolist()
        for start in range(0, len(rows) - training.batch + 1, training.batch):
            yield [rows[position] for position in shuffled[start : start + training.batch]]


def tensors_of(encoder: Tokenizer, rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token numbers, which of them count, and labels; one row a text."""
    encoded = encoder.encode_batch([row.text for row in rows])
    return (
        torch.tensor([one.ids for one in encoded]),
        torch.tensor([one.attention_mask for one in encoded]),
        torch.tensor([row.label for row in rows]),
    )


def read_tokenizer(tokens: int) -> Tokenizer:
    """The base's tokenizer, cutting off what is longer."""
    tokenizer = Tokenizer.from_file(str(Base.folder() / "tokenizer.json"))
    tokenizer.enable_truncation(tokens)
    tokenizer.enable_padding()
    return tokenizer


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Two threads and fixed seeds, so that the same machine and versions give the same bits."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(_THREADS)
        torch.use_deterministic_algorithms(mode=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=strict)
            torch.set_num_threads(threads)
