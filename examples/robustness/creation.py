"""The creation functions: how each model of the example is made from its parents, so that it can follow an update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from examples.robustness.learning import train_robust, train_task, train_tasks

import mgit
from mgit.creating.parents import CreationParent

__all__ = ["robust", "task_model", "task_models"]

Tensors = dict[str, torch.Tensor]


@mgit.creation_function
def robust(parents: Sequence[CreationParent], *, steps: int, seed: int) -> Tensors:
    """The parent, taught to read damaged text as it reads text."""
    return train_robust(_encoder(parents[0]), steps=steps, seed=seed)


@mgit.creation_function
def task_model(parents: Sequence[CreationParent], *, task: int, kinds: int, steps: int, seed: int) -> Tensors:
    """The parent trained for one task, on text that is damaged in so many ways (G2)."""
    return train_task(_encoder(parents[0]), task, kinds=kinds, steps=steps, seed=seed)


@mgit.creation_function
def task_models(
    parents: Mapping[str, Sequence[CreationParent]], *, tasks: str, steps: int, seed: int
) -> dict[str, Tensors]:
    """The parent trained for several tasks in turn: one encoder, which all the models share, and a head each (G5).

    Args:
        parents: For each model the encoder, by the model's name, in the order of ``tasks``.
        tasks: Their numbers, with commas between.
        steps: Steps of training, one task after the other.
        seed: Of the training.
    """
    numbers = [int(number) for number in tasks.split(",")]
    [encoder] = {parent.uid: parent for each in parents.values() for parent in each}.values()
    made = train_tasks(_encoder(encoder), numbers, steps=steps, seed=seed)
    return dict(zip(parents, made, strict=True))


def _encoder(parent: CreationParent) -> Tensors:
    return parent.load(framework="torch", progress=None)
