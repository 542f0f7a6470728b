"""Pairs that are ready to be run: their code and inputs are here, as they were registered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mgit.running.digests import check_code, check_inputs
from mgit.running.processes import Attempt
from mgit.running.runs import ModelTestPair, ModelTestRun
from mgit.running.tasks import Task
from mgit.running.trust import check_trusted
from mgit_core.digest import Digest, DigestAlgorithm
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.model_tests import ModelTest, ModelTestOutcome, ModelTestResult, ResultKey, judge

__all__ = ["Preparation", "PreparedPair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPair:
    """A pair with what makes its result reusable.

    Attributes:
        pair: Test and model.
        key: With which code, on which inputs and parameters.
    """

    pair: ModelTestPair
    key: ResultKey

    @property
    def task(self) -> Task:
        """What a process is told."""
        test = self.pair.test
        return Task(
            kind=test.kind,
            code=test.code,
            code_digest=self.key.code_digest.hex(),
            arguments=dict(test.arguments),
            inputs=test.inputs_uri or None,
            model_uid=self.pair.model.uid,
        )

    def reuse(self, result: ModelTestResult) -> ModelTestRun:
        """The run that a known result saves, which may be that of another model of equal parameters."""
        own = replace(result, model_uid=self.pair.model.uid, model=self.pair.model)
        return ModelTestRun(test=self.pair.test, result=own, is_reused=True)

    def end(self, attempt: Attempt) -> ModelTestRun:
        """The run that an attempt was, not recorded yet."""
        raw = attempt.result
        result = ModelTestResult(
            key=self.key,
            model_uid=self.pair.model.uid,
            value=raw.value,
            is_truth=raw.is_truth,
            outcome=judge(self.pair.test, raw.value, is_truth=raw.is_truth),
            error=raw.error,
            run_at=datetime.now(UTC),
            seconds=attempt.seconds,
            test_name=self.pair.test.name,
            model=self.pair.model,
        )
        return ModelTestRun(
            test=self.pair.test,
            result=result,
            reason=raw.reason,
            output=attempt.output,
            output_bytes=attempt.output_bytes,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """Code and inputs of a test as they are here, or why they are not."""

    code_digest: Digest = b""
    inputs_digest: Digest = b""
    failure: FailedPreconditionError | None = None


class Preparation:
    """Looks for the code and the inputs of tests, once for each."""

    def __init__(self, algorithm: DigestAlgorithm) -> None:
        self._algorithm = algorithm
        self._found: dict[tuple[str, datetime], _Found] = {}

    def prepare(self, pair: ModelTestPair) -> PreparedPair | ModelTestRun:
        """The pair with its key; a run that says why, if code or inputs are not what was registered."""
        test = pair.test
        seen = (test.uid, test.updated_at)
        found = self._found.get(seen)
        if found is None:
            found = self._found[seen] = self._look(test)
        key = ResultKey(
            test_uid=test.uid,
            code_digest=found.code_digest,
            inputs_digest=found.inputs_digest,
            parameters_digest=pair.parameters_digest,
        )
        if found.failure is not None:
            return _failed(pair, key, found.failure.reason, found.failure.message)
        return PreparedPair(pair=pair, key=key)

    def _look(self, test: ModelTest) -> _Found:
        try:
            check_trusted(test)
            return _Found(check_code(test, self._algorithm), check_inputs(test, self._algorithm))
        except FailedPreconditionError as error:
            return _Found(failure=error)


def _failed(pair: ModelTestPair, key: ResultKey, reason: ErrorReason, message: str) -> ModelTestRun:
    result = ModelTestResult(
        key=key,
        model_uid=pair.model.uid,
        value=None,
        is_truth=False,
        outcome=ModelTestOutcome.ERROR,
        error=message,
        run_at=datetime.now(UTC),
        seconds=0.0,
        test_name=pair.test.name,
        model=pair.model,
    )
    return ModelTestRun(test=pair.test, result=result, reason=reason)
