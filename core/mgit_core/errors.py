"""Errors of the whole project: one tree, few classes, many stable reasons.

A class says how a caller reacts, a reason says what happened. Reasons are part of the wire contract and
are only ever added::

    MGitError
    ├── NotFoundError             the thing that was named does not exist
    ├── AlreadyExistsError        it exists already, and another one was asked for
    ├── ConflictError             somebody else changed it, or an edge would close a cycle
    ├── InvalidArgumentError      the request is wrong whatever the state of the system
    ├── FailedPreconditionError   the request is right, the state of the system is not
    ├── CorruptError              stored or received bytes are not what their digest says
    ├── UnavailableError          a part that is needed cannot be reached now; ask again
    ├── UnauthenticatedError      no token, or a wrong one
    ├── PermissionDeniedError     the token is right, the operation is not for it
    ├── DeadlineExceededError     the caller's time is over
    ├── ResourceExhaustedError    disk, memory or another limit is used up
    └── InternalError             a bug of ours
"""

from __future__ import annotations

import enum
from typing import ClassVar

__all__ = [
    "AlreadyExistsError",
    "ConflictError",
    "CorruptError",
    "DeadlineExceededError",
    "ErrorReason",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "MGitError",
    "NotFoundError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnauthenticatedError",
    "UnavailableError",
    "error_for_reason",
]


