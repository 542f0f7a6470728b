"""Results are recorded as they come, so that a stop in the middle loses nothing that was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mgit.connection import Connection, Patience
from mgit.graph import new_request_id
from mgit.running.messages import read_result, write_result
from mgit.running.runs import ModelTestRun
from mgit_core.errors import FailedPreconditionError, MGitError, NotFoundError
from mgit_core.model_tests import ModelTestOutcome, ModelTestResult
from mgit_proto.v1 import model_tests_pb2

__all__ = ["Recorder"]

# Even if each has an error of 4,000 characters of four bytes, they fit one message.
_MOST_RESULTS = 50
_PAGE_SIZE = 100


class Recorder:
    """Sends results to the service, which judges them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, runs: Sequence[ModelTestRun]) -> Iterator[ModelTestRun]:
        """The runs as the service judged them; those that did not run at all are not recorded.

        A service that is away is waited for, half a minute long.

        Raises:
            MGitError: As the service answers.
        """
        for start in range(0, len(runs), _MOST_RESULTS):
            part = [run for run in runs[start : start + _MOST_RESULTS] if run.reason is None]
            yield from (run for run in runs[start : start + _MOST_RESULTS] if run.reason is not None)
            if not part:
                continue
            try:
                yield from self._send(part)
            except (NotFoundError, FailedPreconditionError):
                # A model or test was removed meanwhile; all or none are recorded, so the others go alone.
                for run in part:
                    yield self._send_one(run)

    def adopt(self, runs: Sequence[ModelTestRun]) -> None:
        """Record results that are known of other models of equal parameters, for the models that lack them.

        Raises:
            MGitError: As the service answers.
        """
        lacking = [run for run in runs if not self._has(run)]
        for _ in self.record(lacking):
            pass

    def _has(self, run: ModelTestRun) -> bool:
        request = model_tests_pb2.ListResultsRequest(
            test=f"@{run.test.uid}", model=f"@{run.model.uid}", page_size=_PAGE_SIZE
        )
        answer = self._connection.call(self._connection.model_tests.ListResults, request)
        return any(
            result.key == run.result.key and result.value is not None
            for result in map(read_result, answer.results)
        )

    def _send_one(self, run: ModelTestRun) -> ModelTestRun:
        try:
            [recorded] = self._send([run])
        except (NotFoundError, FailedPreconditionError) as error:
            return replace(run, result=_lost(run.result, error), reason=error.reason)
        return recorded

    def _send(self, runs: Sequence[ModelTestRun]) -> list[ModelTestRun]:
        request = model_tests_pb2.RecordResultsRequest(
            results=[write_result(run.result) for run in runs], request_id=new_request_id()
        )
        answer = Patience(self._connection, has_answered=True).outlast(
            lambda: self._connection.call(self._connection.model_tests.RecordResults, request)
        )
        return [
            replace(run, result=replace(read_result(result), model=run.result.model))
            for run, result in zip(runs, answer.results, strict=True)
        ]


def _lost(result: ModelTestResult, error: MGitError) -> ModelTestResult:
    """A result that cannot be kept, as one that says so."""
    return replace(
        result,
        value=None,
        outcome=ModelTestOutcome.ERROR,
        error=f"The result is not kept, what it is of was removed meanwhile. {error.message}",
    )
