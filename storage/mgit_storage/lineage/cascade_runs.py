"""Cascades begun, gone on with, published and cancelled, inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.cascade.values import Cascade, CascadeState, PublishMode
from mgit_core.lineage import ModelSummary
from mgit_storage.lineage import cascade_records, checks, records
from mgit_storage.lineage.cascade_steps import lock_cascade
from mgit_storage.lineage.cypher import cascades as cypher
from mgit_storage.lineage.cypher import model_tests as test_cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import Transaction, run
from mgit_storage.lineage.staging import discard_staged, publish_staged

__all__ = ["cancel_cascade", "publish_cascade", "publish_steps", "resume_cascade", "start_cascade"]

_STEPS_AT_ONCE = 1_000


async def start_cascade(transaction: Transaction, cascade: Cascade) -> None:
    """Keep a cascade with its steps. The names of all models that it concerns are locked first.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED.
        ConflictError: CASCADE_OVERLAP.
    """
    steps = cascade.plan.steps
    replaced = [target.old.uid for step in steps for target in step.targets]
    uids = sorted({*replaced, *_taken(cascade), cascade.plan.old.uid, cascade.plan.new.uid})
    await run(transaction, test_cypher.LOCK_NAMES_OF, uids=uids)
    await _check_present(transaction, uids)
    for row in await run(transaction, cypher.CASCADES_OVER, uids=replaced):
        raise checks.cascade_overlap(row["id"], row["ref"])
    await run(transaction, cypher.CREATE_CASCADE, properties=cascade_records.cascade_properties(cascade))
    rows = await run(transaction, cypher.NAMES_OF_REPLACED, uids=replaced)
    known = {row["uid"]: row for row in rows}
    for start in range(0, len(steps), _STEPS_AT_ONCE):
        part = steps[start : start + _STEPS_AT_ONCE]
        made = [cascade_records.step_properties(cascade.id, step, known) for step in part]
        await run(transaction, cypher.CREATE_STEPS, id=cascade.id, steps=made)
        await run(transaction, cypher.TIE_STEPS, id=cascade.id, ties=_ties(cascade, start))


def _taken(cascade: Cascade) -> set[str]:
    """Models that exist and that targets are made from."""
    made = {target.uid for step in cascade.plan.steps for target in step.targets}
    return {uid for step in cascade.plan.steps for target in step.targets for uid in target.made_from} - made


def _ties(cascade: Cascade, start: int) -> list[Row]:
    taken = _taken(cascade)
    return [
        {
            "number": step.number,
            "needs": list(step.needs),
            "replaces": [target.old.uid for target in step.targets],
            "takes": sorted({uid for target in step.targets for uid in target.made_from} & taken),
        }
        for step in cascade.plan.steps[start : start + _STEPS_AT_ONCE]
    ]


async def _check_present(transaction: Transaction, uids: Sequence[str]) -> None:
    rows = await run(transaction, model_cypher.FIND_SUMMARIES, uids=uids)
    found = {row["model"]["uid"]: records.summary_from_row(row["model"]) for row in rows}
    for uid in uids:
        if uid not in found:
            raise checks.model_not_found(f"@{uid}")
        checks.check_present(found[uid])


async def resume_cascade(transaction: Transaction, cascade_id: str, publish: PublishMode | None) -> None:
    """Let failed and blocked steps be tried anew.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED.
    """
    cascade = await lock_cascade(transaction, cascade_id)
    if not cascade.get("is_open"):
        raise checks.cascade_ended(cascade_id, cascade["state"])
    resumed: int = (await run(transaction, cypher.RESUME_STEPS, id=cascade_id))[0]["resumed"]
    cascade["open_steps"] += resumed
    cascade["publish"] = cascade["publish"] if publish is None else publish.value
    if resumed and cascade["state"] == CascadeState.FAILED:
        cascade["state"] = CascadeState.RUNNING.value
    kept = {key: cascade[key] for key in ("state", "open_steps", "publish")}
    await run(transaction, cypher.SET_CASCADE, id=cascade_id, changes=kept)
    if publish is PublishMode.EACH and cascade["state"] != CascadeState.BLOCKED:
        await publish_steps(transaction, cascade, await _unpublished(transaction, cascade_id))


async def publish_cascade(transaction: Transaction, cascade_id: str, *, anyway: bool) -> None:
    """Number all models of a cascade that is built, or of its finished steps if each is numbered when it is done.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED or CASCADE_UNFINISHED.
    """
    cascade = await lock_cascade(transaction, cascade_id)
    if cascade["state"] == CascadeState.PUBLISHED:
        return
    if not cascade.get("is_open"):
        raise checks.cascade_ended(cascade_id, cascade["state"])
    left = cascade["step_count"] - cascade["done_steps"]
    if left and cascade["state"] != CascadeState.BLOCKED:
        raise checks.cascade_unfinished(cascade_id, left)
    await publish_steps(transaction, cascade, await _unpublished(transaction, cascade_id), anyway=anyway)


async def _unpublished(transaction: Transaction, cascade_id: str) -> list[Row]:
    return [row["step"] for row in await run(transaction, cypher.UNPUBLISHED_STEPS, id=cascade_id)]


async def publish_steps(
    transaction: Transaction, cascade: Row, steps: Sequence[Row], *, anyway: bool = False
) -> None:
    """Number the models of steps that are done, and let the cascade follow: BLOCKED, RUNNING, FAILED or PUBLISHED.

    Args:
        transaction: Where it is done.
        cascade: The row of the cascade, which is locked; its state is changed too.
        steps: Rows of the steps, in order.
        anyway: Whether newer versions do not matter that appeared since the plan was made.
    """
    newer = await _newer_versions(transaction, cascade, steps)
    if newer and not anyway:
        cascade["state"] = CascadeState.BLOCKED.value
        changes = {"state": cascade["state"], "blocked_by": cascade_records.summaries_text(newer)}
        await run(transaction, cypher.SET_CASCADE, id=cascade["id"], changes=changes)
        return
    uids = [uid for step in steps for uid in step["target_uids"]]
    if uids:
        await publish_staged(transaction, uids, is_of_cascade=True)
    accepted = sorted({*cascade["accepted"], *(model.uid for model in newer)})
    await _settle(transaction, cascade, accepted)


async def _settle(transaction: Transaction, cascade: Row, accepted: list[str]) -> None:
    """Give a cascade its state when the models of all its finished steps are numbered."""
    is_over = cascade["done_steps"] == cascade["step_count"]
    state = CascadeState.RUNNING if cascade["open_steps"] else CascadeState.FAILED
    cascade["state"] = (CascadeState.PUBLISHED if is_over else state).value
    changes = {
        "state": cascade["state"],
        "blocked_by": "[]",
        "accepted": accepted,
        "is_open": None if is_over else True,
    }
    await run(transaction, cypher.SET_CASCADE, id=cascade["id"], changes=changes)
    if is_over:
        await run(transaction, cypher.FREE_MODELS, id=cascade["id"])


async def _newer_versions(transaction: Transaction, cascade: Row, steps: Sequence[Row]) -> list[ModelSummary]:
    """Versions that came since the cascade was started, are none of its own and were not accepted; by time."""
    known = {uid for step in steps for uid in step["known_newer"]} | set(cascade["accepted"])
    replaced = [
        {"uid": target.old.uid, "name": target.old.name, "last_version": last_version}
        for step in steps
        for target, last_version in zip(cascade_records.targets_of(step), step["known_versions"], strict=True)
    ]
    # The names are locked before it is asked, so that no version comes between the question and the publication.
    await run(transaction, test_cypher.LOCK_NAMES_OF, uids=[row["uid"] for row in replaced])
    rows = await run(transaction, cypher.NEWER_VERSIONS, replaced=replaced)
    found = [records.summary_from_row(row["model"]) for row in rows]
    found = [model for model in found if model.uid not in known]
    if not found:
        return []
    uids = [model.uid for model in found]
    own = {row["uid"] for row in await run(transaction, cypher.OWN_TARGETS, id=cascade["id"], uids=uids)}
    return [model for model in found if model.uid not in own]


async def cancel_cascade(transaction: Transaction, cascade_id: str) -> None:
    """Remove what a cascade staged, and free the models that it is over.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: CASCADE_ENDED, if it was published.
    """
    cascade = await lock_cascade(transaction, cascade_id)
    if cascade["state"] == CascadeState.PUBLISHED:
        raise checks.cascade_ended(cascade_id, cascade["state"])
    if not cascade.get("is_open"):
        return
    staged = await run(transaction, cypher.STAGED_OF_CASCADE, id=cascade_id)
    if staged:
        await discard_staged(transaction, [row["uid"] for row in staged])
    changes = {"state": CascadeState.CANCELLED.value, "is_open": None, "blocked_by": "[]"}
    await run(transaction, cypher.SET_CASCADE, id=cascade_id, changes=changes)
    await run(transaction, cypher.FREE_MODELS, id=cascade_id)