class ErrorReason(enum.StrEnum):
    """What happened, stable on the wire. Append only; a reason never changes its class."""

    # NotFoundError
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    TAG_NOT_FOUND = "TAG_NOT_FOUND"
    TENSOR_NOT_FOUND = "TENSOR_NOT_FOUND"
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    CHUNK_NOT_FOUND = "CHUNK_NOT_FOUND"
    OBJECT_NOT_FOUND = "OBJECT_NOT_FOUND"
    EDGE_NOT_FOUND = "EDGE_NOT_FOUND"
    PARENT_NOT_FOUND = "PARENT_NOT_FOUND"
    PATH_NOT_FOUND = "PATH_NOT_FOUND"
    TEST_NOT_FOUND = "TEST_NOT_FOUND"
    BUG_NOT_FOUND = "BUG_NOT_FOUND"
    DATASET_NOT_FOUND = "DATASET_NOT_FOUND"
    CASCADE_NOT_FOUND = "CASCADE_NOT_FOUND"
    LAYER_GRAPH_NOT_FOUND = "LAYER_GRAPH_NOT_FOUND"
    REMOTE_NOT_FOUND = "REMOTE_NOT_FOUND"
    # AlreadyExistsError
    OBJECT_EXISTS = "OBJECT_EXISTS"
    EDGE_EXISTS = "EDGE_EXISTS"
    PATH_EXISTS = "PATH_EXISTS"
    TEST_EXISTS = "TEST_EXISTS"
    NAME_TAKEN = "NAME_TAKEN"
    REMOTE_EXISTS = "REMOTE_EXISTS"
    # ConflictError
    TAG_MOVED = "TAG_MOVED"
    CYCLE = "CYCLE"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    PREVIOUS_MISMATCH = "PREVIOUS_MISMATCH"
    MAINTENANCE_BUSY = "MAINTENANCE_BUSY"
    LEASE_LOST = "LEASE_LOST"
    CASCADE_OVERLAP = "CASCADE_OVERLAP"
    CASCADE_ENDED = "CASCADE_ENDED"
    CASCADE_UNFINISHED = "CASCADE_UNFINISHED"
    STEP_LEASE_LOST = "STEP_LEASE_LOST"
    PUSH_REFUSED = "PUSH_REFUSED"
    # InvalidArgumentError
    INVALID_NAME = "INVALID_NAME"
    INVALID_REFERENCE = "INVALID_REFERENCE"
    INVALID_RELATION = "INVALID_RELATION"
    INVALID_METADATA = "INVALID_METADATA"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"  # noqa: S105 - a reason, not a secret
    UNKNOWN_DTYPE = "UNKNOWN_DTYPE"
    SHAPE_MISMATCH = "SHAPE_MISMATCH"
    DUPLICATE_PARAMETER = "DUPLICATE_PARAMETER"
    UNREADABLE_INPUT = "UNREADABLE_INPUT"
    UNSAFE_PICKLE = "UNSAFE_PICKLE"
    RANGE_OUT_OF_BOUNDS = "RANGE_OUT_OF_BOUNDS"
    MESSAGE_OUT_OF_ORDER = "MESSAGE_OUT_OF_ORDER"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    INVALID_GUARD = "INVALID_GUARD"
    INVALID_TEST = "INVALID_TEST"
    INVALID_BUG = "INVALID_BUG"
    INVALID_STATEMENT = "INVALID_STATEMENT"
    INVALID_CREATION = "INVALID_CREATION"
    INVALID_LAYER_GRAPH = "INVALID_LAYER_GRAPH"
    INVALID_CASCADE = "INVALID_CASCADE"
    INVALID_REMOTE = "INVALID_REMOTE"
    # FailedPreconditionError
    STORE_MISMATCH = "STORE_MISMATCH"
    MODEL_REMOVED = "MODEL_REMOVED"
    CHUNKS_MISSING = "CHUNKS_MISSING"
    MODEL_IN_USE = "MODEL_IN_USE"
    SCHEMA_TOO_NEW = "SCHEMA_TOO_NEW"
    MAVEN_MISSING = "MAVEN_MISSING"
    NEO4J_START_FAILED = "NEO4J_START_FAILED"
    SERVICE_START_FAILED = "SERVICE_START_FAILED"
    INSECURE_BIND = "INSECURE_BIND"
    FRAMEWORK_MISSING = "FRAMEWORK_MISSING"
    GRAPH_WITHOUT_MODELS = "GRAPH_WITHOUT_MODELS"
    MODEL_NOT_AFFECTED = "MODEL_NOT_AFFECTED"
    TEST_CODE_CHANGED = "TEST_CODE_CHANGED"
    TEST_INPUTS_CHANGED = "TEST_INPUTS_CHANGED"
    TEST_NOT_TRUSTED = "TEST_NOT_TRUSTED"
    NOTHING_TO_BISECT = "NOTHING_TO_BISECT"
    NOT_A_REVISION = "NOT_A_REVISION"
    NO_MERGE_BASE = "NO_MERGE_BASE"
    MERGE_BASE_AMBIGUOUS = "MERGE_BASE_AMBIGUOUS"
    MODELS_UNLIKE = "MODELS_UNLIKE"
    NO_CREATION_FUNCTION = "NO_CREATION_FUNCTION"
    CREATION_CODE_CHANGED = "CREATION_CODE_CHANGED"
    CREATION_FAILED = "CREATION_FAILED"
    MODEL_STAGED = "MODEL_STAGED"
    PARAMETERS_PROMISED = "PARAMETERS_PROMISED"
    STORES_UNLIKE = "STORES_UNLIKE"
    REMOTE_VERSION_UNKNOWN = "REMOTE_VERSION_UNKNOWN"
    # CorruptError
    CHUNK_CORRUPT = "CHUNK_CORRUPT"
    MANIFEST_CORRUPT = "MANIFEST_CORRUPT"
    PACK_CORRUPT = "PACK_CORRUPT"
    INDEX_CORRUPT = "INDEX_CORRUPT"
    UNKNOWN_FORMAT_VERSION = "UNKNOWN_FORMAT_VERSION"
    MODEL_DIFFERS = "MODEL_DIFFERS"
    # UnavailableError
    NEO4J_UNAVAILABLE = "NEO4J_UNAVAILABLE"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    UPLOAD_STALE = "UPLOAD_STALE"
    TRANSACTION_CONFLICT = "TRANSACTION_CONFLICT"
    # UnauthenticatedError
    TOKEN_MISSING = "TOKEN_MISSING"  # noqa: S105 - a reason, not a secret
    TOKEN_WRONG = "TOKEN_WRONG"  # noqa: S105 - a reason, not a secret
    NEO4J_CREDENTIALS_WRONG = "NEO4J_CREDENTIALS_WRONG"
    # PermissionDeniedError
    NOT_PERMITTED = "NOT_PERMITTED"
    AUDIT_OFF = "AUDIT_OFF"
    STATEMENT_REFUSED = "STATEMENT_REFUSED"
    # DeadlineExceededError
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    # ResourceExhaustedError
    DISK_FULL = "DISK_FULL"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    PORT_IN_USE = "PORT_IN_USE"
    AUDIT_BUSY = "AUDIT_BUSY"
    # InternalError
    INTERNAL = "INTERNAL"


