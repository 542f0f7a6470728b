"""Processes that run tests, from the side of the one who starts them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from mgit.endpoint import Endpoint
from mgit.running.tasks import RawResult, Task
from mgit.running.worker_process import WorkerKind, WorkerProcess
from mgit_core.errors import ErrorReason

__all__ = ["Attempt", "ModelTestProcess"]

_TESTS = WorkerKind(module="mgit.running.worker", what="a value", task="tests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of a test, and what it printed.

    Attributes:
        result: The value, or the error.
        output: The end of what was printed.
        output_bytes: How much was printed altogether.
        seconds: How long it took.
    """

    result: RawResult
    output: str
    output_bytes: int
    seconds: float


class ModelTestProcess(WorkerProcess):
    """A process that runs one test after another. A test that hangs or ends it takes nothing else along."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(_TESTS, endpoint)

    def run(self, task: Task, timeout_s: float) -> Attempt:
        """Run a test; given up, and the process killed, after ``timeout_s`` seconds."""
        started = time.monotonic()
        answer = self.ask(asdict(task) | {"kind": task.kind.value}, timeout_s)
        return Attempt(
            result=_read_raw_result(answer) if isinstance(answer, dict) else RawResult(error=answer),
            output=self.printed,
            output_bytes=self.printed_bytes,
            seconds=time.monotonic() - started,
        )


def _read_raw_result(document: dict[str, Any]) -> RawResult:
    reason = document["reason"]
    if reason is not None:
        document["reason"] = ErrorReason(reason)
    return RawResult(**document)
