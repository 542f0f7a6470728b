"""The creation functions of a federated round."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from examples.minilm.recipe import Base, Finetune, VariedTraining
from examples.minilm.text import read_label_set
from examples.minilm.training import finetune
from examples.minilm.variation import varied
from examples.minilm.weights import Model, aggregate, read_model

import mgit
from mgit.creating.parents import CreationParent

__all__ = ["LABEL_SET", "average", "train_part"]

Tensors = dict[str, torch.Tensor]

LABEL_SET = 4
"""Of the texts that all workers hold parts of."""


@mgit.creation_function
def train_part(
    parents: Sequence[CreationParent], *, worker: int, workers: int, steps: int, seed: int
) -> Tensors:
    """The global model, trained on the rows of one worker; the parts differ in kind."""
    training = VariedTraining(
        label_set=LABEL_SET,
        steps=steps,
        learning_rate=5e-5,
        seed=seed,
        tokens=24,
        worker=worker,
        workers=workers,
    )
    text = varied(read_label_set(LABEL_SET), training)
    return finetune(_model(parents[0]), Finetune(training=training), text, _ignore).model.weights


@mgit.creation_function
def average(parents: Sequence[CreationParent]) -> Tensors:
    """The mean of what the workers trained."""
    return aggregate([_model(parent) for parent in parents]).weights


def _model(parent: CreationParent) -> Model:
    return Model(
        parent.load(framework="torch", progress=None), {**read_model(Base.folder()).config, **_labels(parent)}
    )


def _labels(parent: CreationParent) -> dict[str, object]:
    """What tells that the model has a head for the labels already, so that training goes on with it."""
    if "classifier.weight" not in parent.tensors:
        return {}
    names = read_label_set(LABEL_SET).label_names
    return {"id2label": {str(label): name for label, name in enumerate(names)}}


def _ignore(step: int) -> None:
    del step
