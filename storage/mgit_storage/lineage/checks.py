"""Checks of arguments that need no look at the graph, the same for every implementation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mgit_core.cascade.values import StepLease, StepTarget
from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
    ResourceExhaustedError,
)
from mgit_core.lineage import ModelCommit, ModelState, ModelSummary
from mgit_core.model_tests import ModelTestResult
from mgit_core.ports.graph import Lease, Page

__all__ = [
    "LARGEST_BATCH",
    "LEASE_EXPIRED",
    "cascade_ended",
    "cascade_not_found",
    "cascade_overlap",
    "cascade_unfinished",
    "check_batch",
    "check_both_empty",
    "check_bound",
    "check_present",
    "check_still_bound",
    "check_target",
    "check_tested_parameters",
    "cycle",
    "edge_not_found",
    "failed_tests_error",
    "lease_lost",
    "maintenance_busy",
    "model_in_use",
    "model_not_found",
    "model_staged",
    "not_a_revision",
    "other_case",
    "parent_not_found",
    "step_lease_lost",
    "tag_not_found",
    "test_exists",
    "test_not_found",
    "too_many_together",
    "version_after",
]

LARGEST_BATCH = 1_000
LEASE_EXPIRED = "The worker did not report before its lease ended."
"""Why an attempt failed of which nobody heard again."""


def model_not_found(reference: object) -> MGitError:
    """The error for a model that is not there."""
    return NotFoundError(
        ErrorReason.MODEL_NOT_FOUND, f"There is no model {reference}.", reference=str(reference)
    )


def model_staged(uid: str, why: str) -> MGitError:
    """The error for a staged model that must stay as it is.

    Args:
        uid: Of the model.
        why: What it is needed for, and what to do.
    """
    return FailedPreconditionError(
        ErrorReason.MODEL_STAGED, f"Model @{uid} is staged and stays so: {why}.", uid=uid
    )


def cascade_not_found(cascade_id: str) -> MGitError:
    """The error for a cascade that is not there."""
    return NotFoundError(
        ErrorReason.CASCADE_NOT_FOUND, f"There is no update {cascade_id[:80]!r}.", cascade=cascade_id[:80]
    )


def cascade_ended(cascade_id: str, state: str) -> MGitError:
    """The error for a cascade that is over.

    Args:
        cascade_id: The cascade.
        state: How it ended.
    """
    return ConflictError(
        ErrorReason.CASCADE_ENDED,
        f"Update {cascade_id} is over: it was {state}.",
        cascade=cascade_id,
        state=state,
    )


def cascade_unfinished(cascade_id: str, left: int) -> MGitError:
    """The error for a cascade whose models cannot be published together yet.

    Args:
        cascade_id: The cascade.
        left: How many steps are not done.
    """
    return ConflictError(
        ErrorReason.CASCADE_UNFINISHED,
        f"{left} steps of update {cascade_id} are not done; 'mgit update resume {cascade_id}' goes on, and "
        "'--publish each' publishes those that are done.",
        cascade=cascade_id,
        steps=left,
    )


def too_many_together(cascade_id: str) -> MGitError:
    """The error for a cascade whose models are more than the graph server can number in one transaction."""
    return ResourceExhaustedError(
        ErrorReason.LIMIT_EXCEEDED,
        f"The graph server has not enough memory to publish all models of update {cascade_id} together; nothing was "
        f"published. Give it more memory and publish again by 'mgit update resume {cascade_id}', or cancel the update "
        "and start it with '--publish each'.",
        cascade=cascade_id,
    )


def cascade_overlap(cascade_id: str, ref: str) -> MGitError:
    """The error for a cascade that would replace what another one replaces.

    Args:
        cascade_id: The other one.
        ref: A model that both replace.
    """
    return ConflictError(
        ErrorReason.CASCADE_OVERLAP,
        f"Update {cascade_id} is not over and replaces {ref} too; let it end, or cancel it by "
        f"'mgit update cancel {cascade_id}'.",
        cascade=cascade_id,
        model=ref,
    )


def step_lease_lost(lease: StepLease) -> MGitError:
    """The error for a step that is not its holder's any more, or lacks its models."""
    return ConflictError(
        ErrorReason.STEP_LEASE_LOST,
        f"Step {lease.step} of update {lease.cascade_id} is not held by attempt {lease.attempt} any more, or is "
        "reported without its models; nothing was changed. Ask for another step.",
        cascade=lease.cascade_id,
        step=lease.step,
        attempt=lease.attempt,
    )


