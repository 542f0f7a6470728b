"""Tests, runs and results as JSON, and as tables for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from mgit.cli.documents import Document
from mgit.cli.formatting import format_moment, format_seconds, format_table
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import ModelTest, ModelTestOutcome, ModelTestResult, ModelTestScope

if TYPE_CHECKING:
    from mgit.running import ModelTestRun

__all__ = [
    "document_of_result",
    "document_of_run",
    "document_of_test",
    "result_lines",
    "run_lines",
    "test_line",
    "test_lines",
]

Paint = Callable[[str, str], str]

# Failing ones first: they are what the reader looks for.
_ORDER = (
    ModelTestOutcome.ERROR,
    ModelTestOutcome.FAILED,
    ModelTestOutcome.MEASURED,
    ModelTestOutcome.PASSED,
)
_COLORS = {
    ModelTestOutcome.ERROR: "#c0392b",
    ModelTestOutcome.FAILED: "#c0392b",
    ModelTestOutcome.PASSED: "#1e8449",
}
_WORDS = {ModelTestOutcome.ERROR: "ERROR", ModelTestOutcome.FAILED: "FAILED"}
_PASSED = {ModelTestOutcome.PASSED: True, ModelTestOutcome.FAILED: False, ModelTestOutcome.ERROR: False}


def document_of_test(test: ModelTest) -> Document:
    """A test with all that was said of it."""
    dataset = test.dataset
    return {
        "name": test.name,
        "uid": test.uid,
        "scope": test.scope.value,
        "model": test.model_ref or None,
        "type": test.type,
        "kind": test.kind.value,
        "code": test.code,
        "code_digest": test.code_digest.hex(),
        "arguments": dict(test.arguments),
        "inputs": test.inputs_uri or None,
        "inputs_digest": test.inputs_digest.hex(),
        "dataset": None if dataset is None else {"name": dataset.name, "version": dataset.version},
        "metric": test.metric,
        "direction": test.direction.value,
        "threshold": test.threshold,
        "tolerance": test.tolerance,
        "timeout_s": test.timeout_s,
        "created_at": test.created_at.isoformat(timespec="milliseconds"),
        "updated_at": test.updated_at.isoformat(timespec="milliseconds"),
        "removed": test.is_removed,
    }


def document_of_result(result: ModelTestResult) -> Document:
    """A result; ``passed`` is null for a value that is not judged, and false for an error."""
    value = None if result.value is None else bool(result.value) if result.is_truth else result.value
    return {
        "ref": "" if result.model is None else result.model.ref,
        "uid": result.model_uid,
        "test": result.test_name,
        "value": value,
        "outcome": result.outcome.value,
        "passed": _PASSED.get(result.outcome),
        "error": result.error or None,
        "run_at": result.run_at.isoformat(timespec="milliseconds"),
        "seconds": result.seconds,
        "code_digest": result.key.code_digest.hex(),
        "inputs_digest": result.key.inputs_digest.hex(),
        "parameters_digest": result.key.parameters_digest.hex(),
    }


def document_of_run(run: ModelTestRun) -> Document:
    """A run: its result, whether that was known, and what the test printed."""
    return {
        **document_of_result(run.result),
        "test": run.test.name,
        "metric": run.test.metric,
        "direction": run.test.direction.value,
        "threshold": run.test.threshold,
        "reused": run.is_reused,
        "reason": None if run.reason is None else run.reason.value,
        "output": run.output,
        "output_bytes": run.output_bytes,
    }


def test_line(test: ModelTest) -> str:
    """A test in some words: name, for which models, what it measures, and what passes."""
    passes = _passes(test)
    return f"{test.name} for {_scope(test)}: {test.metric}{', ' if passes else ''}{passes}"


def test_lines(tests: Sequence[ModelTest]) -> Iterator[str]:
    """A table of tests."""
    rows = [
        (test.name, _scope(test), f"{test.kind.value} {test.code}"[:60], test.metric, _passes(test))
        for test in tests
    ]
    return format_table(("TEST", "FOR", "RUNS", "METRIC", "PASSES"), rows, "lllll") if rows else iter(())


def run_lines(runs: Sequence[ModelTestRun], paint: Paint) -> Iterator[str]:
    """A table of runs, the bad ones first; why each error is one; and the counts."""
    ordered = sorted(runs, key=lambda run: (_ORDER.index(run.outcome), run.test.name, run.model.ref))
    rows = [
        (
            _word(run.outcome),
            run.test.name,
            run.model.ref,
            _value(run.result),
            _passes(run.test),
            "reused" if run.is_reused else format_seconds(run.result.seconds),
        )
        for run in ordered
    ]
    if not rows:
        return
    headers = ("OUTCOME", "TEST", "MODEL", "VALUE", "PASSES", "TIME")
    outcomes = [None, *(run.outcome for run in ordered)]
    yield from _painted(format_table(headers, rows, "lllrlr"), outcomes, paint)
    for run in ordered:
        if run.outcome is ModelTestOutcome.ERROR:
            yield from _error_lines(run)
    yield ""
    yield _counts(runs)


def result_lines(results: Sequence[ModelTestResult], paint: Paint) -> Iterator[str]:
    """A table of results, in the order given."""
    rows = [
        (
            _word(each.outcome),
            each.test_name,
            "" if each.model is None else each.model.ref,
            _value(each),
            format_moment(each.run_at),
            each.error[:100],
        )
        for each in results
    ]
    if not rows:
        return
    headers = ("OUTCOME", "TEST", "MODEL", "VALUE", "WHEN", "WHY")
    outcomes = [None, *(each.outcome for each in results)]
    yield from _painted(format_table(headers, rows, "lllrll"), outcomes, paint)


def _painted(
    lines: Iterator[str], outcomes: Sequence[ModelTestOutcome | None], paint: Paint
) -> Iterator[str]:
    """The lines with their first word in the color of its outcome."""
    for line, outcome in zip(lines, outcomes, strict=True):
        color = None if outcome is None else _COLORS.get(outcome)
        word, _, rest = line.partition(" ")
        yield line if color is None else f"{paint(word, color)} {rest}"


def _error_lines(run: ModelTestRun) -> Iterator[str]:
    yield ""
    yield f"{run.test.name} on {run.model.ref}: {run.result.error}"
    if run.output_bytes:
        is_cut = run.output_bytes > len(run.output.encode())
        yield f"  It printed{f' {run.output_bytes:,} bytes, at the end' if is_cut else ''}:"
        yield from (f"  | {line}" for line in run.output.splitlines())


def _counts(runs: Sequence[ModelTestRun]) -> str:
    counts = Counter(run.outcome for run in runs)
    told = ", ".join(f"{counts[outcome]} {_noun(outcome)}" for outcome in reversed(_ORDER) if counts[outcome])
    tests, models = len({run.test.uid for run in runs}), len({run.model.uid for run in runs})
    reused = sum(run.is_reused for run in runs)
    known = f" {reused} of them known before." if reused else ""
    return f"{_plural(tests, 'test')} on {_plural(models, 'model')}: {told}.{known}"


def _noun(outcome: ModelTestOutcome) -> str:
    return "could not be run" if outcome is ModelTestOutcome.ERROR else outcome.value


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _word(outcome: ModelTestOutcome) -> str:
    return _WORDS.get(outcome, outcome.value)


def _value(result: ModelTestResult) -> str:
    if result.value is None:
        return "-"
    return str(bool(result.value)).lower() if result.is_truth else f"{result.value:.6g}"


def _scope(test: ModelTest) -> str:
    if test.scope is ModelTestScope.MODEL:
        return test.model_ref
    return "all models" if test.scope is ModelTestScope.ALL else f"type {test.type}"


def _passes(test: ModelTest) -> str:
    if test.threshold is None:
        return ""
    sign = ">=" if test.direction is MetricDirection.HIGHER else "<="
    return f"{sign} {test.threshold:g}"
