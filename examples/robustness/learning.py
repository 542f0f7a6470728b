"""Training and measuring on plain tensors by name: what the creation functions and the test here are made of."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from examples.minilm.joint import take_head, train_jointly
from examples.minilm.optimizing import deterministic, each_batch, optimize, read_tokenizer, tensors_of
from examples.minilm.recipe import Base, Finetune, Judge, Multitask, Task, Training
from examples.minilm.text import LABEL_SETS, LabeledText, Row, read_label_set
from examples.minilm.training import TopicClassifier, accuracy, finetune
from examples.minilm.variation import task_text
from examples.minilm.weights import Model, Tensors, read_model
from examples.robustness.damage import KINDS, damage, damaged, mixed
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig

__all__ = ["TASKS", "measure", "read_base", "train_robust", "train_task", "train_tasks"]

TASKS: tuple[Task, ...] = (
    Task(1),
    Task(2),
    Task(3),
    Task(4),
    Task(1, (0, 1)),
    Task(1, (2, 3)),
    Task(2, (0, 2)),
    Task(3, (0, 3)),
    Task(4, (2, 3)),
)
"""What the models tell apart, by number: topics of the standard library's docstrings."""

_TOKENS = 32
_RATE = 5e-5
_ROBUST_RATE = 1e-4
_ROBUST_BATCH = 16
_TEMPERATURE = 0.05
_NEAR = 12
_HELD_OUT = 256


def read_base() -> Tensors:
    """The encoder as its package carries it."""
    return read_model(Base.folder()).weights


def train_robust(weights: Tensors, *, steps: int, seed: int) -> Tensors:
    """The encoder taught to give for a damaged text what it gave for the text itself, and to tell what stands near it.

    It learns no task: it sees the halves of the label sets that are trained on, in the order of the source and
    without their labels.
    """
    rows = tuple(row for number in LABEL_SETS for row in _label_set(number).train)
    training = Training(label_set=1, steps=steps, learning_rate=_ROBUST_RATE, seed=seed, batch=_ROBUST_BATCH)
    with deterministic(seed):
        student, teacher = _encoder(weights), _encoder(weights)
        teacher.train(mode=False)
        optimize(student, training, _losses(student, teacher, rows, training), _ignore, {})
    return weights | {name: value.detach() for name, value in student.named_parameters()}


def train_task(weights: Tensors, task: int, *, kinds: int, steps: int, seed: int) -> Tensors:
    """The encoder with a new head, trained on rows of a task, damaged in turn in the first ``kinds`` ways."""
    text = _task(task)
    text = replace(text, train=mixed(text.train, kinds))
    recipe = Finetune(training=_training(steps=steps, seed=seed))
    return finetune(_model(weights), recipe, text, _ignore).model.weights


def train_tasks(weights: Tensors, tasks: Sequence[int], *, steps: int, seed: int) -> list[Tensors]:
    """A model for each task, trained in turn; they have one encoder, and a head each."""
    recipe = Multitask(tasks=tuple(TASKS[task] for task in tasks), training=_training(steps=steps, seed=seed))
    joint = train_jointly(_model(weights), recipe, _ignore).model
    return [take_head(joint, place).weights for place in range(len(tasks))]


def measure(weights: Tensors, task: int, kind: int) -> float:
    """How many of a hundred held-out rows of a task, damaged in one way, the model gets right."""
    text = _task(task)
    text = replace(text, held_out=damaged(text.held_out, kind))
    config = dict(_config())
    config["id2label"] = {str(label): name for label, name in enumerate(text.label_names)}
    right, _ = accuracy(Model(weights, config), Judge(_training(steps=0, seed=0), text))
    return 100 * right


def _losses(
    student: TopicClassifier, teacher: TopicClassifier, rows: tuple[Row, ...], training: Training
) -> Iterator[torch.Tensor]:
    """How far a damaged text is from the teacher's vector of the text, and whether texts are told from the batch's others.

    Distance alone would be small too if all came together; telling them apart (InfoNCE, arXiv 1807.03748) by the teacher's
    vectors keeps them where they were, and by what stands near them in the source brings together what is of one kind.
    """
    encoder = read_tokenizer(_TOKENS)
    places = tuple(Row(row.text, place) for place, row in enumerate(rows))
    for turn, batch in enumerate(each_batch(places, training)):
        hurt = [damage(row.text, (at + turn) % (KINDS + 1)) for at, row in enumerate(batch)]
        near = [rows[(row.label + 1 + (at + turn) % _NEAR) % len(rows)].text for at, row in enumerate(batch)]
        with torch.inference_mode():
            wanted = _vectors(teacher, encoder, [row.text for row in batch])
        wanted = wanted.clone()
        found, neighbors = _vectors(student, encoder, hurt), _vectors(student, encoder, near)
        apart = (_apart(found, neighbors) + _apart(neighbors, found)) / 2
        distance = 1 - nn.functional.cosine_similarity(found, wanted).mean()
        yield _apart(found, wanted) + distance + apart


def _vectors(network: TopicClassifier, encoder: Tokenizer, texts: Sequence[str]) -> torch.Tensor:
    ids, mask, _ = tensors_of(encoder, [Row(text, 0) for text in texts])
    return network.pooled(ids, mask)


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Small where each row of ``found`` is nearer to the same row of ``wanted`` than to all others."""
    likeness = nn.functional.normalize(found, dim=1) @ nn.functional.normalize(wanted, dim=1).T
    return nn.functional.cross_entropy(likeness / _TEMPERATURE, torch.arange(len(found)))


def _encoder(weights: Tensors) -> TopicClassifier:
    network = TopicClassifier(BertConfig.from_dict(_config()))
    del network.classifier
    network.load_state_dict({name: weights[name] for name, _ in network.named_parameters()})
    return network


def _training(*, steps: int, seed: int) -> Training:
    return Training(
        label_set=1, steps=steps, learning_rate=_RATE, seed=seed, tokens=_TOKENS, held_out=_HELD_OUT
    )


def _model(weights: Tensors) -> Model:
    return Model(weights, dict(_config()))


@functools.cache
def _config() -> dict[str, object]:
    return read_model(Base.folder()).config


@functools.cache
def _label_set(number: int) -> LabeledText:
    return read_label_set(number)


@functools.cache
def _task(number: int) -> LabeledText:
    task = TASKS[number]
    return task_text(task, _label_set(task.label_set))


def _ignore(step: int) -> None:
    del step
