"""Port to staged models: made, whole and durable, but in no list and no traversal until they are published."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from mgit_core.cascade.values import StepLease
from mgit_core.lineage import CommittedModel, Model, ModelCommit, RequestKey
from mgit_core.ports.paging import Page

__all__ = ["StagedModels"]


class StagedModels(abc.ABC):
    """Staged models. They are roots for collection, and may be read and tested by uid."""

    @abc.abstractmethod
    async def stage(
        self, commit: ModelCommit, lease: StepLease | None = None, request: RequestKey | None = None
    ) -> Model:
        """Make a staged model, with everything that belongs to it, in one transaction.

        Parents may be models, or other staged ones. With a lease the uid is that of a target of the leased step,
        and the step becomes STAGED with the last of its targets. A target that is staged already is returned as it is,
        if the lease still holds.

        Raises:
            As ``Models.commit``, without what concerns numbers; INVALID_CREATION if parents, name or previous are not
                those of the target.
            ConflictError: STEP_LEASE_LOST, if the attempt is not the step's any more, or the cascade is over.
            NotFoundError: CASCADE_NOT_FOUND.
        """

    @abc.abstractmethod
    async def get(self, uid: str) -> Model:
        """The staged model, with state STAGED, version 0, and the edges that it will have.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def list_page(self, page: Page) -> list[Model]:
        """All staged models by uid, for collection and check; ``page.after`` is a uid."""

    @abc.abstractmethod
    async def list_undecided(self, page: Page) -> list[Model]:
        """Those of them that belong to no cascade, so that somebody publishes or discards each; in the same order."""

    @abc.abstractmethod
    async def publish(self, uids: Sequence[str], request: RequestKey | None = None) -> list[CommittedModel]:
        """Number staged models that belong to no cascade, in order, in one transaction; results stay with them.

        One that was published before is returned as it is. A parent that was removed meanwhile stays in the lineage as
        a tombstone.

        Raises:
            NotFoundError: MODEL_NOT_FOUND; PARENT_NOT_FOUND, if one stands before its parent.
            InvalidArgumentError: INVALID_ARGUMENT for more than 1,000.
            FailedPreconditionError: MODEL_REMOVED, if the version before was removed meanwhile.
                MODEL_STAGED, if it belongs to a cascade, or a parent is staged still.
            ConflictError: REQUEST_ID_REUSED.
        """

    @abc.abstractmethod
    async def discard(self, uids: Sequence[str], request: RequestKey | None = None) -> None:
        """Remove staged models that belong to no cascade, with their results; a no-op for those that are gone.

        Raises:
            FailedPreconditionError: MODEL_STAGED, if one belongs to a cascade, or is the parent of one that stays.
            ConflictError: REQUEST_ID_REUSED.
        """
