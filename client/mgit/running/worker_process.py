"""Processes that run code of a user's, from the side of the one who starts them.

A fresh interpreter for each, not a fork: threads of gRPC and of torch do not live through one. It is told lines of
JSON on its standard input and answers each with one on a pipe; what is printed there is read meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mgit.endpoint import Endpoint
from mgit.running.commands import describe_exit
from mgit.running.runs import MAX_OUTPUT_BYTES

__all__ = ["WorkerKind", "WorkerProcess"]

_START_TIMEOUT_S = 120.0  # For imports on a machine that is busy with other work.
_END_TIMEOUT_S = 10.0
_READ_BYTES = 64 * 1024
# A pipe holds 64 KiB on most systems: what was printed before the answer is read in so many steps.
_LAST_READS = 8
# What nobody set otherwise. Threads of OpenMP that wait by spinning starve the process beside theirs: on two cores two
# trainings at once took 2.4 times as long as with this, and one alone 0.85 times.
_USUAL = {"OMP_WAIT_POLICY": "passive"}
# A program that was forked in there holds our pipes open: the end of the process itself is asked for this often.
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerKind:
    """What runs in a process.

    Attributes:
        module: Started with ``python -m``.
        what: What it gives, for messages: ``a value``, ``a model``.
        task: What it is for, for messages: ``tests``.
        environment: Variables that it gets besides ours.
        hear: Told what is printed, as it comes; None for nobody.
    """

    module: str
    what: str
    task: str
    environment: Mapping[str, str] = field(default_factory=dict)
    hear: Callable[[bytes], None] | None = None


class WorkerProcess:
    """A process that does one task after another. A task that hangs or ends it takes nothing else along."""

    def __init__(self, kind: WorkerKind, endpoint: Endpoint) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._is_alive = True
        self._printed = _Tail()
        self._scratch = Path(tempfile.mkdtemp(prefix="mgit-worker-"))
        answers, answers_end = os.pipe()
        printed, printed_end = os.pipe()
        self._answers, self._output = answers, printed
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
                [sys.executable, "-u", "-P", "-m", kind.module, str(answers_end)],
                env=_USUAL | dict(os.environ) | dict(kind.environment),
                stdin=subprocess.PIPE,
                stdout=printed_end,
                stderr=printed_end,
                pass_fds=(answers_end,),
                start_new_session=True,  # A group of its own, so that a task's programs end with it.
            )
        except OSError:
            os.close(answers)
            os.close(printed)
            self._scratch.rmdir()
            raise
        finally:
            os.close(answers_end)
            os.close(printed_end)
        os.set_blocking(answers, False)
        os.set_blocking(printed, False)
        self._failure = self._begin(endpoint)

    @property
    def is_alive(self) -> bool:
        """Whether it can do another task."""
        return self._is_alive

    @property
    def scratch(self) -> Path:
        """A folder of its own, which goes when the process does."""
        return self._scratch

    @property
    def printed(self) -> str:
        """The end of what the last task printed, at most 4 KiB."""
        return self._printed.text

    @property
    def printed_bytes(self) -> int:
        """How much the last task printed altogether."""
        return self._printed.size_bytes

    def ask(self, document: Mapping[str, Any], timeout_s: float | None) -> dict[str, Any] | str:
        """What came of a task, or why nothing did; then the process is gone.

        Args:
            document: The task, as JSON takes it.
            timeout_s: When it is given up, and the process killed; None means never.
        """
        self._printed = _Tail()
        if self._failure is not None:
            return self._failure
        return self._exchange(json.dumps(document), timeout_s)

    def kill(self) -> None:
        """End the process and all that its tasks started. Idempotent; from any thread."""
        with self._lock:
            if not self._is_alive:
                return
            self._is_alive = False
            # The id is that of our own group, which lasts as long as anything that a task started is in it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            shutil.rmtree(self._scratch, ignore_errors=True)

    def close(self) -> None:
        """``kill``, and let go of the pipes; when no thread runs a task in it any more. Idempotent."""
        self.kill()
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(OSError):  # What it did not read any more is lost with it.
            self._process.stdin.close()
        for descriptor in (self._answers, self._output):
            if descriptor >= 0:
                os.close(descriptor)
        self._answers = self._output = -1

    def _begin(self, endpoint: Endpoint) -> str | None:
        """Tell it where the service is; why it does not run, or None."""
        begin = {
            "endpoint": asdict(endpoint)
            | {"tls_ca": None if endpoint.tls_ca is None else str(endpoint.tls_ca)},
            # The folder that we work in comes first, as for ``python -m``.
            "search_path": [os.getcwd(), *(entry for entry in sys.path if entry)],  # noqa: PTH109 - a text
            "scratch": str(self._scratch),
        }
        answer = self._exchange(json.dumps(begin), _START_TIMEOUT_S)
        return (
            None if isinstance(answer, dict) else f"The process for {self._kind.task} did not start. {answer}"
        )

    def _exchange(self, line: str, timeout_s: float | None) -> dict[str, Any] | str:
        """The answer to ``line``, or why there is none; then the process is gone."""
        end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        try:
            assert self._process.stdin is not None  # noqa: S101 - it was asked for
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return self._ended()
        answer = self._receive(end)
        if answer is None:
            self.kill()
            self._read_output(_LAST_READS)
            return f"It did not end within {timeout_s:g} s and was killed."
        if not answer:
            return self._ended()
        self._read_output(_LAST_READS)
        try:
            document: dict[str, Any] = json.loads(answer)
        except ValueError:
            self.kill()
            return "It wrote where its process answers, and the answer was lost."
        return document

    def _receive(self, end: float) -> bytes | None:
        """The line that comes next, while output is read, too; empty if none will come, None if it is late."""
        answer = bytearray()
        with self._selector() as selector:
            while not answer.endswith(b"\n"):
                left_s = end - time.monotonic()
                if left_s <= 0:  # Asked for each time: one who prints without end is always ready.
                    return None
                has_ended = self._process.poll() is not None
                for key, _ in selector.select(0 if has_ended else min(left_s, _LOOK_S)):
                    if key.fd == self._output and not self._read_output(1):
                        selector.unregister(key.fd)
                part = self._read_answer()
                if not part and (has_ended or part is None):
                    return b""
                answer += part or b""
        return bytes(answer)

    def _read_answer(self) -> bytes | None:
        """What is there of the answer; None when nobody is left who could answer."""
        try:
            return os.read(self._answers, _READ_BYTES) or None
        except BlockingIOError:
            return b""

    @contextlib.contextmanager
    def _selector(self) -> Generator[selectors.BaseSelector]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            yield selector

    def _read_output(self, times: int) -> bool:
        """Read what was printed and not read yet; false when nobody is left who could print."""
        for _ in range(times):
            try:
                part = os.read(self._output, _READ_BYTES)
            except BlockingIOError:
                return True
            if not part:
                return False
            self._printed.add(part)
            if self._kind.hear is not None:
                self._kind.hear(part)
        return True

    def _ended(self) -> str:
        self._read_output(_LAST_READS)
        # Its end of the pipe is closed: it has ended or is about to, unless a task closed what is not its own.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIMEOUT_S)
        self.kill()
        return f"Its process ended before it had {self._kind.what}, with {describe_exit(self._process.returncode)}."


class _Tail:
    """The end of what was printed."""

    def __init__(self) -> None:
        self._end = b""
        self.size_bytes = 0

    def add(self, part: bytes) -> None:
        self._end = (self._end + part)[-MAX_OUTPUT_BYTES:]
        self.size_bytes += len(part)

    @property
    def text(self) -> str:
        return self._end.decode("utf-8", errors="replace")
