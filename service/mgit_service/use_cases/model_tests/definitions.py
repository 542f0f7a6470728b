"""Definitions of model tests."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import replace as changed
from datetime import UTC, datetime

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import RequestKey
from mgit_core.model_tests import ModelTest, check_model_test
from mgit_core.names import check_model_name, make_uid
from mgit_core.ports.graph import Lineage, Page
from mgit_service.use_cases.references import NO_UID, change_resolved, resolve_uid

__all__ = ["find_test", "list_tests", "parse_test_uid", "register_test", "remove_test"]


async def register_test(
    lineage: Lineage, draft: ModelTest, *, is_replaced: bool, request: RequestKey | None
) -> ModelTest:
    """Register a test, or give the one of its name another definition.

    Args:
        lineage: The graph.
        draft: Its uid and times are made here; with scope MODEL its ``model_ref`` is any reference, and its
            ``model_uid`` is not heeded.
        is_replaced: Whether a registered test of that name gets this definition.
        request: Makes the change idempotent.

    Raises:
        AlreadyExistsError: TEST_EXISTS.
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED.
        InvalidArgumentError: INVALID_NAME, INVALID_REFERENCE, INVALID_METADATA or INVALID_TEST.
        ConflictError: REQUEST_ID_REUSED.
    """
    now = datetime.now(UTC)
    test = check_model_test(
        changed(
            draft,
            uid=make_uid(time.time_ns() // 1_000_000, os.urandom(10)),
            created_at=now,
            updated_at=now,
            model_uid=NO_UID if draft.model_ref else None,
        )
    )

    async def resolved() -> str | None:
        return await resolve_uid(lineage, draft.model_ref) if draft.model_ref else None

    return await change_resolved(
        resolved(),
        lambda uid: lineage.model_tests.register(
            changed(test, model_uid=uid, model_ref=""), replace=is_replaced, request=request
        ),
        nothing=NO_UID,
        request=request,
    )


async def find_test(lineage: Lineage, name_or_uid: str) -> ModelTest:
    """The registered test of this name, or with ``@UID`` a test, registered or not.

    Raises:
        NotFoundError: TEST_NOT_FOUND.
        InvalidArgumentError: INVALID_NAME or INVALID_REFERENCE.
    """
    if name_or_uid.startswith("@"):
        return await lineage.model_tests.get(f"@{parse_test_uid(name_or_uid[1:])}")
    return await lineage.model_tests.get(check_model_name(name_or_uid))


async def list_tests(lineage: Lineage, page: Page) -> list[ModelTest]:
    """Registered tests, by name."""
    return await lineage.model_tests.list_page(page)


async def remove_test(lineage: Lineage, name_or_uid: str, request: RequestKey | None) -> ModelTest:
    """Deregister a test; returns it as it was before.

    Raises:
        NotFoundError: TEST_NOT_FOUND.
        InvalidArgumentError: INVALID_NAME or INVALID_REFERENCE.
        ConflictError: REQUEST_ID_REUSED.
    """

    async def resolved() -> str:
        return (await find_test(lineage, name_or_uid)).uid

    return await change_resolved(
        resolved(),
        lambda uid: lineage.model_tests.remove(uid, request),
        nothing=NO_UID,
        request=request,
    )


def parse_test_uid(text: str) -> str:
    """The uid that ``text`` writes, lower case with hyphens.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_REFERENCE,
            f"A test is named by its name, or by '@' and its uid; found {text[:80]!r} for a uid.",
        ) from None
