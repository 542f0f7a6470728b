"""Model tests and results from rows of the graph, and back. Their times are numbers, so that JSON can hold a row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from mgit_core.lineage import Dataset
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import (
    ModelTest,
    ModelTestKind,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
    judge_value,
    measurement_digest,
)
from mgit_core.ports.exchange import KeptResult
from mgit_storage.lineage import records
from mgit_storage.lineage.records import Row

__all__ = [
    "kept_result_from_row",
    "kept_result_row",
    "key_row",
    "model_test_from_row",
    "model_test_properties",
    "result_from_row",
    "result_row",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def model_test_properties(test: ModelTest) -> Row:
    """The properties of a registered test; what it applies to is an edge."""
    dataset = test.dataset
    return {
        "uid": test.uid,
        "name": test.name,
        "name_lower": test.name.lower(),
        "scope": test.scope.value,
        "kind": test.kind.value,
        "code": test.code,
        "code_digest": test.code_digest.hex(),
        "arguments": json.dumps(dict(sorted(test.arguments.items()))),
        "dataset_name": None if dataset is None else dataset.name,
        "dataset_version": None if dataset is None else dataset.version,
        "inputs_uri": test.inputs_uri,
        "inputs_digest": test.inputs_digest.hex(),
        "measurement": measurement_digest(test).hex(),
        "metric": test.metric,
        "direction": test.direction.value,
        "threshold": None if test.threshold is None else float(test.threshold),
        "tolerance": float(test.tolerance),
        "timeout_s": float(test.timeout_s),
        "created_at": test.created_at,
        "updated_at": test.updated_at,
        "is_removed": False,
    }


def model_test_from_row(row: Row) -> ModelTest:
    """A test from a row of one of the describing queries."""
    test = row["test"]
    dataset = test.get("dataset_name")
    return ModelTest(
        uid=test["uid"],
        name=test["name"],
        scope=ModelTestScope(test["scope"]),
        kind=ModelTestKind(test["kind"]),
        code=test["code"],
        metric=test["metric"],
        created_at=_moment(test["created_at"]),
        updated_at=_moment(test["updated_at"]),
        model_uid=row["model_uid"],
        model_ref=row["model_ref"] or "",
        type=row["type"],
        code_digest=bytes.fromhex(test["code_digest"]),
        arguments=json.loads(test["arguments"]),
        dataset=None if dataset is None else Dataset(name=dataset, version=test["dataset_version"]),
        inputs_uri=test["inputs_uri"],
        inputs_digest=bytes.fromhex(test["inputs_digest"]),
        direction=MetricDirection(test["direction"]),
        threshold=test.get("threshold"),
        tolerance=test["tolerance"],
        timeout_s=test["timeout_s"],
        is_removed=test["is_removed"],
    )


def key_row(key: ResultKey) -> Row:
    """A key as the graph keeps it."""
    return {
        "test_uid": key.test_uid,
        "code_digest": key.code_digest.hex(),
        "inputs_digest": key.inputs_digest.hex(),
        "parameters_digest": key.parameters_digest.hex(),
    }


def result_row(result: ModelTestResult) -> Row:
    """A new result, with the ends of its edges."""
    key = key_row(result.key)
    test_uid = key.pop("test_uid")
    properties = {
        **key,
        "uid": result.uid,
        "value": None if result.value is None else float(result.value),
        "is_truth": result.is_truth,
        "error": result.error,
        "run_at": result.run_at,
        "seconds": float(result.seconds),
    }
    return {"test_uid": test_uid, "model_uid": result.model_uid, "properties": properties}


def kept_result_row(kept: KeptResult) -> Row:
    """A result of another store, with the ends of its edges."""
    row = result_row(kept.result)
    properties = {**row["properties"], "measurement": kept.measurement.hex()}
    return {**row, "properties": properties}


def kept_result_from_row(row: Row) -> KeptResult:
    """A result with what its test measured then."""
    return KeptResult(result=result_from_row(row), measurement=bytes.fromhex(row["measurement"]))


def result_from_row(row: Row) -> ModelTestResult:
    """A result, judged by what the row says of its test."""
    result, test = row["result"], row["test"]
    value, is_truth = result["value"], result["is_truth"]
    return ModelTestResult(
        key=ResultKey(
            test_uid=test["uid"],
            code_digest=bytes.fromhex(result["code_digest"]),
            inputs_digest=bytes.fromhex(result["inputs_digest"]),
            parameters_digest=bytes.fromhex(result["parameters_digest"]),
        ),
        model_uid=row["model"]["uid"],
        value=value,
        is_truth=is_truth,
        outcome=judge_value(
            value,
            is_truth=is_truth,
            threshold=test["threshold"],
            direction=MetricDirection(test["direction"]),
        ),
        error=result["error"],
        run_at=_moment(result["run_at"]),
        seconds=result["seconds"],
        uid=result["uid"],
        test_name=test["name"],
        model=records.summary_from_row(row["model"]),
    )
