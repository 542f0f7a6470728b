"""Values of a bisection, and functions of a caller's as tests; the search itself is tried over a real service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from mgit.bisecting import BisectFinding, Bisection, BisectOutcome, BisectSource, BisectVerdict
from mgit.bisecting.examining import FunctionExaminer
from mgit.errors import ErrorReason, InvalidArgumentError, UnavailableError
from mgit.model import Model
from mgit.values import ModelState, ModelSummary


def summary(version: int) -> ModelSummary:
    return ModelSummary(
        uid=f"u{version}",
        name="m",
        version=version,
        created_at=datetime(2026, 1, version, tzinfo=UTC),
        state=ModelState.PRESENT,
    )


def finding(version: int, source: BisectSource) -> BisectFinding:
    return BisectFinding(model=summary(version), verdict=BisectVerdict.GOOD, source=source)


def bisection(outcome: BisectOutcome, *findings: BisectFinding) -> Bisection:
    return Bisection(
        outcome=outcome,
        reason="Because.",
        first_bad=None,
        suspects=(),
        contradiction=None,
        findings=findings,
        searched=3,
        unexplored=0,
    )


def examine(function: Any) -> BisectFinding:
    return FunctionExaminer(function, lambda model: cast("Model", model)).examine(summary(1))


def test_only_tests_that_ran_are_counted() -> None:
    sources = [BisectSource.TESTED, BisectSource.KNOWN, BisectSource.GIVEN, BisectSource.REMOVED]
    found = bisection(
        BisectOutcome.ALL_PASS, *(finding(place + 1, each) for place, each in enumerate(sources))
    )

    assert found.tests_run == 1


@pytest.mark.parametrize("outcome", BisectOutcome)
def test_search_without_an_answer_says_so(outcome: BisectOutcome) -> None:
    is_open = outcome in {BisectOutcome.AMBIGUOUS, BisectOutcome.NON_MONOTONIC}

    assert bisection(outcome).is_answered != is_open


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (True, BisectVerdict.GOOD),
        (False, BisectVerdict.BAD),
        (np.bool_(1), BisectVerdict.GOOD),
        (np.float32(1) > 2, BisectVerdict.BAD),
        (None, BisectVerdict.SKIPPED),
    ],
)
def test_truth_of_a_function_is_a_verdict(value: object, verdict: BisectVerdict) -> None:
    found = examine(lambda _: value)

    assert (found.verdict, found.source) == (verdict, BisectSource.TESTED)


@pytest.mark.parametrize("value", [0, 1, 0.5, "yes", [], np.float64(1)])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        examine(lambda _: value)

    assert raised.value.reason is ErrorReason.INVALID_TEST


def test_error_of_a_function_concerns_its_model_alone() -> None:
    assert examine(lambda model: model.nothing).error.startswith("AttributeError: ")


def test_error_of_the_service_ends_the_search() -> None:
    def unavailable(_: object) -> bool:
        raise UnavailableError(ErrorReason.SERVICE_UNAVAILABLE, "Nobody is there.")

    with pytest.raises(UnavailableError):
        examine(unavailable)


def test_function_knows_nothing_beforehand() -> None:
    assert FunctionExaminer(lambda _: True, lambda model: cast("Model", model)).recall([summary(1)]) == []
