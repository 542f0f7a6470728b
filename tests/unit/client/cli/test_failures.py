from __future__ import annotations

import errno
import json

import pytest

from mgit.cli.failures import EXIT_CODES, describe_failure, exit_code_of
from mgit_core.errors import (
    ConflictError,
    ErrorReason,
    FailedPreconditionError,
    MGitError,
    NotFoundError,
    error_for_reason,
)


def test_every_reason_has_an_exit_code_of_the_contract() -> None:
    codes = {exit_code_of(error_for_reason(reason, "said")) for reason in ErrorReason}

    assert codes == {2, 3, 4, 5, 6, 7, 8, 9}
    assert set(EXIT_CODES) == set(MGitError.__subclasses__())


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (ErrorReason.INVALID_NAME, 2),
        (ErrorReason.UNSAFE_PICKLE, 2),
        (ErrorReason.FRAMEWORK_MISSING, 2),
        (ErrorReason.MODEL_NOT_FOUND, 3),
        (ErrorReason.MODEL_REMOVED, 3),
        (ErrorReason.CYCLE, 4),
        (ErrorReason.PATH_EXISTS, 4),
        (ErrorReason.STORE_MISMATCH, 4),
        (ErrorReason.SERVICE_UNAVAILABLE, 5),
        (ErrorReason.MAVEN_MISSING, 5),
        (ErrorReason.PORT_IN_USE, 5),
        (ErrorReason.CHUNK_CORRUPT, 6),
        (ErrorReason.TOKEN_WRONG, 7),
        (ErrorReason.NEO4J_CREDENTIALS_WRONG, 7),
        (ErrorReason.DISK_FULL, 8),
        (ErrorReason.DEADLINE_EXCEEDED, 8),
        (ErrorReason.INTERNAL, 9),
    ],
)
def test_a_reason_has_the_exit_code_that_a_person_expects(reason: ErrorReason, code: int) -> None:
    assert exit_code_of(error_for_reason(reason, "said")) == code


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOENT, 3), (errno.EEXIST, 4), (errno.EACCES, 7), (errno.ENOSPC, 8), (errno.EIO, 9)],
)
def test_a_system_error_has_an_exit_code(number: int, code: int) -> None:
    assert exit_code_of(OSError(number, "said")) == code


def test_a_person_reads_one_line() -> None:
    error = NotFoundError(ErrorReason.MODEL_NOT_FOUND, "There is no model x.", name="x")

    assert describe_failure(error, as_json=False) == "error: There is no model x.\n"


def test_a_program_reads_reason_and_details() -> None:
    error = ConflictError(ErrorReason.CYCLE, "It would close a cycle.", path="a b a")

    assert json.loads(describe_failure(error, as_json=True)) == {
        "error": {
            "reason": "CYCLE",
            "message": "It would close a cycle.",
            "details": {"path": "a b a"},
            "exit_code": 4,
        }
    }


def test_a_bug_comes_with_its_traceback() -> None:
    try:
        [].pop()
    except IndexError as error:
        told = describe_failure(error, as_json=False)

    assert "Traceback" in told
    assert told.endswith("error: This is a bug in mgit: IndexError: pop from empty list\n")


def test_a_system_error_names_its_file() -> None:
    told = describe_failure(PermissionError(errno.EACCES, "Permission denied", "out.zarr"), as_json=False)

    assert told == "error: out.zarr: Permission denied.\n"


def test_a_reader_that_went_away_is_no_news() -> None:
    error = BrokenPipeError(errno.EPIPE, "Broken pipe")

    assert describe_failure(error, as_json=False) == ""
    assert exit_code_of(error) == 141


def test_a_precondition_is_a_conflict_unless_its_reason_says_otherwise() -> None:
    assert exit_code_of(FailedPreconditionError(ErrorReason.SCHEMA_TOO_NEW, "said")) == 4
