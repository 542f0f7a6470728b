"""Model tests and their results, as values.

A test measures a model: a number, or a truth value, which counts as 1 or 0. It is judged by direction and
threshold. The server keeps tests and results and never runs them.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset, MetadataValue, ModelSummary, check_metadata
from mgit_core.metric import DEFAULT_TOLERANCE, MetricDirection, is_no_worse
from mgit_core.names import check_model_name

__all__ = [
    "DEFAULT_TIMEOUT_S",
    "MAX_ERROR_LENGTH",
    "ApplicableTests",
    "ModelTest",
    "ModelTestKind",
    "ModelTestOutcome",
    "ModelTestResult",
    "ModelTestScope",
    "ResultKey",
    "check_model_test",
    "judge",
]

DEFAULT_TIMEOUT_S = 600.0
MAX_ERROR_LENGTH = 4_000
_MAX_CODE_LENGTH = 4_000
_MAX_METRIC_LENGTH = 200
_MAX_URI_LENGTH = 4_000


class ModelTestKind(enum.StrEnum):
    """What runs when a test is run."""

    ENTRY_POINT = "entry-point"
    COMMAND = "command"
    BUILTIN = "builtin"


class ModelTestScope(enum.StrEnum):
    """Which models a test applies to."""

    MODEL = "model"
    TYPE = "type"
    ALL = "all"


class ModelTestOutcome(enum.StrEnum):
    """What came out of a test.

    ``MEASURED`` is a value without a threshold to judge it by; ``ERROR`` is a run without a value.
    """

    PASSED = "passed"
    FAILED = "failed"
    MEASURED = "measured"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTest:
    """What a model has to hold.

    Attributes:
        uid: UUIDv7, the same wherever the test is copied to.
        name: Written as a model name; unique among registered tests, case ignored.
        scope: Which models it applies to.
        model_uid: The model, with scope MODEL; else None.
        model_ref: Its reference, ``NAME@VERSION``; filled in by the graph, else empty.
        type: The model type, with scope TYPE; else None.
        kind: What runs.
        code: ``MODULE:FUNCTION``, a command line, or the name of a built-in test.
        code_digest: Digest of the source behind ``code``; empty if no source is at hand.
        arguments: Handed to the test by name.
        dataset: What the inputs belong to, or None.
        inputs_uri: Where the inputs lie for the one who runs the test; empty if there are none.
        inputs_digest: Digest of the bytes of the inputs; empty if there are none.
        metric: Name of what is measured.
        direction: Which values are better.
        threshold: The worst value that passes, in units of the metric; None if values are only kept, except
            truth values, which are judged against 1 then.
        tolerance: Largest loss where the test guards a lossy model, in units of the metric.
        timeout_s: Seconds after which a run is given up.
        created_at: When it was registered, UTC.
        updated_at: When its definition last changed, UTC.
        is_removed: Whether it was deregistered.
    """

    uid: str
    name: str
    scope: ModelTestScope
    kind: ModelTestKind
    code: str
    metric: str
    created_at: datetime
    updated_at: datetime
    model_uid: str | None = None
    model_ref: str = ""
    type: str | None = None
    code_digest: Digest = b""
    arguments: Mapping[str, MetadataValue] = field(default_factory=dict)
    dataset: Dataset | None = None
    inputs_uri: str = ""
    inputs_digest: Digest = b""
    direction: MetricDirection = MetricDirection.HIGHER
    threshold: float | None = None
    tolerance: float = DEFAULT_TOLERANCE
    timeout_s: float = DEFAULT_TIMEOUT_S
    is_removed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKey:
    """What makes a result reusable: the same code on the same inputs and the same parameters.

    Attributes:
        test_uid: The test.
        code_digest: The code that ran.
        inputs_digest: The inputs.
        parameters_digest: The parameter set.
    """

    test_uid: str
    code_digest: Digest
    inputs_digest: Digest
    parameters_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTestResult:
    """What came out when a test was run on a model.

    Attributes:
        key: What was tested with what.
        model_uid: The model.
        value: What was measured, finite; None if the run had no value.
        is_truth: Whether the value was a truth value.
        outcome: The judgement.
        error: Why there is no value, for a person; empty if there is one.
        run_at: When the run ended, UTC.
        seconds: How long it took.
        test_name: Name of the test; filled in by the graph, else empty.
        model: The model; filled in by the graph, else None.
    """

    key: ResultKey
    model_uid: str
    value: float | None
    is_truth: bool
    outcome: ModelTestOutcome
    error: str
    run_at: datetime
    seconds: float
    test_name: str = ""
    model: ModelSummary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicableTests:
    """The tests of one present model.

    Attributes:
        model: The model.
        parameters_digest: Its parameter set.
        tests: Registered tests that apply to it, by name in lower case.
    """

    model: ModelSummary
    parameters_digest: Digest
    tests: tuple[ModelTest, ...]


def judge(test: ModelTest, value: float | None, *, is_truth: bool) -> ModelTestOutcome:
    """What ``value`` says under the threshold and direction of ``test``."""
    if value is None:
        return ModelTestOutcome.ERROR
    if test.threshold is None and not is_truth:
        return ModelTestOutcome.MEASURED
    threshold = test.threshold
    is_good = value >= 1 if threshold is None else is_no_worse(value, threshold, test.direction)
    return ModelTestOutcome.PASSED if is_good else ModelTestOutcome.FAILED


def check_model_test(test: ModelTest) -> ModelTest:
    """``test``, if every field may be kept.

    Raises:
        InvalidArgumentError: INVALID_NAME, INVALID_METADATA or INVALID_TEST.
    """
    check_model_name(test.name)
    check_metadata(test.arguments)
    _check_scope(test)
    _check_text("code", test.code, _MAX_CODE_LENGTH, is_needed=True)
    _check_text("metric", test.metric, _MAX_METRIC_LENGTH, is_needed=True)
    _check_text("inputs", test.inputs_uri, _MAX_URI_LENGTH)
    if test.threshold is not None and not math.isfinite(test.threshold):
        raise _invalid(f"The threshold of test {test.name} is a finite number; found {test.threshold}.")
    if not (math.isfinite(test.tolerance) and test.tolerance >= 0):
        raise _invalid(
            f"The tolerance of test {test.name} is a finite number of at least 0; found {test.tolerance}."
        )
    if not (math.isfinite(test.timeout_s) and test.timeout_s > 0):
        raise _invalid(f"The timeout of test {test.name} is more than 0 seconds; found {test.timeout_s}.")
    return test


def _check_scope(test: ModelTest) -> None:
    wanted = {
        ModelTestScope.MODEL: (True, False),
        ModelTestScope.TYPE: (False, True),
        ModelTestScope.ALL: (False, False),
    }[test.scope]
    if (test.model_uid is not None, bool(test.type)) != wanted:
        raise _invalid(
            f"Test {test.name} is for one model, for one type, or for all; its scope says {test.scope}."
        )


def _check_text(field_name: str, text: str, longest: int, *, is_needed: bool = False) -> None:
    if (is_needed and not text) or len(text) > longest or "\0" in text:
        at_least = 1 if is_needed else 0
        raise _invalid(
            f"The {field_name} of a test has {at_least} to {longest} characters; found {len(text)}: {text[:80]!r}."
        )


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_TEST, message)
