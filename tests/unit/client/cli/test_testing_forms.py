"""Tests and runs as a person and as a program reads them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import typer

from mgit.cli.application import app
from mgit.cli.testing_forms import (
    document_of_run,
    document_of_test,
    result_lines,
    run_lines,
)
from mgit.cli.testing_forms import (
    test_line as line_of_test,
)
from mgit.cli.testing_forms import (
    test_lines as lines_of_tests,
)
from mgit.running import ModelTestRun
from mgit_core.errors import ErrorReason
from mgit_core.lineage import ModelState, ModelSummary
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    ModelTest,
    ModelTestKind,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
    judge,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TEST = ModelTest(
    uid="t",
    name="accuracy",
    scope=ModelTestScope.ALL,
    kind=ModelTestKind.ENTRY_POINT,
    code="checks:accuracy",
    metric="accuracy",
    created_at=NOW,
    updated_at=NOW,
    threshold=0.9,
)
KEYS = {
    *("ref", "uid", "test", "value", "outcome", "passed", "error", "run_at", "seconds", "code_digest"),
    *("inputs_digest", "parameters_digest", "metric", "direction", "threshold", "reused", "reason", "output"),
    "output_bytes",
}


def run_of(
    name: str, value: float | None, test: ModelTest = TEST, *, is_truth: bool = False, **fields: Any
) -> ModelTestRun:
    model = ModelSummary(uid=name, name=name, version=1, state=ModelState.PRESENT, created_at=NOW)
    result = ModelTestResult(
        key=ResultKey(test_uid="t", code_digest=b"c", inputs_digest=b"", parameters_digest=b"p"),
        model_uid=name,
        value=value,
        is_truth=is_truth,
        outcome=judge(test, value, is_truth=is_truth),
        error="" if value is not None else "It raised ValueError: bad.",
        run_at=NOW,
        seconds=0.25,
        test_name=test.name,
        model=model,
    )
    return ModelTestRun(test=test, result=result, **fields)


def plain(text: str, color: str) -> str:  # noqa: ARG001 - as a terminal without colors
    return text


def test_bad_runs_come_first_and_errors_say_why() -> None:
    runs = [
        run_of("good", 0.95, is_reused=True),
        run_of("worse", 0.5),
        run_of("broken", None, output="line one\nline two", output_bytes=17),
    ]
    lines = list(run_lines(runs, plain))
    assert [line.split() for line in lines[:4]] == [
        ["OUTCOME", "TEST", "MODEL", "VALUE", "PASSES", "TIME"],
        ["ERROR", "accuracy", "broken@1", "-", ">=", "0.9", "250", "ms"],
        ["FAILED", "accuracy", "worse@1", "0.5", ">=", "0.9", "250", "ms"],
        ["passed", "accuracy", "good@1", "0.95", ">=", "0.9", "reused"],
    ]
    assert "accuracy on broken@1: It raised ValueError: bad." in lines
    assert lines[-4:-2] == ["  | line one", "  | line two"]
    assert lines[-1] == (
        "1 test on 3 models: 1 passed, 1 failed, 1 could not be run. 1 of them known before."
    )


def test_long_output_says_how_much_there_was() -> None:
    run = run_of("broken", None, output="end", output_bytes=1_000_000)
    assert "  It printed 1,000,000 bytes, at the end:" in list(run_lines([run], plain))


def test_only_the_outcome_is_colored() -> None:
    lines = list(run_lines([run_of("worse", 0.5)], lambda text, color: f"<{text} {color}>"))
    assert lines[1].startswith("<FAILED #c0392b>   accuracy")


def test_nothing_is_no_table() -> None:
    assert list(run_lines([], plain)) == list(result_lines([], plain)) == list(lines_of_tests([])) == []


@pytest.mark.parametrize(
    ("run", "value", "passed"),
    [
        (run_of("m", 0.95), 0.95, True),
        (run_of("m", 0.5), 0.5, False),
        (run_of("m", None), None, False),
        (run_of("m", 0.5, replace(TEST, threshold=None)), 0.5, None),
        (run_of("m", 1.0, replace(TEST, threshold=None), is_truth=True), True, True),
    ],
)
def test_a_run_as_json_has_the_keys_of_the_contract(run: ModelTestRun, value: Any, passed: Any) -> None:
    document = json.loads(json.dumps(document_of_run(run)))
    assert document.keys() == KEYS
    assert (document["ref"], document["test"], document["reused"]) == ("m@1", "accuracy", False)
    assert (document["value"], document["passed"]) == (value, passed)


def test_a_run_that_could_not_begin_says_its_reason() -> None:
    run = run_of("m", None, reason=ErrorReason.TEST_CODE_CHANGED)
    assert document_of_run(run)["reason"] == "TEST_CODE_CHANGED"


def test_a_test_is_told_in_a_line() -> None:
    lower = replace(TEST, direction=MetricDirection.LOWER, scope=ModelTestScope.TYPE, type="encoder")
    one = replace(TEST, threshold=None, scope=ModelTestScope.MODEL, model_ref="m@1")
    assert line_of_test(TEST) == "accuracy for all models: accuracy, >= 0.9"
    assert line_of_test(lower) == "accuracy for type encoder: accuracy, <= 0.9"
    assert line_of_test(one) == "accuracy for m@1: accuracy"
    [_, row] = lines_of_tests([lower])
    assert row.split() == [
        *("accuracy", "type", "encoder", "entry-point", "checks:accuracy", "accuracy", "<=", "0.9"),
    ]


def test_a_test_is_json() -> None:
    document = json.loads(json.dumps(document_of_test(replace(TEST, arguments={"k": 2}))))
    assert (document["name"], document["scope"], document["arguments"]) == ("accuracy", "all", {"k": 2})
    assert (document["model"], document["type"], document["removed"]) == (None, None, False)


def test_the_group_has_the_commands_of_the_contract() -> None:
    group: Any = typer.main.get_group(app).get_command(None, "test")  # type: ignore[arg-type]
    options = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in group.commands.items()
    }
    assert options.keys() == {"register", "ls", "run", "results", "trust", "rm"}
    assert options["register"] >= {
        *("--entry-point", "--command", "--builtin", "--for", "--for-type", "--for-all", "--direction"),
        *("--threshold", "--tolerance", "--metric", "--inputs", "--dataset", "--arg", "--timeout"),
        "--replace",
    }
    assert options["run"] >= {"--over", "--descendants-of", "--jobs", "--rerun"}
    for name, command in group.commands.items():
        assert f"Example: mgit test {name}" in command.help
