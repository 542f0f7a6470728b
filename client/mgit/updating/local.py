"""Works at an update in this process: some workers in threads, whose functions and tests run in processes of their own."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Generator

from mgit.connection import Connection
from mgit.updating.leases import is_lost, worker_name
from mgit.updating.messages import read_cascade_state
from mgit.updating.steps import StepWorker, WorkOptions
from mgit.updating.values import UpdateProgress
from mgit_core.cascade.values import CascadeState
from mgit_core.errors import MGitError

__all__ = ["MOST_WORKERS", "LocalWorkers", "usual_worker_count"]

MOST_WORKERS = 256

# Each holds the parents of a model and the model, so that more of them ask for more memory than most machines have.
_USUAL_WORKERS = 4
_FIRST_PAUSE_S = 0.1
_LAST_PAUSE_S = 2.0


def usual_worker_count(step_count: int) -> int:
    """How many workers an update gets if nobody says: one for each core, and for each step, four at most."""
    return max(1, min(os.cpu_count() or 1, step_count, _USUAL_WORKERS))


class LocalWorkers:
    """Workers at one cascade. Leaving the iteration early ends what runs, and gives the steps back."""

    def __init__(
        self, connection: Connection, cascade_id: str, worker_count: int, options: WorkOptions
    ) -> None:
        self._cascade_id = cascade_id
        self._workers = [
            StepWorker(connection, worker_name(number), options) for number in range(worker_count)
        ]
        self._news = threading.Condition()
        self._news_count = 0
        self._is_stopping = False
        self._ended: queue.SimpleQueue[UpdateProgress | BaseException | None] = queue.SimpleQueue()

    def work(self, *, once: bool = False) -> Generator[UpdateProgress]:
        """Work until nothing is left to be done; gives each step when it was left.

        Args:
            once: Whether to end as soon as there is no step that could be worked at now.

        Raises:
            MGitError: As the service answers.
        """
        threads = [
            threading.Thread(target=self._run, args=(worker, once), name=f"mgit-update-{number}", daemon=True)
            for number, worker in enumerate(self._workers)
        ]
        for thread in threads:
            thread.start()
        left = len(threads)
        try:
            while left:
                ended = self._ended.get()
                if isinstance(ended, BaseException):
                    raise ended
                if ended is None:
                    left -= 1
                else:
                    yield ended
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _run(self, worker: StepWorker, once: bool) -> None:  # noqa: FBT001 - the arguments of a thread
        try:
            while not self._is_stopping and self._run_one(worker, once=once):
                pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._ended.put(error)
        else:
            self._ended.put(None)

    def _run_one(self, worker: StepWorker, *, once: bool) -> bool:
        """Work at a step, or wait for one; false if there will be none."""
        seen, pause_s = self._news_count, _FIRST_PAUSE_S
        while not self._is_stopping:
            try:
                answer = worker.take(self._cascade_id)
            except MGitError as error:
                if not is_lost(error):
                    raise
                return False  # It was published or cancelled meanwhile.
            if answer.HasField("step"):
                self._ended.put(worker.work(self._cascade_id, answer.step))
                self._tell_news()
                return True
            if once or read_cascade_state(answer.state) is not CascadeState.RUNNING:
                return False
            if self._wait_for_news(seen, pause_s):
                seen, pause_s = self._news_count, _FIRST_PAUSE_S
            else:  # Workers elsewhere, or a lease of a dead one.
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        return False

    def _wait_for_news(self, seen: int, pause_s: float) -> bool:
        """Wait until another worker here has left a step, or for ``pause_s`` seconds; whether one has."""
        with self._news:
            return self._news.wait_for(lambda: self._news_count != seen or self._is_stopping, pause_s)

    def _tell_news(self) -> None:
        with self._news:
            self._news_count += 1
            self._news.notify_all()

    def _stop(self) -> None:
        with self._news:
            self._is_stopping = True
            self._news.notify_all()
        for worker in self._workers:
            worker.cancel()
