"""Works at an update as tasks of Ray: each asks the service for a step by itself, and works at it where Ray put it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.running.ray import RayTasks
from mgit.updating.leases import is_lost, worker_name
from mgit.updating.messages import read_cascade_state
from mgit.updating.steps import StepWorker, WorkOptions
from mgit.updating.values import UpdateProgress
from mgit_core.cascade.values import CascadeState
from mgit_core.errors import MGitError

__all__ = ["RayWorkers"]

_PAUSE_S = 2.0
"""After which time it is asked anew whether there is a step: workers elsewhere end unseen, and so do leases of dead ones."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """What came of a task: a step, or that there was none.

    Attributes:
        progress: How the step was left; None if there was none.
        state: The cascade's state.
    """

    progress: UpdateProgress | None
    state: CascadeState


class RayWorkers:
    """Workers at one cascade, in tasks of Ray. Leaving the iteration early ends what runs, and gives the steps back."""

    def __init__(self, tasks: RayTasks, endpoint: Endpoint, cascade_id: str, options: WorkOptions) -> None:
        self._tasks = tasks
        self._arguments = (endpoint, cascade_id, options)

    def work(self) -> Iterator[UpdateProgress]:
        """Work until nothing is left to be done; gives each step when it was left.

        Raises:
            MGitError: As the service answers.
        """
        tasks, is_running, wanted = self._tasks, True, self._tasks.slot_count
        while is_running or tasks.running_count:
            while is_running and tasks.running_count < wanted:
                tasks.start(_take_turn, *self._arguments)
            if not tasks.running_count:  # Workers elsewhere have all that could be worked at.
                time.sleep(_PAUSE_S)
                wanted = 1
                continue
            turns: list[_Turn | None] = tasks.take(_PAUSE_S)
            if not turns:
                wanted = min(tasks.running_count + 1, tasks.slot_count)
            for turn in filter(None, turns):
                is_running = is_running and turn.state is CascadeState.RUNNING
                # What was left makes room for others; where there was no step, the tasks that run are enough.
                wanted = tasks.slot_count if turn.progress else tasks.running_count
                if turn.progress:
                    yield turn.progress


def _take_turn(endpoint: Endpoint, cascade_id: str, options: WorkOptions) -> _Turn:
    """Work at one step, if there is one now. Runs in a process of Ray's."""
    connection = Connection(endpoint)
    try:
        worker = StepWorker(connection, worker_name(), options)
        answer = worker.take(cascade_id)
        if not answer.HasField("step"):
            return _Turn(None, read_cascade_state(answer.state))
        progress = worker.work(cascade_id, answer.step)
        return _Turn(progress, progress.cascade_state)
    except MGitError as error:
        if not is_lost(error):
            raise
        return _Turn(None, CascadeState.CANCELLED)
    finally:
        connection.close()
