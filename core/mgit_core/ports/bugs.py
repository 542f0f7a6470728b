"""Port to the bugs in the graph. As in ``ports.graph``, every mutating method is one transaction."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mgit_core.bugs import AffectedModel, Bug, BugState
from mgit_core.lineage import ModelSummary, RequestKey
from mgit_core.ports.paging import Page

__all__ = ["Bugs", "ReachMargin", "ReachQuery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachQuery:
    """Whom does a bug reach?

    Attributes:
        bug_id: The bug.
        assumed_fixed: UIDs of models that are taken as fixed besides those that are.
        declared_only: Whether inferred edges are left out.
    """

    bug_id: str
    assumed_fixed: tuple[str, ...] = ()
    declared_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachMargin:
    """Models beside the reach of a bug, each kind by uid.

    Attributes:
        unknown: Newer versions, over any number of version edges, of affected models that no path ties to the
            bug, not even one that a fix cuts, and that are not fixed themselves: nobody knows.
        cleared: Affected models that would not be with those that are assumed to be fixed.
    """

    unknown: tuple[ModelSummary, ...]
    cleared: tuple[ModelSummary, ...]


class Bugs(abc.ABC):
    """Bugs, their fixes, and whom they reach."""

    @abc.abstractmethod
    async def report(self, bug: Bug, request: RequestKey | None = None) -> Bug:
        """Keep a new bug; the answer has references filled in.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, TENSOR_NOT_FOUND or DATASET_NOT_FOUND.
        """

    @abc.abstractmethod
    async def fix(
        self, bug_id: str, model_uid: str, *, force: bool = False, request: RequestKey | None = None
    ) -> Bug:
        """Record that a model does not have the bug; a no-op if that is recorded.

        Raises:
            NotFoundError: BUG_NOT_FOUND or MODEL_NOT_FOUND.
            FailedPreconditionError: MODEL_NOT_AFFECTED, if the bug does not reach the model and ``force`` is false.
            ResourceExhaustedError: LIMIT_EXCEEDED, if it is fixed in ``mgit_core.bugs.MAX_FIXES`` models already.
        """

    @abc.abstractmethod
    async def set_state(self, bug_id: str, state: BugState, request: RequestKey | None = None) -> Bug:
        """Close a bug or open it again; a no-op if it is so.

        Raises:
            NotFoundError: BUG_NOT_FOUND.
        """

    @abc.abstractmethod
    async def find(self, id_prefix: str) -> list[Bug]:
        """Up to two bugs whose ids begin so, by id.

        Args:
            id_prefix: Lower-case; not empty.
        """

    @abc.abstractmethod
    async def list_page(
        self, page: Page, *, state: BugState | None = None, model_uid: str | None = None
    ) -> list[Bug]:
        """Bugs, newest first by id; ``page.after`` is an id.

        Args:
            page: Which part.
            state: Only of this state.
            model_uid: Only those that affect this model directly.
        """

    @abc.abstractmethod
    def affected(self, query: ReachQuery) -> AsyncIterator[list[AffectedModel]]:
        """The affected models, each once, by hops and then uid, in slices.

        Raises:
            NotFoundError: BUG_NOT_FOUND, at the first step.
        """

    @abc.abstractmethod
    async def count(self, query: ReachQuery) -> int:
        """Number of affected models.

        Raises:
            NotFoundError: BUG_NOT_FOUND.
        """

    @abc.abstractmethod
    async def margin(self, query: ReachQuery) -> ReachMargin:
        """What lies beside the reach.

        Raises:
            NotFoundError: BUG_NOT_FOUND.
        """
