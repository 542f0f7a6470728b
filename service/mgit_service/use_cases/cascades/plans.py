"""Update cascades planned and started."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from mgit_core.cascade.graph import PlanOptions
from mgit_core.cascade.planning import plan_cascade
from mgit_core.cascade.values import Cascade, CascadeState, PublishMode, UpdatePlan
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import RequestKey
from mgit_core.names import Reference, make_uid
from mgit_core.ports.graph import Lineage
from mgit_service.use_cases.references import find_model, resolve_uids

__all__ = ["MAX_ATTEMPTS", "CascadeOrder", "UpdateQuestion", "plan_update", "start_update"]

MAX_ATTEMPTS = 100
_MAX_REFERENCES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateQuestion:
    """What an update is to do, by references.

    Attributes:
        old: The model that was updated.
        new: What follows it by version edges.
        skip: Models that are not made anew.
        stop_at: Models that are not made anew, nor what lies behind them only.
        refresh_parents: Whether other parents are replaced by the latest versions of their names.
    """

    old: str
    new: str
    skip: tuple[str, ...] = ()
    stop_at: tuple[str, ...] = ()
    refresh_parents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeOrder:
    """How a cascade is to run.

    Attributes:
        publish: When models become visible.
        stop_at_failed_tests: Whether a failed test fails the step.
        max_attempts: How often a step is tried, from 1 to 100.
    """

    publish: PublishMode = PublishMode.TOGETHER
    stop_at_failed_tests: bool = False
    max_attempts: int = 3

    def __post_init__(self) -> None:
        """Refuses numbers that cannot be.

        Raises:
            InvalidArgumentError: INVALID_CASCADE.
        """
        if not 1 <= self.max_attempts <= MAX_ATTEMPTS:
            raise InvalidArgumentError(
                ErrorReason.INVALID_CASCADE,
                f"A step is tried from 1 to {MAX_ATTEMPTS} times; found {self.max_attempts}.",
                field="max_attempts",
            )


async def plan_update(lineage: Lineage, question: UpdateQuestion) -> UpdatePlan:
    """What an update would do as the graph is now; nothing is kept.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED or NOT_A_REVISION.
        InvalidArgumentError: INVALID_CASCADE, INVALID_REFERENCE or INVALID_NAME.
    """
    named = len(question.skip) + len(question.stop_at)
    if named > _MAX_REFERENCES:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CASCADE,
            f"An update names at most {_MAX_REFERENCES} models to leave out; found {named}.",
        )
    old, new = await find_model(lineage, question.old), await find_model(lineage, question.new)
    graph = await lineage.cascades.graph(old.uid, new.uid)
    options = PlanOptions(
        skip=frozenset(await resolve_uids(lineage, question.skip)),
        stop_at=frozenset(await resolve_uids(lineage, question.stop_at)),
        refresh_parents=question.refresh_parents,
    )
    for uid in sorted((options.skip | options.stop_at) - graph.models.keys()):
        # It may be of a model elsewhere, or of none.
        await lineage.models.get(Reference(uid=uid))
    return plan_cascade(graph, options, _fresh_uid)


async def start_update(
    lineage: Lineage, question: UpdateQuestion, order: CascadeOrder, request: RequestKey | None
) -> Cascade:
    """Plan an update and keep it; one that makes nothing is over at once.

    A repeat with the same request gets the cascade that the first call started, as it is now.

    Raises:
        As ``plan_update``, and ConflictError: CASCADE_OVERLAP or REQUEST_ID_REUSED.
    """
    plan = await plan_update(lineage, question)
    now = datetime.now(UTC)
    cascade = Cascade(
        id=_fresh_uid(),
        state=CascadeState.RUNNING if plan.steps else CascadeState.PUBLISHED,
        plan=plan,
        publish=order.publish,
        stop_at_failed_tests=order.stop_at_failed_tests,
        max_attempts=order.max_attempts,
        created_at=now,
        updated_at=now,
    )
    return await lineage.cascades.start(cascade, request)


def _fresh_uid() -> str:
    return make_uid(time.time_ns() // 1_000_000, os.urandom(10))
