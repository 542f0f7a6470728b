"""What the errors of the driver and the server mean to our callers."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

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

__all__ = ["deadline_exceeded", "is_lost_race", "translate", "translated"]

_TIMED_OUT = frozenset(
    {
        "Neo.ClientError.Transaction.TransactionTimedOut",
        "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
        "Neo.TransientError.Transaction.TransactionTimedOut",
    }
)
_CREDENTIALS = frozenset(
    {
        "Neo.ClientError.Security.Unauthorized",
        "Neo.ClientError.Security.AuthenticationRateLimit",
        "Neo.ClientError.Security.CredentialsExpired",
        "Neo.ClientError.Security.TokenExpired",
    }
)
# What is left when a node went away or an edge came between a look and a change of one transaction.
_LOST_RACES = frozenset(
    {
        "Neo.ClientError.Statement.EntityNotFound",
        "Neo.ClientError.Schema.ConstraintValidationFailed",
    }
)
_TOO_LARGE = frozenset(
    {
        "Neo.TransientError.General.MemoryPoolOutOfMemoryError",
        "Neo.TransientError.General.TransactionOutOfMemoryError",
        "Neo.TransientError.General.OutOfMemoryError",
    }
)
_UNREACHABLE = (
    driver_errors.ServiceUnavailable,
    driver_errors.SessionExpired,
    driver_errors.DatabaseUnavailable,
    driver_errors.ConnectionAcquisitionTimeoutError,
)


def is_lost_race(error: Exception) -> bool:
    """Whether the same transaction, tried again, sees what another one did and gives its proper answer."""
    return isinstance(error, driver_errors.Neo4jError) and error.code in _LOST_RACES


def translate(error: driver_errors.DriverError | driver_errors.Neo4jError) -> MGitError:
    """The error of ours for an error of the driver or the server."""
    code = error.code if isinstance(error, driver_errors.Neo4jError) else type(error).__name__
    if isinstance(error, driver_errors.AuthError) or code in _CREDENTIALS:
        return UnauthenticatedError(
            ErrorReason.NEO4J_CREDENTIALS_WRONG, "Neo4j refused user name or password; check NEO4J_PASSWORD."
        )
    if code in _TIMED_OUT:
        return deadline_exceeded()
    if isinstance(error, _UNREACHABLE):
        return UnavailableError(
            ErrorReason.NEO4J_UNAVAILABLE, "Neo4j cannot be reached; the request may be sent again."
        )
    if code in _TOO_LARGE:
        return ResourceExhaustedError(
            ErrorReason.LIMIT_EXCEEDED,
            "The graph server has not enough memory for this; ask for less at once.",
        )
    if isinstance(error, driver_errors.TransientError) or error.is_retryable() or is_lost_race(error):
        return UnavailableError(
            ErrorReason.TRANSACTION_CONFLICT, "The graph was busy with other changes; send the request again."
        )
    return InternalError(ErrorReason.INTERNAL, f"The graph refused a query ({code}).", code=code)


def deadline_exceeded() -> MGitError:
    """The error for a caller whose time is over."""
    return DeadlineExceededError(
        ErrorReason.DEADLINE_EXCEEDED, "The graph did not answer within the time that was given."
    )


@contextlib.contextmanager
def translated() -> Generator[None]:
    """Errors of the driver come out as errors of ours, and a passed time limit as DEADLINE_EXCEEDED."""
    try:
        yield
    except (driver_errors.DriverError, driver_errors.Neo4jError) as error:
        raise translate(error) from error
    except TimeoutError as error:
        raise deadline_exceeded() from error
