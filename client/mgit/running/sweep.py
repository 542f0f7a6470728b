"""Runs tests over models: what is known is reused, the rest runs side by side and is recorded as it ends.

``run_tests(connection, pairs, options)`` is what everything else calls: it gives a run for every pair. Who asks
for one pair after another, as a bisection does, keeps a ``ModelTestRunner`` open, and with it its processes::

    with ModelTestRunner(connection) as runner:
        [run] = runner.run([pair])
        run.outcome, run.is_reused
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from mgit.closing import Closing
from mgit.connection import Connection
from mgit.running.messages import read_result, read_test, write_key
from mgit.running.pool import ProcessPool
from mgit.running.preparing import Preparation, PreparedPair
from mgit.running.recording import Recorder
from mgit.running.runs import ModelTestPair, ModelTestRun, RunOptions
from mgit.values import ModelReference, reference_of
from mgit.wire import read_summary
from mgit_core.model_tests import ModelTest, ModelTestResult, ResultKey
from mgit_proto.v1 import model_tests_pb2

__all__ = ["ModelTestRunner", "find_results", "plan_tests", "run_tests"]

_MOST_MODELS = 10_000
_MOST_KEYS = 1_000


def plan_tests(
    connection: Connection, models: Sequence[ModelReference], pattern: str = ""
) -> list[ModelTestPair]:
    """The tests that apply to each of some models: models in the order given, tests by name.

    Args:
        connection: To the service.
        models: Which models; removed ones are left out.
        pattern: Shell pattern over test names; empty means all.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
    """
    tests: dict[str, ModelTest] = {}
    pairs: list[ModelTestPair] = []
    for start in range(0, len(models), _MOST_MODELS):
        request = model_tests_pb2.ListApplicableTestsRequest(
            models=map(reference_of, models[start : start + _MOST_MODELS]), pattern=pattern
        )
        for answer in connection.collect(connection.model_tests.ListApplicableTests, request):
            tests |= {test.uid: read_test(test) for test in answer.tests}
            pairs += [
                ModelTestPair(
                    test=tests[uid],
                    model=read_summary(each.model),
                    parameters_digest=each.parameters_digest,
                )
                for each in answer.models
                for uid in each.test_uids
            ]
    return pairs


def find_results(connection: Connection, keys: Sequence[ResultKey]) -> dict[ResultKey, ModelTestResult]:
    """The results that are known, by key; each may be that of another model of equal parameters."""
    found: dict[ResultKey, ModelTestResult] = {}
    for start in range(0, len(keys), _MOST_KEYS):
        request = model_tests_pb2.FindResultsRequest(keys=map(write_key, keys[start : start + _MOST_KEYS]))
        answer = connection.call(connection.model_tests.FindResults, request)
        found |= {result.key: result for result in map(read_result, answer.results)}
    return found


def run_tests(
    connection: Connection, pairs: Iterable[ModelTestPair], options: RunOptions | None = None
) -> Iterator[ModelTestRun]:
    """A run for every pair: reused ones first, then each as it ends; recorded before it is given.

    Nothing that a test does ends the iteration. Leaving it early kills the tests that run; what was given is
    recorded, so that the same call goes on from there.

    Raises:
        MGitError: As the service answers.
    """
    with ModelTestRunner(connection, options) as runner:
        yield from runner.run(list(pairs))


class ModelTestRunner(Closing):
    """Runs tests; its processes stay for the next ones until it is closed. A context manager.

    Code and inputs are looked at when a test is first run: one runner takes them to stay the same.
    """

    def __init__(self, connection: Connection, options: RunOptions | None = None) -> None:
        self._connection = connection
        self._options = options or RunOptions()
        self._preparation = Preparation(connection.capabilities.algorithm)
        self._recorder = Recorder(connection)
        self._pool = ProcessPool(connection, self._options.job_count)

    def run(self, pairs: Sequence[ModelTestPair]) -> Iterator[ModelTestRun]:
        """As ``run_tests``."""
        tell = self._options.progress or _tell_nobody
        done = 0
        tell(done, len(pairs))
        for run in self._runs(pairs):
            done += 1
            tell(done, len(pairs))
            yield run

    def _runs(self, pairs: Sequence[ModelTestPair]) -> Iterator[ModelTestRun]:
        ready: list[PreparedPair] = []
        for pair in pairs:
            prepared = self._preparation.prepare(pair)
            if isinstance(prepared, ModelTestRun):
                yield prepared
            else:
                ready.append(prepared)
        unknown: list[PreparedPair] = []
        for start in range(0, len(ready), _MOST_KEYS):
            part = ready[start : start + _MOST_KEYS]
            known = {} if self._options.is_rerun else self._find_known(part)
            yield from known.values()
            unknown += [each for position, each in enumerate(part) if position not in known]
        with contextlib.closing(self._pool.run(unknown)) as parts:
            for ended in parts:
                yield from self._recorder.record(ended)

    def _find_known(self, pairs: Sequence[PreparedPair]) -> dict[int, ModelTestRun]:
        """Runs for the pairs whose result is known, by position."""
        found = find_results(self._connection, [pair.key for pair in pairs])
        runs = {
            position: pair.reuse(found[pair.key]) for position, pair in enumerate(pairs) if pair.key in found
        }
        # Who looks at a model finds there what is known of it, also where another model was tested.
        self._recorder.adopt(
            [run for run in runs.values() if found[run.result.key].model_uid != run.model.uid]
        )
        return runs

    def cancel(self) -> None:
        """End runs from any thread: tests that run are killed and not recorded, others do not begin. Idempotent."""
        self._pool.cancel()

    def close(self) -> None:
        """Kill what runs, and the processes that wait. Idempotent."""
        self._pool.close()


def _tell_nobody(done: int, total: int) -> None:
    """No progress."""
