"""Tests that are programs: the model is written to a folder, the last line that is printed is the value."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from pathlib import Path

from mgit.running.tasks import RawResult
from mgit_core.lineage import MetadataValue

__all__ = ["describe_exit", "read_printed", "run_command"]

_LINE_ROOM = 64 * 1024
_READ_BYTES = 64 * 1024


def run_command(
    command: str,
    folder: Path,
    arguments: Mapping[str, MetadataValue],
    inputs: Path | None,
    *,
    timeout_s: float | None = None,
) -> RawResult:
    """What a program printed about the model in ``folder``. No shell is asked: the words are its arguments.

    It works in the current folder. ``MGIT_MODEL`` is the model's folder, ``MGIT_INPUTS`` where the inputs lie,
    ``MGIT_ARGUMENTS`` the arguments as JSON. What it prints goes on to standard output. After ``timeout_s``
    seconds, if that is given, it is killed with all that it started.
    """
    environment = dict(os.environ) | {
        "MGIT_MODEL": str(folder),
        "MGIT_ARGUMENTS": json.dumps(dict(arguments)),
    }
    environment.pop("MGIT_INPUTS", None)
    if inputs is not None:
        environment["MGIT_INPUTS"] = str(inputs)
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own program, which the user registered
            shlex.split(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Where others end it, it stays in their group; else it gets one of its own.
            start_new_session=timeout_s is not None,
        )
    except OSError as error:
        return RawResult(error=f"Its program could not be started: {error.strerror}.")
    with process, _killed_after(process, timeout_s) as is_late:
        printed = _pass_on(process)
        process.wait()
    if is_late.is_set():
        return RawResult(error=f"Its program did not end within {timeout_s:g} s and was killed.")
    if process.returncode:
        return RawResult(error=f"Its program ended with {describe_exit(process.returncode)}; 0 was wanted.")
    return read_printed(printed)


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[bytes], timeout_s: float | None) -> Generator[threading.Event]:
    """Kill the group of ``process`` after a time; the event says that this was done."""
    is_late = threading.Event()

    def kill() -> None:
        is_late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    if timeout_s is None:
        yield is_late
        return
    timer = threading.Timer(timeout_s, kill)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


def describe_exit(code: int) -> str:
    """The end of a process, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def read_printed(printed: bytes) -> RawResult:
    """The value that the last line with anything on it says: a number, ``true`` or ``false``."""
    lines = [line for line in printed.decode("utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1].strip() if lines else ""
    if last.lower() in {"true", "false"}:
        is_true = last.lower() == "true"
        return RawResult(value=float(is_true), is_truth=True)
    wanted = "The last line that a test's program prints is a number, true or false"
    try:
        number = float(last)
    except ValueError:
        return RawResult(
            error=f"{wanted}; found {last[:80]!r}." if last else f"{wanted}; it printed nothing."
        )
    if not math.isfinite(number):
        return RawResult(error=f"{wanted}, and a number is finite; found {last[:80]!r}.")
    return RawResult(value=number)


def _pass_on(process: subprocess.Popen[bytes]) -> bytes:
    """All that a process prints goes to our own standard output; gives the end of it."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    end = b""
    while part := os.read(process.stdout.fileno(), _READ_BYTES):
        end = (end + part)[-_LINE_ROOM:]
        sys.stdout.buffer.write(part)
    sys.stdout.flush()
    return end
