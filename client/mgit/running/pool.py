"""Several processes that share a list of tests."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Generator, Sequence

from mgit.connection import Connection, Patience
from mgit.running.preparing import PreparedPair
from mgit.running.processes import Attempt, ModelTestProcess
from mgit.running.runs import ModelTestRun
from mgit_core.errors import ErrorReason, UnavailableError

__all__ = ["ProcessPool"]


class ProcessPool:
    """Processes for tests, started when they are needed and kept until ``close``."""

    def __init__(self, connection: Connection, job_count: int) -> None:
        self._connection = connection
        self._job_count = job_count
        self._lock = threading.Lock()
        self._idle: list[ModelTestProcess] = []
        self._busy: set[ModelTestProcess] = set()
        self._is_stopping = False
        self._cancelled = threading.Event()

    def run(self, pairs: Sequence[PreparedPair]) -> Generator[list[ModelTestRun]]:
        """Runs as they end: each time all that ended since the last time, at least one.

        Leaving the iteration early kills what runs.

        Raises:
            OSError: If no process can be started.
            UnavailableError: SERVICE_UNAVAILABLE, if the service stays away: that is no result of a test.
        """
        waiting = deque(pairs)
        ended: queue.SimpleQueue[ModelTestRun | BaseException] = queue.SimpleQueue()
        threads = [
            threading.Thread(
                target=self._work, args=(waiting, ended), name=f"mgit-test-{number}", daemon=True
            )
            for number in range(min(self._job_count, len(pairs)))
        ]
        for thread in threads:
            thread.start()
        try:
            left = len(pairs)
            while left and not self._cancelled.is_set():
                runs = _take(ended)
                if self._cancelled.is_set():
                    return  # What was killed has nothing to say of a model.
                left -= len(runs)
                yield runs
        finally:
            waiting.clear()
            self._kill_busy()
            for thread in threads:
                thread.join()
            self._is_stopping = False

    def cancel(self) -> None:
        """Kill what runs, and end the iteration over it; those to come end at once. Idempotent; from any thread."""
        self._cancelled.set()
        self._kill_busy()

    def close(self) -> None:
        """End the processes that wait. Idempotent."""
        self._kill_busy()
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def _work(
        self, waiting: deque[PreparedPair], ended: queue.SimpleQueue[ModelTestRun | BaseException]
    ) -> None:
        """Run what waits, until nothing does."""
        try:
            while (prepared := _next(waiting)) is not None:
                ended.put(self._run_one(prepared))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            ended.put(error)

    def _run_one(self, prepared: PreparedPair) -> ModelTestRun:
        """The run of a test, which begins anew when a service that was away is back."""
        patience = Patience(self._connection, has_answered=True)
        return prepared.end(patience.outlast(lambda: self._attempt_or_raise(prepared)))

    def _attempt_or_raise(self, prepared: PreparedPair) -> Attempt:
        attempt = self._attempt(prepared)
        away = ErrorReason.SERVICE_UNAVAILABLE
        if attempt.result.reason is away and not self._is_stopping:
            raise UnavailableError(away, attempt.result.error)
        return attempt

    def _attempt(self, prepared: PreparedPair) -> Attempt:
        process = self._take_process()
        try:
            return process.run(prepared.task, prepared.pair.test.timeout_s)
        finally:
            with self._lock:
                self._busy.discard(process)
                if process.is_alive:
                    self._idle.append(process)
            if not process.is_alive:
                process.close()

    def _take_process(self) -> ModelTestProcess:
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None:
            process = ModelTestProcess(self._connection.endpoint)
        with self._lock:
            self._busy.add(process)
            is_late = self._is_stopping
        if is_late:  # It was being started when the others were killed.
            process.kill()
        return process

    def _kill_busy(self) -> None:
        with self._lock:
            self._is_stopping = True
            busy = list(self._busy)
        for process in busy:
            process.kill()


def _next(waiting: deque[PreparedPair]) -> PreparedPair | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _take(ended: queue.SimpleQueue[ModelTestRun | BaseException]) -> list[ModelTestRun]:
    """Waits for one, and takes the others that are there."""
    found = [ended.get()]
    with contextlib.suppress(queue.Empty):
        while True:
            found.append(ended.get_nowait())
    runs = [each for each in found if not isinstance(each, BaseException)]
    for each in found:
        if isinstance(each, BaseException):
            if not runs:
                raise each
            ended.put(each)  # Raised the next time, when the runs beside it are recorded.
    return runs