class MGitError(Exception):
    """An error with a stable reason, a message for people, and details for programs.

    The message says what was wanted, what was found, and which name or digest is concerned. It holds no
    secret and no path of the server.

    Attributes:
        reason: What happened.
        message: One or two sentences for a person.
        details: Names, digests and numbers that concern the error, as text.
    """

    is_retryable: ClassVar[bool] = False

    def __init__(self, reason: ErrorReason, message: str, **details: object) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details: dict[str, str] = {key: str(value) for key, value in details.items()}

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.reason, self.message, self.details))


def _rebuild(kind: type[MGitError], reason: ErrorReason, message: str, details: dict[str, str]) -> MGitError:
    return kind(reason, message, **details)


class NotFoundError(MGitError):
    """The thing that was named does not exist."""


class AlreadyExistsError(MGitError):
    """The thing exists already, and another one was asked for under its name."""


class ConflictError(MGitError):
    """Somebody else changed it, or the change would break a rule of the graph."""


class InvalidArgumentError(MGitError):
    """The request is wrong whatever the state of the system."""


class FailedPreconditionError(MGitError):
    """The request is right, but the system is not in a state to fulfil it."""


class CorruptError(MGitError):
    """Stored or received bytes are not what their digest or format says. Nothing was repaired or deleted."""


class UnavailableError(MGitError):
    """A part that is needed cannot be reached, or a race was lost. The same request may be sent again."""

    is_retryable = True


class UnauthenticatedError(MGitError):
    """No credentials, or wrong ones."""


class PermissionDeniedError(MGitError):
    """The credentials are right, but the operation is not open to them."""


class DeadlineExceededError(MGitError):
    """The caller's time is over. What was verified before stays usable for the next try."""


class ResourceExhaustedError(MGitError):
    """Disk, memory, ports or another limit is used up."""


class InternalError(MGitError):
    """A bug of ours."""


