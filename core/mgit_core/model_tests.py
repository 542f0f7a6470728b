"""Model tests and their results, as values.

A test measures a model: a number, or a truth value, which counts as 1 or 0. It is judged by direction and
threshold. The server keeps tests and results and never runs them.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mgit_core.digest import DIGEST_SIZE, Digest, DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset, MetadataValue, ModelSummary, check_metadata
from mgit_core.metric import DEFAULT_TOLERANCE, MetricDirection, is_no_worse
from mgit_core.names import MAX_NAME_LENGTH, check_model_name, make_uid

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
    "check_result",
    "fitted_error",
    "judge",
    "judge_value",
    "make_result_uid",
    "measurement_digest",
    "redefined",
]

DEFAULT_TIMEOUT_S = 600.0
MAX_ERROR_LENGTH = 4_000
_MAX_CODE_LENGTH = 4_000
_MAX_METRIC_LENGTH = 200
_MAX_URI_LENGTH = 4_000
_CUT = "... (cut)"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


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
        outcome: The judgement, by the test's threshold and direction at the time of reading: not kept.
        error: Why there is no value, for a person; empty if there is one.
        run_at: When the run ended, UTC.
        seconds: How long it took.
        uid: As ``make_result_uid`` gives it, so that results sort by the end of their run; empty before it is
            recorded.
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
    uid: str = ""
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
    return judge_value(value, is_truth=is_truth, threshold=test.threshold, direction=test.direction)


def judge_value(
    value: float | None, *, is_truth: bool, threshold: float | None, direction: MetricDirection
) -> ModelTestOutcome:
    """What ``value`` says under a threshold and a direction; as ``judge``, where no whole test is at hand."""
    if value is None:
        return ModelTestOutcome.ERROR
    if threshold is None and not is_truth:
        return ModelTestOutcome.MEASURED
    is_good = value >= 1 if threshold is None else is_no_worse(value, threshold, direction)
    return ModelTestOutcome.PASSED if is_good else ModelTestOutcome.FAILED


def measurement_digest(test: ModelTest) -> Digest:
    """Digest of what a test measures: its kind, code and arguments.

    Where two definitions of a test agree in it, and in the digests of code and inputs, a value that was measured
    under one holds under the other; threshold and direction only judge it.
    """
    measured = [test.kind, test.code, sorted(test.arguments.items())]
    return digest_of(DigestAlgorithm.SHA256, json.dumps(measured).encode())


def redefined(known: ModelTest, new: ModelTest) -> ModelTest:
    """The registered test ``known`` with the definition of ``new``; ``known`` itself if that is its own."""
    redone = replace(new, uid=known.uid, created_at=known.created_at)
    same = replace(redone, updated_at=known.updated_at, model_ref=known.model_ref)
    # Arguments that differ in their kind only, such as 1 and true, are equal to Python.
    is_same = same == known and measurement_digest(same) == measurement_digest(known)
    return known if is_same else redone


def make_result_uid(run_at: datetime, random: bytes) -> str:
    """The UUIDv7 of a result: results sort by the end of their run, to the microsecond.

    Args:
        run_at: From 1970 on.
        random: 8 random bytes.

    Source: RFC 9562, section 6.2, method 3.
    """
    unix_ms, within = divmod(run_at - _EPOCH, _MILLISECOND)
    fraction = within * 4096 // _MILLISECOND
    return make_uid(unix_ms, fraction.to_bytes(2, "big") + random[:8])


def fitted_error(text: str) -> str:
    """``text``, cut to ``MAX_ERROR_LENGTH`` characters with a note that it was."""
    return text if len(text) <= MAX_ERROR_LENGTH else text[: MAX_ERROR_LENGTH - len(_CUT)] + _CUT


def check_result(result: ModelTestResult) -> ModelTestResult:
    """``result``, if it may be kept.

    Raises:
        InvalidArgumentError: INVALID_TEST.
    """
    value = result.value
    if (value is None) == (not result.error):
        found = "neither" if value is None else "both"
        raise _invalid(f"A result has a value, or an error that says why there is none; found {found}.")
    if value is not None and not math.isfinite(value):
        raise _invalid(f"The value of a result is a finite number; found {value}. Record an error instead.")
    if value is not None and result.is_truth and value not in {0.0, 1.0}:
        raise _invalid(f"A truth value counts as 1 or 0; found {value}.")
    if len(result.error) > MAX_ERROR_LENGTH:
        raise _invalid(
            f"The error of a result has at most {MAX_ERROR_LENGTH} characters; found {len(result.error)}."
        )
    if not (math.isfinite(result.seconds) and result.seconds >= 0):
        raise _invalid(f"A run takes a finite number of seconds, at least 0; found {result.seconds}.")
    if result.run_at < _EPOCH:
        raise _invalid(f"A run ends after the beginning of 1970; found {result.run_at.isoformat()}.")
    _check_digest("code", result.key.code_digest)
    _check_digest("inputs", result.key.inputs_digest)
    _check_digest("parameters", result.key.parameters_digest, is_needed=True)
    return result


def check_model_test(test: ModelTest) -> ModelTest:
    """``test``, if every field may be kept.

    Raises:
        InvalidArgumentError: INVALID_NAME, INVALID_METADATA or INVALID_TEST.
    """
    check_model_name(test.name)
    check_metadata(test.arguments)
    _check_scope(test)
    _check_dataset(test.dataset)
    _check_digest("code", test.code_digest)
    _check_digest("inputs", test.inputs_digest)
    _check_text("code", test.code, _MAX_CODE_LENGTH, is_needed=True)
    _check_text("metric", test.metric, _MAX_METRIC_LENGTH, is_needed=True)
    _check_text("inputs", test.inputs_uri, _MAX_URI_LENGTH)
    if test.kind is ModelTestKind.ENTRY_POINT and not all(test.code.partition(":")):
        raise _invalid(f"An entry point is written MODULE:FUNCTION; found {test.code[:80]!r}.")
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
    if test.type is not None and "/" in check_model_name(test.type):
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME, f"A model type is one segment of a name; found {test.type!r}."
        )


def _check_dataset(dataset: Dataset | None) -> None:
    if dataset is None:
        return
    check_model_name(dataset.name)
    if len(dataset.version) > MAX_NAME_LENGTH or not dataset.version.isprintable():
        raise InvalidArgumentError(
            ErrorReason.INVALID_NAME,
            f"The version of a data set has at most {MAX_NAME_LENGTH} printable characters; found "
            f"{dataset.version[:80]!r}.",
        )


def _check_digest(field_name: str, digest: Digest, *, is_needed: bool = False) -> None:
    if len(digest) != DIGEST_SIZE and (digest or is_needed):
        wanted = f"{DIGEST_SIZE} bytes" if is_needed else f"{DIGEST_SIZE} bytes, or none"
        raise _invalid(f"The digest of the {field_name} has {wanted}; found {len(digest)}.")


def _check_text(field_name: str, text: str, longest: int, *, is_needed: bool = False) -> None:
    if (is_needed and not text) or len(text) > longest or "\0" in text:
        at_least = 1 if is_needed else 0
        raise _invalid(
            f"The {field_name} of a test has {at_least} to {longest} characters; found {len(text)}: {text[:80]!r}."
        )


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_TEST, message)
