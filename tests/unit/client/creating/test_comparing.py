"""How far a rebuilt tensor is from the recorded one."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from mgit.creating.comparing import largest_difference
from mgit.creating.rebuilds import Rebuild, RebuildOutcome
from mgit.frameworks.arrays import read_arrays
from mgit.running.weights import SourceWeights
from mgit_core.lineage import ModelState, ModelSummary


def difference(before: Any, after: Any, dtype: Any = np.float32) -> tuple[float, float]:
    then = SourceWeights(read_arrays({"w": np.array(before, dtype)}), {})
    now = SourceWeights(read_arrays({"w": np.array(after, dtype)}), {})
    found = largest_difference("w", then, now)
    return found.largest_absolute, found.largest_relative


def test_the_largest_difference_counts_in_units_of_the_largest_item() -> None:
    assert difference([1, -4, 0], [1.5, -4, 0.25]) == (0.5, 0.125)
    assert difference([1, 2], [1, 2]) == (0.0, 0.0)
    assert difference([0, 0], [0, 0.5]) == (0.5, math.inf)
    assert difference([], []) == (0.0, 0.0)


def test_nan_and_infinity_differ_from_all_but_themselves() -> None:
    nan, inf = math.nan, math.inf
    assert difference([nan, inf, -inf, 2], [nan, inf, -inf, 1]) == (1.0, 0.5)
    assert difference([nan, 1], [0, 1]) == (inf, inf)
    assert difference([inf, 1], [-inf, 1]) == (inf, inf)
    assert difference([0.0], [-0.0]) == (0.0, 0.0)


def test_whole_numbers_are_subtracted_exactly() -> None:
    assert difference([2**62 + 1, 5], [2**62, 5], np.int64) == (1.0, pytest.approx(2.0**-62))
    assert difference([-128, 1], [127, 1], np.int8) == (255.0, pytest.approx(255 / 128))
    assert difference([2**64 - 1], [0], np.uint64)[0] == pytest.approx(2.0**64)
    assert difference([True, False], [True, True], np.bool_) == (1.0, 1.0)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.complex64])
def test_narrow_and_complex_numbers_are_compared(dtype: Any) -> None:
    assert difference([1, 2], [1.5, 2], dtype) == (0.5, 0.25)


def test_all_parts_of_a_large_tensor_are_looked_at() -> None:
    before = np.zeros((5000, 1000), np.float32)
    after = before.copy()
    before[0, 0] = after[0, 0] = 8
    after[-1, -1] = 2
    assert difference(before, after) == (2.0, 0.25)


def test_models_are_the_same_if_all_of_the_call_are() -> None:
    def rebuild(outcome: RebuildOutcome, *others: Rebuild) -> Rebuild:
        model = ModelSummary(
            uid="u", name="m", version=1, state=ModelState.PRESENT, created_at=datetime.now(UTC)
        )
        return Rebuild(model=model, outcome=outcome, tolerance=0.0, tensor_count=1, others=others)

    same, near = rebuild(RebuildOutcome.IDENTICAL), rebuild(RebuildOutcome.WITHIN_TOLERANCE)
    other = rebuild(RebuildOutcome.DIFFERENT)
    assert same.is_same
    assert rebuild(RebuildOutcome.IDENTICAL, near).is_same
    assert not other.is_same
    assert not rebuild(RebuildOutcome.IDENTICAL, near, other).is_same
    assert not rebuild(RebuildOutcome.OTHER_PARAMETERS).is_same
    assert repr(same) == "<rebuild of m@1: identical>"
