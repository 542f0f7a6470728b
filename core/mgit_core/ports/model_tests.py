"""Port to the model tests in the graph. As in ``ports.graph``, every mutating method is one transaction."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.lineage import RequestKey
from mgit_core.model_tests import ApplicableTests, ModelTest, ModelTestResult, ResultKey
from mgit_core.ports.paging import Page

__all__ = ["ModelTests", "ResultQuery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultQuery:
    """Which results are wanted.

    Attributes:
        test_uid: Of one test; None means of all, deregistered ones too.
        model_uid: On one model; None means on all.
    """

    test_uid: str | None = None
    model_uid: str | None = None


class ModelTests(abc.ABC):
    """Definitions of tests, and what came out of them."""

    @abc.abstractmethod
    async def register(
        self, test: ModelTest, *, replace: bool = False, request: RequestKey | None = None
    ) -> ModelTest:
        """Register a test; the answer has its reference filled in.

        With ``replace``, a registered test of that name, case ignored, gets the new definition and keeps its
        uid, its creation time and its results; if the definition is its own already, nothing changes. A model
        type need not exist yet.

        Raises:
            AlreadyExistsError: TEST_EXISTS.
            NotFoundError: MODEL_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED.
        """

    @abc.abstractmethod
    async def remove(self, uid: str, request: RequestKey | None = None) -> ModelTest:
        """Deregister a test; returns it as it was. Its results stay. A no-op if it was deregistered before.

        Raises:
            NotFoundError: TEST_NOT_FOUND.
        """

    @abc.abstractmethod
    async def get(self, name_or_uid: str) -> ModelTest:
        """The registered test of this name, case ignored, or with ``@UID`` a test, registered or not.

        Raises:
            NotFoundError: TEST_NOT_FOUND.
        """

    @abc.abstractmethod
    async def list_page(self, page: Page) -> list[ModelTest]:
        """Registered tests by name in lower case; ``page.after`` is a name."""

    @abc.abstractmethod
    async def applicable(self, model_uids: Sequence[str]) -> list[ApplicableTests]:
        """The tests of each present model, each once, in the order of ``model_uids``.

        Removed models are left out, and those of which chunks are in another store. Asks the graph a number of times
        that depends neither on the number of models nor on that of tests; what changes in between may or may not be
        seen.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def record(
        self, results: Sequence[ModelTestResult], request: RequestKey | None = None
    ) -> list[ModelTestResult]:
        """Keep results, all or none; the answer has names and models filled in, and is judged.

        A deregistered test takes results still: what was running when it went is not lost.

        Args:
            results: Each with a uid of its own.
            request: Makes the change idempotent.

        Raises:
            NotFoundError: TEST_NOT_FOUND or MODEL_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED.
            InvalidArgumentError: INVALID_TEST for parameters that are not the model's.
        """

    @abc.abstractmethod
    async def reusable(self, keys: Sequence[ResultKey]) -> list[ModelTestResult]:
        """For each key the newest result with a value, judged by the test of today, in the order of ``keys``.

        Keys without one are left out. A result from before the test was given other code or other arguments is
        none, whatever the digests say.
        """

    @abc.abstractmethod
    async def results(self, query: ResultQuery, page: Page) -> list[ModelTestResult]:
        """Results, newest first by the end of their run, judged by the test of today; ``page.after`` is a uid.

        Removed models and deregistered tests keep theirs.
        """
