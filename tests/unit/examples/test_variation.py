from __future__ import annotations

import pytest
from examples.minilm.recipe import Task, Training, VariedTraining
from examples.minilm.text import LabeledText, Row
from examples.minilm.variation import PERTURBATIONS, perturb, task_text, varied

from mgit_core.errors import ErrorReason, InvalidArgumentError

TEXT = LabeledText(
    label_names=("even", "odd"),
    train=tuple(Row(f"row number {number} of many rows", number % 2) for number in range(40)),
    held_out=(Row("held out", 0),),
)


def training(**varying: int) -> VariedTraining:
    return VariedTraining(label_set=1, steps=1, learning_rate=1e-4, **varying)


def test_plain_training_takes_the_text_as_it_is() -> None:
    assert varied(TEXT, Training(label_set=1, steps=1, learning_rate=1e-4)) is TEXT


def test_workers_share_the_rows_label_after_label() -> None:
    parts = [varied(TEXT, training(worker=worker, workers=2)).train for worker in (0, 1)]

    assert [{row.label for row in part} for part in parts] == [{0}, {1}]
    assert set(TEXT.train) == {row for part in parts for row in part}


def test_what_is_held_out_stays_whole() -> None:
    assert varied(TEXT, training(worker=1, workers=2, perturbations=3)).held_out == TEXT.held_out


def test_a_part_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="its part has 10 rows") as caught:
        varied(TEXT, training(workers=4))

    assert caught.value.reason == ErrorReason.INVALID_ARGUMENT


def test_each_perturbation_changes_the_text_further() -> None:
    text = "a plain sentence of quite enough words to be damaged"

    assert len({perturb(text, count) for count in range(len(PERTURBATIONS) + 1)}) == 4
    assert perturb(text, 0) == text


def test_labels_stay_with_their_rows() -> None:
    damaged = varied(TEXT, training(perturbations=1)).train

    assert sorted(row.label for row in TEXT.train) == [row.label for row in damaged]


def test_a_task_takes_some_labels_and_numbers_them_anew() -> None:
    text = task_text(Task(1, (1,)), TEXT)

    assert text.label_names == ("odd",)
    assert text.train == tuple(Row(row.text, 0) for row in TEXT.train if row.label == 1)
    assert text.held_out == ()


def test_a_task_without_a_choice_takes_all_labels() -> None:
    assert task_text(Task(1), TEXT) == TEXT
