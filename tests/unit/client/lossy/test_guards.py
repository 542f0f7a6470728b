"""Guards: found, asked, and refused with what was wanted."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgit
from mgit.entry_points import user_modules
from mgit.errors import ErrorReason, InvalidArgumentError
from mgit.frameworks.arrays import read_arrays
from mgit.lossy.guards import open_guard
from mgit.lossy.weights import GuardedModel
from mgit_core.digest import DigestAlgorithm
from mgit_core.metric import MetricDirection

BLAKE3 = DigestAlgorithm.BLAKE3
MODEL = GuardedModel(read_arrays({"w": np.arange(3.0)}))


def total(model: GuardedModel) -> float:
    return float(sum(array.sum() for array in model.values()))


@mgit.guard(metric="loss", direction="lower", tolerance=0.25)
def half(model: GuardedModel) -> float:
    return total(model) / 2


def _refusal(guard: Any) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        open_guard(guard, BLAKE3).measure(MODEL)
    assert caught.value.reason == ErrorReason.INVALID_GUARD
    return caught.value.message


def test_a_function_is_a_guard_with_half_a_point_of_tolerance() -> None:
    guard = open_guard(total, BLAKE3)
    assert (guard.metric, guard.direction, guard.tolerance) == ("total", MetricDirection.HIGHER, 0.005)
    assert guard.entry_point == f"{__name__}:total"
    assert guard.measure(MODEL) == 3.0


def test_a_guard_tells_what_it_measures() -> None:
    guard = open_guard(half, BLAKE3)
    assert (guard.metric, guard.direction, guard.tolerance) == ("loss", MetricDirection.LOWER, 0.25)
    assert half(MODEL) == guard.measure(MODEL) == 1.5


def test_the_code_of_a_guard_has_a_digest() -> None:
    assert len(open_guard(total, BLAKE3).code_digest) == 32
    assert open_guard(total, BLAKE3).code_digest != open_guard(half, BLAKE3).code_digest
    assert open_guard(len, BLAKE3).code_digest == b""


def test_an_object_that_can_be_called_is_a_guard() -> None:
    class Count:
        def __call__(self, model: GuardedModel) -> int:
            return len(model)

    guard = open_guard(Count(), BLAKE3)
    assert guard.metric.endswith("Count")
    assert guard.measure(MODEL) == 1.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing of it imported afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("guards_here", "broken_here"):
        sys.modules.pop(name, None)


def test_a_guard_is_imported_from_the_current_folder(folder: Path) -> None:
    (folder / "guards_here.py").write_text(
        "class Checks:\n    @staticmethod\n    def size(model):\n        return len(model)\n"
    )
    before = list(sys.path)
    with user_modules():
        guard = open_guard("guards_here:Checks.size", BLAKE3)
    assert sys.path == before
    assert (guard.entry_point, guard.measure(MODEL)) == ("guards_here:Checks.size", 1.0)


def test_a_module_that_is_not_there_or_broken_is_told(folder: Path) -> None:
    (folder / "broken_here.py").write_text("import nothing_of_that_name\n")
    with user_modules():
        assert "cannot be imported" in _refusal("absent_here:check")
        assert "nothing_of_that_name" in _refusal("broken_here:check")


@pytest.mark.parametrize("text", ["", "accuracy", "module:", ":function"])
def test_a_guard_is_written_module_and_function(text: str) -> None:
    assert "MODULE:FUNCTION" in _refusal(text)


def test_a_function_that_is_not_there_or_none_is_told() -> None:
    assert "has no function 'absent'" in _refusal("json:absent")
    assert "A guard is a function" in _refusal("json:__name__")


def test_a_guard_that_raises_is_told_with_its_error() -> None:
    def broken(model: GuardedModel) -> float:
        return float(model["absent"].sum())

    assert "raised KeyError: 'absent'" in _refusal(broken)


@pytest.mark.parametrize("value", [None, "0.9", np.ones(2), [1.0], 1j])
def test_a_guard_that_returns_no_number_is_told(value: Any) -> None:
    assert "returns a number" in _refusal(lambda _: value)


@pytest.mark.parametrize("value", [1, True, np.float32(1), np.ones(()), np.ones(1)[0]])
def test_numbers_of_any_kind_are_numbers(value: Any) -> None:
    assert open_guard(lambda _: value, BLAKE3).measure(MODEL) == 1.0


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("metric", 7, "is a name"),
        ("direction", "up", "higher or lower"),
        ("tolerance", -1, "at least 0"),
        ("tolerance", float("nan"), "finite"),
        ("tolerance", "much", "finite number"),
        ("tolerance", True, "finite number"),
    ],
)
def test_a_guard_that_tells_nonsense_is_refused(name: str, value: object, wanted: str) -> None:
    def check(model: GuardedModel) -> int:
        return len(model)

    setattr(check, name, value)
    assert wanted in _refusal(check)


def test_a_guard_holds_up_to_its_tolerance_and_no_further() -> None:
    higher, lower = open_guard(total, BLAKE3), open_guard(half, BLAKE3)
    assert higher.holds(0.864, 0.859, 0.005)
    assert higher.holds(0.8, 0.9, 0.0)
    assert not higher.holds(0.8, 0.794, 0.005)
    assert lower.holds(1.0, 1.25, 0.25)
    assert lower.holds(1.0, -5.0, 0.0)
    assert not lower.holds(1.0, 1.26, 0.25)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_never_holds(value: float) -> None:
    assert not open_guard(total, BLAKE3).holds(0.5, value, 1e300)


@pytest.mark.parametrize(("function", "good", "bad"), [(total, 0.9, 0.8), (half, 0.8, 0.9)])
def test_a_threshold_that_the_original_kept_is_kept(function: Any, good: float, bad: float) -> None:
    guard = replace(open_guard(function, BLAKE3), threshold=0.85)
    assert guard.holds(good, 0.85, 1.0)
    assert not guard.holds(good, bad, 1.0)
    # An original that is beyond it already has nothing to keep.
    assert guard.holds(bad, bad, 0.0)
