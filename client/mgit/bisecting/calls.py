"""``repo.bisect``: which model was the first bad one."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from mgit.bisecting.scope import BisectRequest, BisectScope, fetch_scope
from mgit.bisecting.values import (
    BisectFinding,
    BisectFunction,
    Bisection,
    BisectListener,
    BisectProgress,
)
from mgit.connection import Connection
from mgit.values import ModelReference, ModelSummary
from mgit_core.bisect import BisectAnswer, BisectStep, BisectVerdict, search

if TYPE_CHECKING:
    from mgit.bisecting.examining import Examiner
    from mgit.model import Model

__all__ = ["BisectCalls"]


class BisectCalls:
    """The part of a repository that searches for the first bad model."""

    _connection: Connection

    if TYPE_CHECKING:

        def get(self, model: ModelReference) -> Model: ...

    def bisect(  # noqa: PLR0913 - one call says all of a search; all but two by keyword
        self,
        model: ModelReference | None,
        test: str | BisectFunction,
        *,
        good: ModelReference | Iterable[ModelReference] = (),
        bad: ModelReference | Iterable[ModelReference] = (),
        skip: ModelReference | Iterable[ModelReference] = (),
        rerun: bool = False,
        on_step: BisectListener | None = None,
    ) -> Bisection:
        """The first bad model among a model and its ancestors, over provenance and version edges.

        A fault is taken to be inherited: what was made from a bad model is bad. Of n models in a chain at most
        ceil(log2(n + 1)) are tested, whatever comes out; on any graph never more than git's rule would test.
        Results that are known are used first. The same question on the same graph tests the same models.

        Args:
            model: The newest model of the search, which may be good or bad; None if ``bad`` is given.
            test: Name of a registered test, which runs here and whose results are recorded, whatever models it
                is for; or a function that gets a model as ``get`` gives it: True for good, False for bad, None
                for a model that cannot be tested.
            good: Models that are good, with all that they were made from: the search does not go past them.
            bad: Models that are bad, with all that was made from them: the search looks among their ancestors.
            skip: Models that are not tested. So are removed ones, and those on which the test ends in an error.
            rerun: Whether known results are left aside.
            on_step: Told of each test before it runs.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND or TEST_NOT_FOUND.
            FailedPreconditionError: NOTHING_TO_BISECT: all of it is given as good; TEST_CODE_CHANGED or
                TEST_INPUTS_CHANGED.
            InvalidArgumentError: INVALID_ARGUMENT: neither a model nor a bad one is given, or one model is given
                as two things; INVALID_TEST: the test gives a number without a threshold to judge it by.
            ResourceExhaustedError: LIMIT_EXCEEDED: there are more than 100,000 models.
        """
        request = BisectRequest(
            model=model, good=_references(good), bad=_references(bad), skip=_references(skip)
        )
        with self._open_examiner(test, rerun=rerun) as examiner:
            scope = fetch_scope(self._connection, request)
            known = [] if rerun else examiner.recall(scope.open_models)
            return _search(scope, examiner, known, on_step or _tell_nobody)

    @contextlib.contextmanager
    def _open_examiner(self, test: str | BisectFunction, *, rerun: bool) -> Generator[Examiner]:
        # What runs tests brings numpy and processes, which the catalog does without.
        from mgit.bisecting.examining import FunctionExaminer, open_examiner  # noqa: PLC0415

        if isinstance(test, str):
            with open_examiner(self._connection, test, rerun=rerun) as examiner:
                yield examiner
        else:
            yield FunctionExaminer(test, self.get)


def _references(models: ModelReference | Iterable[ModelReference]) -> tuple[ModelReference, ...]:
    return (models,) if isinstance(models, str) or not isinstance(models, Iterable) else tuple(models)


def _search(
    scope: BisectScope, examiner: Examiner, known: Iterable[BisectFinding], on_step: BisectListener
) -> Bisection:
    findings = {**scope.given, **{each.model.uid: each for each in known}}

    def examine(step: BisectStep) -> BisectVerdict:
        model = scope.models[step.uid]
        on_step(_progress(model, step))
        findings[step.uid] = examiner.examine(model)
        return findings[step.uid].verdict

    verdicts = {uid: finding.verdict for uid, finding in findings.items()}
    return _bisection(scope, search(scope.graph, verdicts, examine), findings.values())


def _progress(model: ModelSummary, step: BisectStep) -> BisectProgress:
    return BisectProgress(
        model=model,
        least_left=min(step.left_if_bad, step.left_if_good),
        most_left=max(step.left_if_bad, step.left_if_good),
        tests_after=step.tests_after,
    )


def _bisection(scope: BisectScope, answer: BisectAnswer, findings: Iterable[BisectFinding]) -> Bisection:
    pair = answer.contradiction
    return Bisection(
        outcome=answer.outcome,
        reason=answer.reason,
        first_bad=None if answer.first_bad is None else scope.models[answer.first_bad],
        suspects=tuple(scope.models[uid] for uid in answer.suspects),
        contradiction=None if pair is None else (scope.models[pair[0]], scope.models[pair[1]]),
        findings=tuple(findings),
        searched=len(scope.searched),
        unexplored=answer.unexplored,
    )


def _tell_nobody(progress: BisectProgress) -> None:
    """Nobody hears of the steps."""
