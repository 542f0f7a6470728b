"""Port to cascades in the graph. As in ``ports.graph``, every mutating method is one transaction."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mgit_core.cascade.graph import CascadeGraph
from mgit_core.cascade.values import (
    Cascade,
    CascadeState,
    CascadeStep,
    PublishMode,
    StepLease,
    StepState,
)
from mgit_core.lineage import RequestKey
from mgit_core.ports.paging import Page

__all__ = ["Cascades", "StepReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """How a worker left a step.

    Attributes:
        error: Why it failed; empty if it was done.
        is_final: Whether trying again is of no use; else the step is tried until its attempts are used up.
        failed_tests: Names of tests that its models did not pass.
        is_released: Whether the worker gives the step back, neither done nor failed: it can be leased at once, and the
            attempt does not count.
    """

    error: str = ""
    is_final: bool = False
    failed_tests: tuple[str, ...] = ()
    is_released: bool = False


class Cascades(abc.ABC):
    """Cascades and their steps. Times are the graph server's, so that workers' clocks do not matter."""

    @abc.abstractmethod
    async def graph(self, old_uid: str, new_uid: str) -> CascadeGraph:
        """What a plan is made from: the descendants of the old model with their edges, versions and creation records.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED; NOT_A_REVISION, if no path of version edges leads from new to old.
        """

    @abc.abstractmethod
    async def start(self, cascade: Cascade, request: RequestKey | None = None) -> Cascade:
        """Keep a planned cascade, with all its steps.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, if a model of the plan is gone.
            ConflictError: CASCADE_OVERLAP, if a running cascade replaces one of its models; names it.
        """

    @abc.abstractmethod
    async def get(self, cascade_id: str) -> Cascade:
        """The cascade as it is now.

        Raises:
            NotFoundError: CASCADE_NOT_FOUND.
        """

    @abc.abstractmethod
    async def list_page(self, page: Page) -> list[Cascade]:
        """Cascades, newest first, without targets and what is left out; ``page.after`` is an id."""

    @abc.abstractmethod
    async def lease(
        self, cascade_id: str, worker: str, lease_s: float
    ) -> tuple[CascadeStep | None, CascadeState]:
        """Lease a step that can go on, in logarithmic time.

        First come those that wait for nobody, by number, then those whose lease ended, longest ago first. A lease that
        ended counts as a failure of its attempt. A step without all of its models loses those that an earlier attempt
        staged: what one call makes stays together.

        Returns:
            The step as it is now, with its new attempt; its state is LEASED, or STAGED if only tests are left. None if
            there is no such step now. And the state of the cascade.

        Raises:
            NotFoundError: CASCADE_NOT_FOUND.
            ConflictError: CASCADE_ENDED.
        """

    @abc.abstractmethod
    async def leased_step(self, lease: StepLease) -> CascadeStep:
        """The step that is held by this lease, as it is now.

        Raises:
            NotFoundError: CASCADE_NOT_FOUND.
            ConflictError: STEP_LEASE_LOST.
        """

    @abc.abstractmethod
    async def renew(self, lease: StepLease, lease_s: float) -> datetime:
        """Hold the step for longer; returns until when.

        Raises:
            ConflictError: STEP_LEASE_LOST.
        """

    @abc.abstractmethod
    async def report(self, lease: StepLease, report: StepReport) -> tuple[StepState, CascadeState]:
        """Leave a step: DONE, WAITING or STAGED for its next attempt, or FAILED with what needs it BLOCKED.

        With publish mode EACH the models of a step that is done are numbered in the same transaction; if one of them
        would replace a model that got another newer version since the plan was made, the cascade is BLOCKED instead.
        The cascade's own state follows: BUILT when all is done, FAILED when nothing can go on, PUBLISHED with mode EACH.
        A failed test fails the step if the cascade stops at such, for good. Repeating a report of the same attempt
        changes nothing.

        Returns:
            The states of the step and of the cascade.

        Raises:
            ConflictError: STEP_LEASE_LOST; also for a step without its models, unless it failed.
        """

    @abc.abstractmethod
    async def resume(
        self, cascade_id: str, *, publish: PublishMode | None = None, request: RequestKey | None = None
    ) -> Cascade:
        """Let failed and blocked steps be tried anew, with all their attempts; a no-op where none is.

        Args:
            cascade_id: The cascade.
            publish: Another publish mode; EACH numbers the models of all steps that are done.
            request: Makes the change idempotent.

        Raises:
            NotFoundError: CASCADE_NOT_FOUND.
            ConflictError: CASCADE_ENDED.
        """

    @abc.abstractmethod
    async def publish(
        self, cascade_id: str, *, anyway: bool = False, request: RequestKey | None = None
    ) -> Cascade:
        """Number all models of a BUILT or BLOCKED cascade, in order, in one transaction; PUBLISHED ones stay as they are.

        Locks the names in name order. If a model that it replaces got another newer version since the plan was made,
        nothing is published unless ``anyway``: the cascade is BLOCKED and says by which. One with mode EACH that was
        BLOCKED in the middle is RUNNING afterwards.

        Raises:
            NotFoundError: CASCADE_NOT_FOUND.
            ConflictError: CASCADE_ENDED for a cancelled one; CASCADE_UNFINISHED, if steps are not done.
        """

    @abc.abstractmethod
    async def cancel(self, cascade_id: str, request: RequestKey | None = None) -> Cascade:
        """Remove its staged models and free what it overlaps; a no-op for a cancelled one. Published models stay.

        Raises:
            NotFoundError: CASCADE_NOT_FOUND.
            ConflictError: CASCADE_ENDED for a published one.
        """

    @abc.abstractmethod
    async def running_over(self, uids: Sequence[str]) -> list[str]:
        """Ids of cascades that are not over and replace one of these models."""
