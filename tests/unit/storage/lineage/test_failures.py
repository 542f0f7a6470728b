"""Errors of the driver and the server, as our callers meet them."""

from __future__ import annotations

import pytest
from neo4j import exceptions as driver_errors

from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    InternalError,
    MGitError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)
from mgit_storage.lineage.failures import is_lost_race, translate, translated


def from_server(code: str) -> driver_errors.Neo4jError:
    """The error that the driver makes of a code of the server."""
    return driver_errors.Neo4jError._hydrate_neo4j(code=code, message="secret words of the server")


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("Security.Unauthorized", UnauthenticatedError, ErrorReason.NEO4J_CREDENTIALS_WRONG),
        ("Security.AuthenticationRateLimit", UnauthenticatedError, ErrorReason.NEO4J_CREDENTIALS_WRONG),
        ("Security.CredentialsExpired", UnauthenticatedError, ErrorReason.NEO4J_CREDENTIALS_WRONG),
        ("Transaction.TransactionTimedOut", DeadlineExceededError, ErrorReason.DEADLINE_EXCEEDED),
        (
            "Transaction.TransactionTimedOutClientConfiguration",
            DeadlineExceededError,
            ErrorReason.DEADLINE_EXCEEDED,
        ),
        ("Statement.EntityNotFound", UnavailableError, ErrorReason.TRANSACTION_CONFLICT),
        ("Schema.ConstraintValidationFailed", UnavailableError, ErrorReason.TRANSACTION_CONFLICT),
        ("Statement.SyntaxError", InternalError, ErrorReason.INTERNAL),
    ],
)
def test_an_error_of_the_client_kind(code: str, kind: type[MGitError], reason: ErrorReason) -> None:
    error = translate(from_server(f"Neo.ClientError.{code}"))
    assert (type(error), error.reason) == (kind, reason)
    assert "secret words" not in error.message


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("Transaction.DeadlockDetected", UnavailableError, ErrorReason.TRANSACTION_CONFLICT),
        ("General.MemoryPoolOutOfMemoryError", ResourceExhaustedError, ErrorReason.LIMIT_EXCEEDED),
        ("General.DatabaseUnavailable", UnavailableError, ErrorReason.NEO4J_UNAVAILABLE),
    ],
)
def test_an_error_of_the_passing_kind(code: str, kind: type[MGitError], reason: ErrorReason) -> None:
    error = translate(from_server(f"Neo.TransientError.{code}"))
    assert (type(error), error.reason) == (kind, reason)


@pytest.mark.parametrize(
    "error",
    [
        driver_errors.ServiceUnavailable(),
        driver_errors.SessionExpired(None),
        driver_errors.ConnectionAcquisitionTimeoutError(),
    ],
)
def test_a_broken_connection_is_unavailable(error: driver_errors.DriverError) -> None:
    assert translate(error).reason is ErrorReason.NEO4J_UNAVAILABLE


def test_only_vanished_nodes_and_constraints_are_lost_races() -> None:
    assert is_lost_race(from_server("Neo.ClientError.Statement.EntityNotFound"))
    assert is_lost_race(from_server("Neo.ClientError.Schema.ConstraintValidationFailed"))
    assert not is_lost_race(from_server("Neo.ClientError.Statement.SyntaxError"))
    assert not is_lost_race(ValueError())


def test_a_passed_time_limit_is_a_passed_deadline() -> None:
    with pytest.raises(DeadlineExceededError) as error, translated():
        raise TimeoutError
    assert isinstance(error.value.__cause__, TimeoutError)


def test_our_own_errors_pass_as_they_are() -> None:
    own = InternalError(ErrorReason.INTERNAL, "own")
    with pytest.raises(InternalError) as error, translated():
        raise own
    assert error.value is own
