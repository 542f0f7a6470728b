"""How a bisection learns whether a model is good: by a registered test, or by a function of the caller's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from mgit.bisecting.values import BisectFinding, BisectFunction, BisectSource
from mgit.connection import Connection
from mgit.model import Model
from mgit.model_tests import ModelTests
from mgit.running import ModelTestPair, ModelTestRun, ModelTestRunner, RunOptions
from mgit.running.preparing import Preparation, PreparedPair
from mgit.running.sweep import find_results
from mgit.values import ModelSummary
from mgit.wire import read_summary
from mgit_core.bisect import BisectVerdict
from mgit_core.digest import Digest
from mgit_core.errors import (
    ErrorReason,
    InvalidArgumentError,
    MGitError,
    error_for_reason,
)
from mgit_core.model_tests import ModelTest, ModelTestOutcome
from mgit_proto.v1 import model_tests_pb2

__all__ = ["Examiner", "FunctionExaminer", "ModelTestExaminer", "open_examiner"]

_MOST_MODELS = 10_000
_VERDICTS = {
    ModelTestOutcome.PASSED: BisectVerdict.GOOD,
    ModelTestOutcome.FAILED: BisectVerdict.BAD,
    ModelTestOutcome.ERROR: BisectVerdict.SKIPPED,
}


class Examiner(Protocol):
    """Tells good models from bad ones."""

    def recall(self, models: Sequence[ModelSummary]) -> list[BisectFinding]:
        """What is known of ``models`` without a test, in their order; unknown ones are left out."""
        ...

    def examine(self, model: ModelSummary) -> BisectFinding:
        """What a test of ``model`` says."""
        ...


class FunctionExaminer:
    """Asks a function of the caller's, in this process; nothing is recorded."""

    def __init__(self, function: BisectFunction, get: Callable[[ModelSummary], Model]) -> None:
        self._function = function
        self._get = get

    def recall(self, models: Sequence[ModelSummary]) -> list[BisectFinding]:
        del models
        return []

    def examine(self, model: ModelSummary) -> BisectFinding:
        """What the function says; an error that it raises makes the model one that cannot be tested.

        Raises:
            InvalidArgumentError: INVALID_TEST: it gives neither a truth value nor None.
        """
        found = self._get(model)
        try:
            value: object = self._function(found)
        except MGitError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a caller's function raises concerns one model
            return _finding(model, BisectVerdict.SKIPPED, error=f"{type(error).__name__}: {error}")
        if value is None:
            return _finding(model, BisectVerdict.SKIPPED, error="The function gave None.")
        # numpy's truth value is of another class, of either name.
        if type(value).__name__ not in {"bool", "bool_"}:
            raise InvalidArgumentError(
                ErrorReason.INVALID_TEST,
                f"A function of a bisection gives True for a good model, False for a bad one, or None; for "
                f"{model.ref} it gave {str(value)[:80]!r}.",
            )
        return _finding(model, BisectVerdict.GOOD if value else BisectVerdict.BAD)


class ModelTestExaminer:
    """Runs a registered test, on any model, whatever its scope; results are recorded and known ones reused."""

    def __init__(self, connection: Connection, test: ModelTest, runner: ModelTestRunner) -> None:
        self._connection = connection
        self._test = test
        self._runner = runner
        self._preparation = Preparation(connection.capabilities.algorithm)

    def recall(self, models: Sequence[ModelSummary]) -> list[BisectFinding]:
        """As the service recorded it, for the code, the inputs and the parameters of today.

        Raises:
            FailedPreconditionError: TEST_CODE_CHANGED or TEST_INPUTS_CHANGED.
            InvalidArgumentError: INVALID_TEST: a value cannot be judged.
        """
        pairs = [self._prepare(pair) for pair in self._pair(models)]
        known = find_results(self._connection, [pair.key for pair in pairs])
        return [self._read(pair.reuse(known[pair.key])) for pair in pairs if pair.key in known]

    def examine(self, model: ModelSummary) -> BisectFinding:
        """What the test says.

        Raises:
            FailedPreconditionError: TEST_CODE_CHANGED or TEST_INPUTS_CHANGED.
            InvalidArgumentError: INVALID_TEST: the value cannot be judged.
        """
        pairs = self._pair([model])
        if not pairs:
            return _finding(model, BisectVerdict.SKIPPED, error=f"{model.ref} was removed.")
        [run] = self._runner.run(pairs)
        return self._read(run)

    def _pair(self, models: Sequence[ModelSummary]) -> list[ModelTestPair]:
        """The test with each model that is still there."""
        pairs: list[ModelTestPair] = []
        for start in range(0, len(models), _MOST_MODELS):
            request = model_tests_pb2.ListApplicableTestsRequest(
                models=[f"@{model.uid}" for model in models[start : start + _MOST_MODELS]],
                pattern=self._test.name,
            )
            answers = self._connection.collect(self._connection.model_tests.ListApplicableTests, request)
            pairs += [
                self._pair_of(read_summary(each.model), each.parameters_digest)
                for answer in answers
                for each in answer.models
            ]
        return pairs

    def _pair_of(self, model: ModelSummary, parameters_digest: Digest) -> ModelTestPair:
        return ModelTestPair(test=self._test, model=model, parameters_digest=parameters_digest)

    def _prepare(self, pair: ModelTestPair) -> PreparedPair:
        prepared = self._preparation.prepare(pair)
        if isinstance(prepared, ModelTestRun):
            raise _refusal(prepared)
        return prepared

    def _read(self, run: ModelTestRun) -> BisectFinding:
        if run.reason is not None:
            raise _refusal(run)
        verdict = _VERDICTS.get(run.outcome)
        if verdict is None:
            raise InvalidArgumentError(
                ErrorReason.INVALID_TEST,
                f"Test {self._test.name} gave the number {run.result.value} for {run.model.ref} and has no threshold, "
                "so that good cannot be told from bad; register it again with a threshold, replacing this one.",
            )
        source = BisectSource.KNOWN if run.is_reused else BisectSource.TESTED
        return _finding(run.model, verdict, source, value=run.result.value, error=run.result.error)


@contextlib.contextmanager
def open_examiner(connection: Connection, name: str, *, rerun: bool) -> Generator[ModelTestExaminer]:
    """An examiner with the registered test of this name, whose processes are gone afterwards.

    Raises:
        NotFoundError: TEST_NOT_FOUND.
    """
    test = ModelTests(connection).get(name)
    with ModelTestRunner(connection, RunOptions(jobs=1, is_rerun=rerun)) as runner:
        yield ModelTestExaminer(connection, test, runner)


def _finding(
    model: ModelSummary,
    verdict: BisectVerdict,
    source: BisectSource = BisectSource.TESTED,
    *,
    value: float | None = None,
    error: str = "",
) -> BisectFinding:
    return BisectFinding(model=model, verdict=verdict, source=source, value=value, error=error)


def _refusal(run: ModelTestRun) -> MGitError:
    """The error that says why a test cannot be run on any model."""
    reason = run.reason or ErrorReason.TEST_CODE_CHANGED
    return error_for_reason(reason, run.result.error)
