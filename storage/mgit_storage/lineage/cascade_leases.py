"""Steps leased, held and left, inside a transaction that has the lock on their cascade."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mgit_core.cascade.values import CascadeState, PublishMode, StepLease, StepState
from mgit_core.ports.cascades import StepReport
from mgit_storage.lineage import checks
from mgit_storage.lineage.cascade_runs import publish_steps
from mgit_storage.lineage.cascade_steps import find_step, hold_step, lock_cascade
from mgit_storage.lineage.cypher import cascades as cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import Answer, Transaction, run
from mgit_storage.lineage.staging import discard_staged

__all__ = ["lease_step", "renew_step", "report_step"]


async def lease_step(transaction: Transaction, cascade_id: str, worker: str, lease_ms: int) -> Answer:
    """Lease the next step; ``step`` is its row or None, ``state`` that of the cascade.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED.
    """
    cascade = await lock_cascade(transaction, cascade_id)
    if not cascade.get("is_open"):
        raise checks.cascade_ended(cascade_id, cascade["state"])
    while cascade["state"] == CascadeState.RUNNING:
        rows = await run(transaction, cypher.NEXT_STEP, id=cascade_id, now=cascade["now"])
        if not rows:
            break
        step: Row = rows[0]["step"]
        failures = step["failures"]
        if step.get("expires_at") is not None:
            failures += 1
            step["error"] = checks.LEASE_EXPIRED
            if failures >= cascade["max_attempts"]:
                step["failures"] = failures
                await _fail(transaction, cascade, step)
                continue
        return {
            "step": await _take(transaction, cascade, {**step, "failures": failures}, worker, lease_ms),
            "state": cascade["state"],
        }
    return {"step": None, "state": cascade["state"]}


async def _take(transaction: Transaction, cascade: Row, step: Row, worker: str, lease_ms: int) -> Row:
    """Give a step to a worker. What an earlier attempt staged of a step without all of its models goes."""
    if step["state"] != StepState.STAGED:
        staged = await run(transaction, cypher.STAGED_OF_STEP, id=cascade["id"], number=step["number"])
        if staged:
            await discard_staged(transaction, [row["uid"] for row in staged])
    expires_at = cascade["now"] + lease_ms
    changes: dict[str, Any] = {
        "state": step["state"] if step["state"] == StepState.STAGED else StepState.LEASED.value,
        "attempt": step["attempt"] + 1,
        "failures": step["failures"],
        "error": step["error"],
        "worker": worker,
        "expires_at": expires_at,
        "free_at": expires_at,
    }
    await _set(transaction, cascade["id"], step, changes)
    await run(transaction, cypher.SET_CASCADE, id=cascade["id"], changes={})
    return {**step, **changes}


async def renew_step(transaction: Transaction, lease: StepLease, lease_ms: int) -> int:
    """Hold a step for longer; until when, in milliseconds since 1970.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
    """
    step = await hold_step(transaction, lease)
    expires_at: int = step["now"] + lease_ms
    await _set(transaction, lease.cascade_id, step, {"expires_at": expires_at, "free_at": expires_at})
    return expires_at


async def report_step(transaction: Transaction, lease: StepLease, report: StepReport) -> tuple[str, str]:
    """Leave a step; the states of the step and of the cascade.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
    """
    cascade = await lock_cascade(transaction, lease.cascade_id)
    step = await find_step(transaction, lease)
    if step.get("expires_at") is None:
        return step["state"], cascade["state"]
    if not cascade.get("is_open"):
        raise checks.step_lease_lost(lease)
    report = _with_failed_tests(cascade, report)
    step["failed_tests"] = list(report.failed_tests)
    if report.is_released:
        await _free(transaction, cascade, step)
    elif report.error:
        step |= {"failures": step["failures"] + 1, "error": report.error}
        if report.is_final or step["failures"] >= cascade["max_attempts"]:
            await _fail(transaction, cascade, step)
        else:
            await _free(transaction, cascade, step)
    elif step["state"] != StepState.STAGED:
        raise checks.step_lease_lost(lease)
    else:
        await _finish(transaction, cascade, step)
    return step["state"], cascade["state"]


def _with_failed_tests(cascade: Row, report: StepReport) -> StepReport:
    """The report, as a final failure if tests failed where the cascade stops at that."""
    if not (report.failed_tests and cascade["stop_at_failed_tests"]) or report.error or report.is_released:
        return report
    return replace(report, error=checks.failed_tests_error(report.failed_tests), is_final=True)


async def _free(transaction: Transaction, cascade: Row, step: Row) -> None:
    """Let a step be leased at once."""
    if step["state"] != StepState.STAGED:
        step["state"] = StepState.WAITING.value
    await _set(transaction, cascade["id"], step, {**_left(step), "free_at": 0})
    await run(transaction, cypher.SET_CASCADE, id=cascade["id"], changes={})


async def _fail(transaction: Transaction, cascade: Row, step: Row) -> None:
    """Give a step up, and block what needs it."""
    step["state"] = StepState.FAILED.value
    await _set(transaction, cascade["id"], step, _left(step))
    rows = await run(transaction, cypher.BLOCK_BEHIND, id=cascade["id"], number=step["number"])
    cascade["open_steps"] -= 1 + rows[0]["blocked"]
    if cascade["open_steps"] == 0 and cascade["state"] == CascadeState.RUNNING:
        cascade["state"] = CascadeState.FAILED.value
    await _keep(transaction, cascade)


async def _finish(transaction: Transaction, cascade: Row, step: Row) -> None:
    """A step is done: what needs it may go on, and its models are numbered if each is at once."""
    step |= {"state": StepState.DONE.value, "error": ""}
    await _set(transaction, cascade["id"], step, _left(step))
    await run(transaction, cypher.FREE_BEHIND, id=cascade["id"], number=step["number"])
    cascade["open_steps"] -= 1
    cascade["done_steps"] += 1
    is_blocked = cascade["state"] == CascadeState.BLOCKED
    if cascade["open_steps"] == 0 and not is_blocked:
        is_built = cascade["done_steps"] == cascade["step_count"]
        cascade["state"] = (CascadeState.BUILT if is_built else CascadeState.FAILED).value
    await _keep(transaction, cascade)
    if cascade["publish"] == PublishMode.EACH and not is_blocked:
        await publish_steps(transaction, cascade, [step])


async def _set(transaction: Transaction, cascade_id: str, step: Row, changes: dict[str, Any]) -> None:
    await run(transaction, cypher.SET_STEP, id=cascade_id, number=step["number"], changes=changes)


def _left(step: Row) -> dict[str, Any]:
    """What is kept of a step that nobody holds."""
    kept = {key: step[key] for key in ("state", "failures", "error", "failed_tests")}
    return {**kept, "expires_at": None, "free_at": None}


async def _keep(transaction: Transaction, cascade: Row) -> None:
    kept = {key: cascade[key] for key in ("state", "open_steps", "done_steps")}
    await run(transaction, cypher.SET_CASCADE, id=cascade["id"], changes=kept)
