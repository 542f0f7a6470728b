"""Steps of cascades inside a transaction: who holds one, what it may make, and what it made."""

from __future__ import annotations

from mgit_core.cascade.values import StepLease
from mgit_core.lineage import ModelCommit
from mgit_storage.lineage import checks
from mgit_storage.lineage.cascade_records import targets_of
from mgit_storage.lineage.cypher import cascades as cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import AnyTransaction, run

__all__ = ["check_not_in_use", "check_step_commit", "find_step", "hold_step", "lock_cascade", "note_staged"]


async def lock_cascade(transaction: AnyTransaction, cascade_id: str) -> Row:
    """Lock a cascade; its row, with the server's time as ``now`` in milliseconds.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
    """
    rows = await run(transaction, cypher.LOCK_CASCADE, id=cascade_id)
    if not rows:
        raise checks.cascade_not_found(cascade_id)
    return {**rows[0]["cascade"], "now": rows[0]["now"]}


async def find_step(transaction: AnyTransaction, lease: StepLease) -> Row:
    """The step of a lease, of a cascade that is locked.

    Raises:
        ConflictError: STEP_LEASE_LOST, if there is no such step or attempt.
    """
    rows = await run(transaction, cypher.FIND_STEP, id=lease.cascade_id, number=lease.step)
    if not rows or rows[0]["step"]["attempt"] != lease.attempt:
        raise checks.step_lease_lost(lease)
    step: Row = rows[0]["step"]
    return step


async def hold_step(transaction: AnyTransaction, lease: StepLease) -> Row:
    """Lock a cascade that is not over and find the step that is leased; its row.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
    """
    cascade = await lock_cascade(transaction, lease.cascade_id)
    step = await find_step(transaction, lease)
    if not cascade.get("is_open") or step.get("expires_at") is None:
        raise checks.step_lease_lost(lease)
    return {**step, "now": cascade["now"]}


def check_step_commit(step: Row, commit: ModelCommit) -> None:
    """Refuse a model that is not what the plan says of one of the step's targets.

    Raises:
        InvalidArgumentError: INVALID_CREATION.
    """
    checks.check_target(commit, {target.uid: target for target in targets_of(step)})


async def note_staged(transaction: AnyTransaction, lease: StepLease, uid: str) -> None:
    """Tie a step to a model that was staged for it; with its last one it is STAGED."""
    await run(transaction, cypher.NOTE_STAGED, id=lease.cascade_id, number=lease.step, uid=uid)


async def check_not_in_use(transaction: AnyTransaction, uid: str) -> None:
    """Refuse to take away what a cascade needs that is not over.

    Raises:
        FailedPreconditionError: MODEL_IN_USE.
    """
    for row in await run(transaction, cypher.USED_BY, uid=uid):
        raise checks.model_in_use(uid, row["id"])
