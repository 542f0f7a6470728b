"""Bugs reported, fixed, closed and found."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime

from mgit_core.bugs import (
    Bug,
    BugState,
    BugSubject,
    DatasetSubject,
    ModelSubject,
    TensorSubject,
    check_bug,
)
from mgit_core.digest import DIGEST_SIZE
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.lineage import RequestKey
from mgit_core.names import make_uid
from mgit_core.ports.graph import Lineage, Page
from mgit_service.use_cases.references import NO_UID, change_resolved, find_model, resolve_uid

__all__ = ["find_bug", "fix_bug", "list_bugs", "report_bug", "resolve_bug", "set_bug_state"]

_BEGINNING = re.compile(r"[0-9a-f-]{1,36}")
_ID_LENGTH = 36


async def report_bug(lineage: Lineage, draft: Bug, request: RequestKey | None) -> Bug:
    """Keep a new, open bug.

    Args:
        lineage: The graph.
        draft: Its id, state, fixes and times are made here; its models are given by ``ref``, any reference.
        request: Makes the change idempotent.

    Raises:
        NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND, TENSOR_NOT_FOUND or DATASET_NOT_FOUND.
        InvalidArgumentError: INVALID_BUG, INVALID_REFERENCE or INVALID_NAME.
        ConflictError: REQUEST_ID_REUSED.
    """
    now = datetime.now(UTC)
    bug = check_bug(
        replace(
            draft,
            id=make_uid(time.time_ns() // 1_000_000, os.urandom(10)),
            title=draft.title.strip(),
            state=BugState.OPEN,
            fixed_in=(),
            created_at=now,
            updated_at=now,
        )
    )
    for subject in bug.affects:
        _check_subject(subject)

    async def resolved() -> tuple[BugSubject, ...]:
        return tuple([await _resolve_subject(lineage, subject) for subject in bug.affects])

    return await change_resolved(
        resolved(),
        lambda subjects: lineage.bugs.report(replace(bug, affects=subjects), request),
        nothing=(ModelSubject(NO_UID),),
        request=request,
    )


async def fix_bug(
    lineage: Lineage, bug_id: str, reference: str, *, force: bool, request: RequestKey | None
) -> Bug:
    """Record that a model, and what was made from it, does not have the bug.

    Raises:
        NotFoundError: BUG_NOT_FOUND, MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, INVALID_REFERENCE or INVALID_NAME.
        FailedPreconditionError: MODEL_NOT_AFFECTED, if the bug does not reach the model and ``force`` is false.
        ConflictError: REQUEST_ID_REUSED.
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """

    async def resolved() -> tuple[str, str]:
        return await resolve_bug(lineage, bug_id), await resolve_uid(lineage, reference)

    return await change_resolved(
        resolved(),
        lambda found: lineage.bugs.fix(found[0], found[1], force=force, request=request),
        nothing=(NO_UID, NO_UID),
        request=request,
    )


async def set_bug_state(lineage: Lineage, bug_id: str, state: BugState, request: RequestKey | None) -> Bug:
    """Close a bug, or open it again; a no-op if it is so.

    Raises:
        NotFoundError: BUG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT.
        ConflictError: REQUEST_ID_REUSED.
    """
    return await lineage.bugs.set_state(await resolve_bug(lineage, bug_id), state, request)


async def find_bug(lineage: Lineage, beginning: str) -> Bug:
    """The bug whose id begins so.

    Raises:
        NotFoundError: BUG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, if the ids of several bugs begin so, or nothing is given.
    """
    text = beginning.strip().lower()
    if not text:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            "A bug is named by its id, or how it begins; it was not given.",
            field="id",
        )
    found = await lineage.bugs.find(text) if _BEGINNING.fullmatch(text) else []
    if not found:
        raise NotFoundError(
            ErrorReason.BUG_NOT_FOUND, f"There is no bug whose id begins {text[:80]!r}.", bug=text[:80]
        )
    if len(found) > 1:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"The ids of several bugs begin {text!r}, such as {found[0].id} and {found[1].id}; write more of it.",
            field="id",
        )
    return found[0]


async def resolve_bug(lineage: Lineage, beginning: str) -> str:
    """The id that ``beginning`` begins. A whole one may be of no bug: nothing is asked.

    Raises:
        As ``find_bug``.
    """
    text = beginning.strip().lower()
    is_whole = len(text) == _ID_LENGTH and _BEGINNING.fullmatch(text)
    return text if is_whole else (await find_bug(lineage, text)).id


async def list_bugs(lineage: Lineage, page: Page, *, state: BugState | None, reference: str) -> list[Bug]:
    """Bugs, newest first.

    Args:
        lineage: The graph.
        page: Which part.
        state: Only of this state.
        reference: Only those that affect this model directly; empty means all.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    model_uid = (await find_model(lineage, reference)).uid if reference else None
    return await lineage.bugs.list_page(page, state=state, model_uid=model_uid)


def _check_subject(subject: BugSubject) -> None:
    match subject:
        case TensorSubject() if len(subject.digest) != DIGEST_SIZE:
            raise InvalidArgumentError(
                ErrorReason.INVALID_BUG,
                f"A tensor is named by a digest of {DIGEST_SIZE} bytes; found {len(subject.digest)}.",
            )
        case DatasetSubject() if not subject.dataset.name:
            raise InvalidArgumentError(ErrorReason.INVALID_BUG, "A data set that a bug affects has a name.")
        case _:
            return


async def _resolve_subject(lineage: Lineage, subject: BugSubject) -> BugSubject:
    if isinstance(subject, ModelSubject):
        return ModelSubject(await resolve_uid(lineage, subject.ref))
    return subject
