"""Variations of labeled text: parts of it, as several workers or tasks have them, and damaged rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from examples.minilm.recipe import Task, Training, VariedTraining
from examples.minilm.text import LabeledText, Row

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["PERTURBATIONS", "perturb", "task_text", "varied"]

Words = list[str]


def varied(text: LabeledText, training: Training) -> LabeledText:
    """The text with the rows to train on that the training asks for; what is held out stays whole.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, the part has fewer rows than a batch.
    """
    if not isinstance(training, VariedTraining):
        return text
    rows = sorted(text.train, key=lambda row: row.label)
    size = len(rows) // training.workers
    part = rows[training.worker * size : (training.worker + 1) * size]
    if len(part) < training.batch:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"Worker {training.worker} of {training.workers} was to train on batches of {training.batch}; "
            f"its part has {len(part)} rows.",
        )
    damaged = tuple(Row(perturb(row.text, training.perturbations), row.label) for row in part)
    return replace(text, train=damaged)


def task_text(task: Task, text: LabeledText) -> LabeledText:
    """The rows of a task among those of its label set, its labels numbered anew."""
    kept = task.labels or tuple(range(len(text.label_names)))

    def choose(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(Row(row.text, kept.index(row.label)) for row in rows if row.label in kept)

    return LabeledText(
        label_names=tuple(text.label_names[label] for label in kept),
        train=choose(text.train),
        held_out=choose(text.held_out),
    )


def perturb(text: str, count: int) -> str:
    """The text damaged in the first ``count`` ways of ``PERTURBATIONS``, one after another."""
    words = text.split()
    for damage in PERTURBATIONS[:count]:
        words = damage(words)
    return " ".join(words)


def _without_some(words: Words) -> Words:
    return [word for place, word in enumerate(words) if place % 5 != 3]


def _with_swapped_letters(words: Words) -> Words:
    return [word[1::-1] + word[2:] if place % 4 == 1 else word for place, word in enumerate(words)]


def _with_some_twice(words: Words) -> Words:
    return [word for place, word in enumerate(words) for _ in range(2 if place % 6 == 2 else 1)]


PERTURBATIONS: Sequence[Callable[[Words], Words]] = (
    _without_some,
    _with_swapped_letters,
    _with_some_twice,
)
"""Ways to damage words: some left out, letters swapped in some, some said twice."""
