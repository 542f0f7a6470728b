"""What a test returns and raises becomes a value or an error."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from mgit.running.tasks import RawResult, Task, attempt, read_value
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.model_tests import MAX_ERROR_LENGTH, ModelTestKind

TASK = Task(
    kind=ModelTestKind.BUILTIN, code="finite", code_digest="", arguments={}, inputs=None, model_uid="u"
)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, RawResult(value=1.0)),
        (0.5, RawResult(value=0.5)),
        (True, RawResult(value=1.0, is_truth=True)),
        (np.float32(0.25), RawResult(value=0.25)),
        (np.array(3), RawResult(value=3.0)),
        (ml_dtypes.bfloat16(2), RawResult(value=2.0)),
        (np.bool_(False), RawResult(value=0.0, is_truth=True)),
        (np.array(True), RawResult(value=1.0, is_truth=True)),
        (torch.tensor(0.5), RawResult(value=0.5)),
        (torch.tensor(True), RawResult(value=1.0, is_truth=True)),
    ],
)
def test_numbers_and_truth_values_are_values(value: Any, wanted: RawResult) -> None:
    assert read_value(value) == wanted


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")

    def __float__(self) -> float:
        raise RuntimeError("no number")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0.5", "it gave '0.5' of type str"),
        (b"1", "of type bytes"),
        (None, "it gave None of type NoneType"),
        ([1.0], "it gave [1.0] of type list"),
        (np.array([1.0, 2.0]), "of type ndarray"),
        (1 + 2j, "of type complex"),
        (10**400, "of type int"),
        (float("nan"), "finite number; it gave nan"),
        (float("-inf"), "finite number; it gave -inf"),
        (torch.tensor(float("inf")), "finite number"),
        (Unspeakable(), "something that cannot be shown of type Unspeakable"),
        ("x" * 10_000, "of type str"),
    ],
)
def test_anything_else_is_an_error_that_says_what_came(value: Any, told: str) -> None:
    found = read_value(value)
    assert found.value is None
    assert told in found.error
    assert len(found.error) < 300


def raising(error: BaseException) -> RawResult:
    def run(_: Task) -> RawResult:
        raise error

    return attempt(run, TASK)


class Mute(Exception):  # noqa: N818 - a name of a user's
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("bad weight"), "It raised ValueError: bad weight (in run, test_tasks.py, line "),
        (SystemExit(3), "It asked for the end of the process: exit code 3."),
        (KeyboardInterrupt(), "It raised KeyboardInterrupt"),
        (Mute(), "It raised Mute"),
        (MemoryError(), "It raised MemoryError"),
    ],
)
def test_whatever_is_raised_is_an_error(error: BaseException, told: str) -> None:
    found = raising(error)
    assert found.error.startswith(told)
    assert (found.value, found.reason) == (None, None)


def test_no_folder_of_the_user_is_told() -> None:
    assert __file__.rpartition("/")[0] not in raising(ValueError("x")).error


def test_an_error_is_not_longer_than_may_be_kept() -> None:
    found = raising(ValueError("x" * 100_000))
    assert len(found.error) == MAX_ERROR_LENGTH
    assert found.error.endswith("… (cut)")


def test_code_that_changed_meanwhile_is_told_with_its_reason() -> None:
    found = raising(FailedPreconditionError(ErrorReason.TEST_CODE_CHANGED, "It changed."))
    assert (found.error, found.reason) == ("It changed.", ErrorReason.TEST_CODE_CHANGED)
    other = raising(FailedPreconditionError(ErrorReason.MODEL_REMOVED, "It went."))
    assert (other.error, other.reason) == ("It went.", None)