_REASONS: dict[type[MGitError], tuple[ErrorReason, ...]] = {
    NotFoundError: (
        ErrorReason.MODEL_NOT_FOUND,
        ErrorReason.TAG_NOT_FOUND,
        ErrorReason.TENSOR_NOT_FOUND,
        ErrorReason.FILE_NOT_FOUND,
        ErrorReason.CHUNK_NOT_FOUND,
        ErrorReason.OBJECT_NOT_FOUND,
        ErrorReason.EDGE_NOT_FOUND,
        ErrorReason.PARENT_NOT_FOUND,
        ErrorReason.PATH_NOT_FOUND,
        ErrorReason.TEST_NOT_FOUND,
        ErrorReason.BUG_NOT_FOUND,
        ErrorReason.DATASET_NOT_FOUND,
        ErrorReason.CASCADE_NOT_FOUND,
        ErrorReason.LAYER_GRAPH_NOT_FOUND,
        ErrorReason.REMOTE_NOT_FOUND,
    ),
    AlreadyExistsError: (
        ErrorReason.OBJECT_EXISTS,
        ErrorReason.EDGE_EXISTS,
        ErrorReason.PATH_EXISTS,
        ErrorReason.TEST_EXISTS,
        ErrorReason.NAME_TAKEN,
        ErrorReason.REMOTE_EXISTS,
    ),
    ConflictError: (
        ErrorReason.TAG_MOVED,
        ErrorReason.CYCLE,
        ErrorReason.REQUEST_ID_REUSED,
        ErrorReason.PREVIOUS_MISMATCH,
        ErrorReason.MAINTENANCE_BUSY,
        ErrorReason.LEASE_LOST,
        ErrorReason.CASCADE_OVERLAP,
        ErrorReason.CASCADE_ENDED,
        ErrorReason.CASCADE_UNFINISHED,
        ErrorReason.STEP_LEASE_LOST,
        ErrorReason.PUSH_REFUSED,
    ),
    InvalidArgumentError: (
        ErrorReason.INVALID_NAME,
        ErrorReason.INVALID_REFERENCE,
        ErrorReason.INVALID_RELATION,
        ErrorReason.INVALID_METADATA,
        ErrorReason.INVALID_ARGUMENT,
        ErrorReason.INVALID_PAGE_TOKEN,
        ErrorReason.UNKNOWN_DTYPE,
        ErrorReason.SHAPE_MISMATCH,
        ErrorReason.DUPLICATE_PARAMETER,
        ErrorReason.UNREADABLE_INPUT,
        ErrorReason.UNSAFE_PICKLE,
        ErrorReason.RANGE_OUT_OF_BOUNDS,
        ErrorReason.MESSAGE_OUT_OF_ORDER,
        ErrorReason.DIGEST_MISMATCH,
        ErrorReason.INVALID_GUARD,
        ErrorReason.INVALID_TEST,
        ErrorReason.INVALID_BUG,
        ErrorReason.INVALID_STATEMENT,
        ErrorReason.INVALID_CREATION,
        ErrorReason.INVALID_LAYER_GRAPH,
        ErrorReason.INVALID_CASCADE,
        ErrorReason.INVALID_REMOTE,
    ),
    FailedPreconditionError: (
        ErrorReason.STORE_MISMATCH,
        ErrorReason.MODEL_REMOVED,
        ErrorReason.CHUNKS_MISSING,
        ErrorReason.MODEL_IN_USE,
        ErrorReason.SCHEMA_TOO_NEW,
        ErrorReason.MAVEN_MISSING,
        ErrorReason.NEO4J_START_FAILED,
        ErrorReason.SERVICE_START_FAILED,
        ErrorReason.INSECURE_BIND,
        ErrorReason.FRAMEWORK_MISSING,
        ErrorReason.GRAPH_WITHOUT_MODELS,
        ErrorReason.MODEL_NOT_AFFECTED,
        ErrorReason.TEST_CODE_CHANGED,
        ErrorReason.TEST_INPUTS_CHANGED,
        ErrorReason.TEST_NOT_TRUSTED,
        ErrorReason.NOTHING_TO_BISECT,
        ErrorReason.NOT_A_REVISION,
        ErrorReason.NO_MERGE_BASE,
        ErrorReason.MERGE_BASE_AMBIGUOUS,
        ErrorReason.MODELS_UNLIKE,
        ErrorReason.NO_CREATION_FUNCTION,
        ErrorReason.CREATION_CODE_CHANGED,
        ErrorReason.CREATION_FAILED,
        ErrorReason.MODEL_STAGED,
        ErrorReason.PARAMETERS_PROMISED,
        ErrorReason.STORES_UNLIKE,
        ErrorReason.REMOTE_VERSION_UNKNOWN,
    ),
    CorruptError: (
        ErrorReason.CHUNK_CORRUPT,
        ErrorReason.MANIFEST_CORRUPT,
        ErrorReason.PACK_CORRUPT,
        ErrorReason.INDEX_CORRUPT,
        ErrorReason.UNKNOWN_FORMAT_VERSION,
        ErrorReason.MODEL_DIFFERS,
    ),
    UnavailableError: (
        ErrorReason.NEO4J_UNAVAILABLE,
        ErrorReason.SERVICE_UNAVAILABLE,
        ErrorReason.STORE_UNAVAILABLE,
        ErrorReason.UPLOAD_STALE,
        ErrorReason.TRANSACTION_CONFLICT,
    ),
    UnauthenticatedError: (
        ErrorReason.TOKEN_MISSING,
        ErrorReason.TOKEN_WRONG,
        ErrorReason.NEO4J_CREDENTIALS_WRONG,
    ),
    PermissionDeniedError: (
        ErrorReason.NOT_PERMITTED,
        ErrorReason.AUDIT_OFF,
        ErrorReason.STATEMENT_REFUSED,
    ),
    DeadlineExceededError: (ErrorReason.DEADLINE_EXCEEDED,),
    ResourceExhaustedError: (
        ErrorReason.DISK_FULL,
        ErrorReason.LIMIT_EXCEEDED,
        ErrorReason.PORT_IN_USE,
        ErrorReason.AUDIT_BUSY,
    ),
    InternalError: (ErrorReason.INTERNAL,),
}
_CLASS_OF: dict[ErrorReason, type[MGitError]] = {
    reason: kind for kind, reasons in _REASONS.items() for reason in reasons
}


def error_for_reason(reason: ErrorReason, message: str, **details: object) -> MGitError:
    """The error of the class that belongs to ``reason``: how the wire's answer becomes an exception again."""
    return _CLASS_OF[reason](reason, message, **details)
