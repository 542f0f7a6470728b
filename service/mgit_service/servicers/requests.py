"""Request ids: what makes a change idempotent."""

from __future__ import annotations

from google.protobuf.message import Message

from mgit_core.digest import DigestAlgorithm, digest_of_parts
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import RequestKey

__all__ = ["MAX_REQUEST_ID_LENGTH", "check_request_id", "request_key"]

MAX_REQUEST_ID_LENGTH = 128


def check_request_id(request_id: str) -> str | None:
    """``request_id`` itself, None for the empty one.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, unless it is 1 to 128 printable ASCII characters.
    """
    if not request_id:
        return None
    is_printable = request_id.isascii() and request_id.isprintable()
    if len(request_id) > MAX_REQUEST_ID_LENGTH or not is_printable:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A request id is 1 to {MAX_REQUEST_ID_LENGTH} printable ASCII characters; found "
            f"{request_id[:40]!r} ({len(request_id)} characters).",
            field="request_id",
        )
    return request_id


def request_key(algorithm: DigestAlgorithm, request: Message) -> RequestKey | None:
    """What makes ``request`` idempotent; None if it has no id.

    The digest covers the kind of the request and every field but the id, so that neither another change nor
    other arguments pass for a repeat.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT for an id that is none.
    """
    request_id = check_request_id(getattr(request, "request_id"))  # noqa: B009 - the stubs know no common field
    if request_id is None:
        return None
    arguments = type(request)()
    arguments.CopyFrom(request)
    arguments.ClearField("request_id")
    parts = (
        request.DESCRIPTOR.full_name.encode("ascii"),
        b"\n",
        arguments.SerializeToString(deterministic=True),
    )
    return RequestKey(id=request_id, arguments_digest=digest_of_parts(algorithm, parts))