def failed_tests_error(names: Sequence[str]) -> str:
    """Why a step failed whose models did not pass their tests."""
    return f"Tests did not pass: {', '.join(names)}."


def not_a_revision(old: ModelSummary, new: ModelSummary) -> MGitError:
    """The error for a model that does not follow another one by version edges."""
    return FailedPreconditionError(
        ErrorReason.NOT_A_REVISION,
        f"{new.ref} does not follow {old.ref} by version edges. If it is its newer version, say so by "
        f"'mgit link {new.ref} {old.ref} --relation revision'.",
        old=old.ref,
        new=new.ref,
    )


def check_target(commit: ModelCommit, targets: Mapping[str, StepTarget]) -> None:
    """Refuse a model that is not what the plan of a cascade says of it.

    Args:
        commit: The model.
        targets: Targets of the step, by uid.

    Raises:
        InvalidArgumentError: INVALID_CREATION.
    """
    target = targets.get(commit.uid)
    found = (commit.name, commit.previous.uid, commit.parents)
    if target is None or found != (target.old.name, target.old.uid, target.parents):
        what = (
            "is none of the step's" if target is None else "has another name, version before or other parents"
        )
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION,
            f"A step makes the models of its plan, each with the name, parents and version before that stand there; "
            f"@{commit.uid} {what}.",
            uid=commit.uid,
        )


def model_in_use(uid: str, cascade_id: str) -> MGitError:
    """The error for a model that a cascade needs."""
    return FailedPreconditionError(
        ErrorReason.MODEL_IN_USE,
        f"Update {cascade_id} replaces @{uid} or makes models from it; let it end, or cancel it by "
        f"'mgit update cancel {cascade_id}'.",
        uid=uid,
        cascade=cascade_id,
    )


def parent_not_found(uid: str) -> MGitError:
    """The error for a parent that is not there."""
    return NotFoundError(
        ErrorReason.PARENT_NOT_FOUND, f"There is no parent @{uid}; add it first.", parent=uid
    )


def tag_not_found(name: str | None, tag: str) -> MGitError:
    """The error for a tag that is not there."""
    return NotFoundError(ErrorReason.TAG_NOT_FOUND, f"{name} has no tag {tag!r}.", name=name, tag=tag)


def test_not_found(name_or_uid: str) -> MGitError:
    """The error for a model test that is not there.

    Args:
        name_or_uid: A name, or a uid behind ``@``.
    """
    return NotFoundError(ErrorReason.TEST_NOT_FOUND, f"There is no test {name_or_uid}.", test=name_or_uid)


def test_exists(name: str) -> MGitError:
    """The error for the name of a registered test.

    Args:
        name: As it was registered.
    """
    return AlreadyExistsError(
        ErrorReason.TEST_EXISTS,
        f"There is a test {name} already; replace its definition, or choose another name.",
        test=name,
    )


def edge_not_found(child_uid: str, parent_uid: str) -> MGitError:
    """The error for an edge that is not there."""
    return NotFoundError(
        ErrorReason.EDGE_NOT_FOUND, f"There is no such edge from @{child_uid} to @{parent_uid}."
    )


def maintenance_busy(work: str, seconds_left: float) -> MGitError:
    """The error for a lease that somebody else holds.

    Args:
        work: What they hold it for.
        seconds_left: After how many seconds it is free if they never say a word again.
    """
    return ConflictError(
        ErrorReason.MAINTENANCE_BUSY,
        f"The store is kept busy by {work}; try again when that is done, or in {math.ceil(seconds_left)} s "
        "if it has died.",
        work=work,
        seconds_left=math.ceil(seconds_left),
    )


def lease_lost(lease: Lease) -> MGitError:
    """The error for a lease that is not its holder's any more."""
    return ConflictError(
        ErrorReason.LEASE_LOST,
        f"The lease for {lease.work} is lost: it was not renewed in time, or was given back. Start again.",
        work=lease.work,
    )


def other_case(name: str, known: str) -> MGitError:
    """The error for a name that is taken in another case."""
    return InvalidArgumentError(
        ErrorReason.INVALID_NAME,
        f"The name {name!r} differs only in case from {known!r}, which exists; use that.",
        name=name,
        known=known,
    )


