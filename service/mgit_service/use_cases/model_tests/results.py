"""Results of model tests: kept, found again, listed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import RequestKey
from mgit_core.model_tests import (
    ModelTestResult,
    ResultKey,
    check_result,
    fitted_error,
    make_result_uid,
)
from mgit_core.names import parse_reference
from mgit_core.ports.graph import Lineage, Page
from mgit_core.ports.model_tests import ResultQuery
from mgit_service.use_cases.model_tests.definitions import find_test, parse_test_uid
from mgit_service.use_cases.references import find_readable

__all__ = ["MAX_KEYS", "MAX_RESULTS", "find_results", "list_results", "record_results"]

MAX_KEYS = 1_000
MAX_RESULTS = 1_000


async def record_results(
    lineage: Lineage, results: Sequence[ModelTestResult], request: RequestKey | None
) -> list[ModelTestResult]:
    """Keep results, all or none; the answer is judged.

    A run that ended later than now, by a clock that is ahead, ended now: no result is newer than those to come.
    A longer error than may be kept is cut.

    Raises:
        NotFoundError: TEST_NOT_FOUND or MODEL_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED.
        InvalidArgumentError: INVALID_TEST, INVALID_REFERENCE, or INVALID_ARGUMENT for too many.
        ConflictError: REQUEST_ID_REUSED.
    """
    _check_count("results", len(results), MAX_RESULTS)
    if not results:
        return []
    now = datetime.now(UTC)
    return await lineage.model_tests.record([_recorded(result, now) for result in results], request)


def _recorded(result: ModelTestResult, now: datetime) -> ModelTestResult:
    run_at = min(result.run_at, now)
    fitted = check_result(replace(result, run_at=run_at, error=fitted_error(result.error)))
    return replace(
        fitted,
        uid=make_result_uid(run_at, os.urandom(8)),
        key=replace(result.key, test_uid=parse_test_uid(result.key.test_uid)),
        model_uid=parse_reference(f"@{result.model_uid}").uid or "",
    )


async def find_results(lineage: Lineage, keys: Sequence[ResultKey]) -> list[ModelTestResult]:
    """For each key that has one the newest result with a value, judged by the test of today.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE, or INVALID_ARGUMENT for too many.
    """
    _check_count("keys", len(keys), MAX_KEYS)
    parsed = [replace(key, test_uid=parse_test_uid(key.test_uid)) for key in keys]
    return await lineage.model_tests.reusable(parsed) if parsed else []


async def list_results(lineage: Lineage, page: Page, *, test: str, model: str) -> list[ModelTestResult]:
    """Results, newest first.

    Args:
        lineage: The graph.
        page: Which part.
        test: Name or ``@UID`` of a test; empty means all, deregistered ones too.
        model: Reference of a model, a removed or staged one too; empty means all, but for those of staged models.

    Raises:
        NotFoundError: TEST_NOT_FOUND, MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_NAME or INVALID_REFERENCE.
    """
    query = ResultQuery(
        test_uid=(await find_test(lineage, test)).uid if test else None,
        model_uid=(await find_readable(lineage, model)).uid if model else None,
    )
    return await lineage.model_tests.results(query, page)


def _check_count(field: str, count: int, largest: int) -> None:
    if count > largest:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"At most {largest} {field} at once; found {count}.", field=field
        )
