"""Errors as a user sees them: an exit code from one table, and one or two lines."""

from __future__ import annotations

import errno
import json
import traceback

import typer

from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    CorruptError,
    DeadlineExceededError,
    ErrorReason,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)

__all__ = ["EXIT_CODES", "EXIT_CODES_OF_REASONS", "INTERRUPTED", "describe_failure", "exit_code_of"]

USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
UNAVAILABLE = 5
CORRUPT = 6
NOT_PERMITTED = 7
EXHAUSTED = 8
INTERNAL = 9
INTERRUPTED = 130  # As a shell reports a program that an interrupt ended.
_PIPE_CLOSED = 141

EXIT_CODES: dict[type[MGitError], int] = {
    NotFoundError: NOT_FOUND,
    AlreadyExistsError: CONFLICT,
    ConflictError: CONFLICT,
    InvalidArgumentError: USAGE,
    FailedPreconditionError: CONFLICT,
    CorruptError: CORRUPT,
    UnavailableError: UNAVAILABLE,
    UnauthenticatedError: NOT_PERMITTED,
    PermissionDeniedError: NOT_PERMITTED,
    DeadlineExceededError: EXHAUSTED,
    ResourceExhaustedError: EXHAUSTED,
    InternalError: INTERNAL,
}
# Where a person reacts otherwise than to the rest of the class.
EXIT_CODES_OF_REASONS: dict[ErrorReason, int] = {
    ErrorReason.MODEL_REMOVED: NOT_FOUND,
    ErrorReason.MAVEN_MISSING: UNAVAILABLE,
    ErrorReason.NEO4J_START_FAILED: UNAVAILABLE,
    ErrorReason.SERVICE_START_FAILED: UNAVAILABLE,
    ErrorReason.PORT_IN_USE: UNAVAILABLE,
    ErrorReason.INSECURE_BIND: USAGE,
    ErrorReason.FRAMEWORK_MISSING: USAGE,
}
_EXIT_CODES_OF_SYSTEM: dict[int, int] = {
    errno.ENOENT: NOT_FOUND,
    errno.EEXIST: CONFLICT,
    errno.EISDIR: USAGE,
    errno.ENOTDIR: USAGE,
    errno.EACCES: NOT_PERMITTED,
    errno.EPERM: NOT_PERMITTED,
    errno.EROFS: NOT_PERMITTED,
    errno.ENOSPC: EXHAUSTED,
    errno.EDQUOT: EXHAUSTED,
    errno.EPIPE: _PIPE_CLOSED,
}


def exit_code_of(error: Exception) -> int:
    """The exit code that belongs to ``error``."""
    if isinstance(error, MGitError):
        return EXIT_CODES_OF_REASONS.get(error.reason) or EXIT_CODES[type(error)]
    if isinstance(error, typer.TyperException):
        return USAGE
    if isinstance(error, OSError):
        return _EXIT_CODES_OF_SYSTEM.get(error.errno or 0, INTERNAL)
    return INTERNAL


def describe_failure(error: Exception, *, as_json: bool) -> str:
    """What standard error gets: lines for a person, or one JSON document.

    A bug of ours comes with its traceback, since that is what a report needs.
    """
    code = exit_code_of(error)
    if code == _PIPE_CLOSED:
        return ""
    message, reason, details = _told(error)
    trace = "".join(traceback.format_exception(error)) if code == INTERNAL else ""
    if as_json:
        document = {"error": {"reason": reason, "message": message, "details": details, "exit_code": code}}
        return f"{trace}{json.dumps(document, ensure_ascii=False)}\n"
    return f"{trace}error: {message}\n{_hint(error)}"


def _told(error: Exception) -> tuple[str, str, dict[str, str]]:
    if isinstance(error, MGitError):
        return error.message, error.reason.value, error.details
    if isinstance(error, typer.TyperException):
        return error.format_message(), "USAGE", {}
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}.", errno.errorcode.get(error.errno or 0, "OS_ERROR"), {}
    return f"This is a bug in mgit: {type(error).__name__}: {error}", ErrorReason.INTERNAL.value, {}


def _hint(error: Exception) -> str:
    context = getattr(error, "ctx", None) if isinstance(error, typer.TyperException) else None
    return f"Try '{context.command_path} --help'.\n" if context is not None else ""