def cycle(refs: Sequence[str]) -> MGitError:
    """The error for an edge that would close a cycle.

    Args:
        refs: Models on the way from the parent to the child.
    """
    path = " -> ".join(refs)
    return ConflictError(
        ErrorReason.CYCLE,
        f"The edge would close a cycle: {path} -> {refs[0]}. A model cannot be its own ancestor.",
        path=path,
    )


def check_batch(commits: Sequence[ModelCommit]) -> None:
    """Refuse what no graph can make right.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT for too many commits, or a parent that is named twice with one
            relation.
        NotFoundError: PARENT_NOT_FOUND or MODEL_NOT_FOUND for a parent or previous version that does not stand
            earlier in the batch.
    """
    if len(commits) > LARGEST_BATCH:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A batch has at most {LARGEST_BATCH} models; found {len(commits)}.",
        )
    later = {commit.uid for commit in commits}
    for commit in commits:
        for link in commit.parents:
            if link.parent_uid in later:
                raise parent_not_found(link.parent_uid)
        if commit.previous.uid in later:
            raise model_not_found(f"@{commit.previous.uid}")
        if len({(link.parent_uid, link.relation) for link in commit.parents}) < len(commit.parents):
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"A parent of {commit.name} is named twice with one relation."
            )
        later.discard(commit.uid)


def check_present(model: ModelSummary) -> None:
    """Refuse a tombstone.

    Raises:
        FailedPreconditionError: MODEL_REMOVED.
    """
    if model.state is ModelState.REMOVED:
        raise FailedPreconditionError(
            ErrorReason.MODEL_REMOVED, f"Model {model.ref} was removed.", uid=model.uid
        )


def check_tested_parameters(result: ModelTestResult, model_digest: str) -> None:
    """Refuse a result on other parameters than its model's.

    Args:
        result: A new result.
        model_digest: Digest of the parameter set of its model, as hexadecimal text.

    Raises:
        InvalidArgumentError: INVALID_TEST.
    """
    found = result.key.parameters_digest.hex()
    if found != model_digest:
        raise InvalidArgumentError(
            ErrorReason.INVALID_TEST,
            f"Model @{result.model_uid} has the parameters {model_digest[:12]}; the result is on {found[:12]}.",
            uid=result.model_uid,
        )


def version_after(page: Page) -> int | None:
    """The version number that a page of versions starts below; None for the beginning.

    Raises:
        InvalidArgumentError: INVALID_PAGE_TOKEN.
    """
    if page.after is None:
        return None
    if not (page.after.isascii() and page.after.isdigit() and len(page.after) <= 10):
        raise InvalidArgumentError(
            ErrorReason.INVALID_PAGE_TOKEN,
            f"A list of versions goes on after a number; found {page.after[:80]!r}.",
        )
    return int(page.after)


def check_both_empty(*, graph_is_empty: bool, store_is_empty: bool) -> None:
    """Refuse to bind a graph and a store for the first time, unless both are empty.

    Raises:
        FailedPreconditionError: STORE_MISMATCH.
    """
    full = [
        what for what, empty in (("the graph", graph_is_empty), ("the store", store_is_empty)) if not empty
    ]
    if full:
        raise FailedPreconditionError(
            ErrorReason.STORE_MISMATCH,
            f"Graph and store are not bound to each other, and {' and '.join(full)} is not empty; an empty "
            "store is bound to an empty graph only.",
        )


def check_bound(bound_to: str, store_id: str) -> None:
    """Refuse a graph that is bound to another store.

    Raises:
        FailedPreconditionError: STORE_MISMATCH.
    """
    if bound_to != store_id:
        raise FailedPreconditionError(
            ErrorReason.STORE_MISMATCH,
            f"The graph belongs to store {bound_to}, but the store here is {store_id}; start the service "
            "with the store and the graph that belong together.",
            graph_store_id=bound_to,
            store_id=store_id,
        )


def check_still_bound(bound_to: str | None, store_id: str | None) -> None:
    """Refuse a graph that was emptied or replaced since it was bound.

    Raises:
        FailedPreconditionError: STORE_MISMATCH.
    """
    if store_id is None or bound_to != store_id:
        raise FailedPreconditionError(
            ErrorReason.STORE_MISMATCH, "The graph does not belong to this store any more."
        )
