"""Runs creation functions, each call in a process of its own.

Whoever makes a call reads what came of it from files::

    with CreationRunner(connection.endpoint).run(call, timeout_s=3600) as produced:
        produced.sources[ALONE]  # What the function gave, as it may be added.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgit.creating.calls import CreationCall, Printed, Produced
from mgit.creating.outputs import read_outputs
from mgit.endpoint import Endpoint
from mgit.running.worker_process import WorkerKind, WorkerProcess
from mgit_core.errors import ErrorReason, FailedPreconditionError, MGitError, error_for_reason

__all__ = ["CreationRunner"]

# Sets are walked in the same order every time, and matrices multiplied on a GPU in the same way.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


class CreationRunner:
    """Runs calls of creation functions, one at a time. ``cancel`` may come from any thread."""

    def __init__(self, endpoint: Endpoint, *, hear: Callable[[bytes], None] | None = None) -> None:
        """Nothing is started before the first call.

        Args:
            endpoint: Where the service with the parents is.
            hear: Told what functions print, as it comes.
        """
        self._endpoint = endpoint
        self._kind = WorkerKind(
            module="mgit.creating.worker",
            what="a model",
            task="creation functions",
            environment=_ENVIRONMENT,
            hear=hear,
        )
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._is_cancelled = False

    def run(self, call: CreationCall, *, timeout_s: float | None = None) -> Produced:
        """Make a call in a fresh process that leads a process group, which is killed when the call is over.

        Args:
            call: The call.
            timeout_s: When it is given up; None means never.

        Returns:
            What it made, to be closed by the caller. Every member is there, with names, types and bytes that a model
            may have.

        Raises:
            FailedPreconditionError: CREATION_FAILED, with the end of what was printed among the details (``output``), if
                it raised, ended its process, did not end in time, gave something else than parameters, or was cancelled;
                CREATION_CODE_CHANGED, if its module is not here as it was recorded; MODEL_REMOVED or
                PARAMETERS_PROMISED, for a parent that cannot be read.
            NotFoundError: MODEL_NOT_FOUND, for a parent.
            UnavailableError: SERVICE_UNAVAILABLE.
        """
        started = time.monotonic()
        process = self._start()
        try:
            answer = process.ask(call.as_document(), timeout_s)
            printed = Printed(
                output=process.printed,
                output_bytes=process.printed_bytes,
                seconds=time.monotonic() - started,
            )
            return self._take_over(call, process, answer, printed)
        finally:
            with self._lock:
                self._process = None
            process.close()

    def cancel(self) -> None:
        """End the call that runs, if there is one; calls that come later fail, too. Idempotent."""
        with self._lock:
            self._is_cancelled = True
            process = self._process
        if process is not None:
            process.kill()

    def _start(self) -> WorkerProcess:
        process = WorkerProcess(self._kind, self._endpoint)
        with self._lock:
            self._process = process
            is_late = self._is_cancelled
        if is_late:  # It was being started when the others were ended.
            process.kill()
        return process

    def _take_over(
        self, call: CreationCall, process: WorkerProcess, answer: dict[str, Any] | str, printed: Printed
    ) -> Produced:
        """What was made, moved to a folder that outlasts the process."""
        if self._is_cancelled:
            raise _failed(call, "It was cancelled.", printed)
        if isinstance(answer, str):
            raise _failed(call, f"{answer}{_last_words(printed)}", printed)
        if "error" in answer:
            if answer["reason"] is None:
                raise _failed(call, answer["error"], printed)
            raise error_for_reason(ErrorReason(answer["reason"]), answer["error"])
        folder = Path(tempfile.mkdtemp(prefix="mgit-created-"))
        try:
            os.replace(process.scratch / "made", folder)  # noqa: PTH105 - onto an empty folder
            sources = read_outputs(folder)
            if set(sources) != set(call.members):
                raise ValueError("other members")  # noqa: TRY301 - told below, with all other damage
        except (OSError, ValueError, KeyError, TypeError, MGitError) as error:
            Produced(folder, {}, {}, printed).close()
            raise _failed(call, "What it wrote was changed before it could be read.", printed) from error
        return Produced(folder, sources, answer["environment"], printed)


def _last_words(printed: Printed) -> str:
    lines = [line.strip() for line in printed.output.splitlines() if line.strip()]
    return f" Its last words: {lines[-1][-300:]}" if lines else ""


def _failed(call: CreationCall, what: str, printed: Printed) -> FailedPreconditionError:
    return FailedPreconditionError(
        ErrorReason.CREATION_FAILED,
        f"Creation function {call.record.entry_point} made no model. {what}",
        entry_point=call.record.entry_point,
        output=printed.output,
    )
