"""Detached processes that are found again by id and start time, so that a recycled id is never taken for ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProcessRecord", "start_detached", "tail", "write_private"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A process that we started.

    Attributes:
        pid: Its id.
        started: Its start time as the system tells it; an id with another start time is another process.
    """

    pid: int
    started: str

    def is_running(self) -> bool:
        """Whether this very process still runs."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # Reaps it if it was our child and ended.
        return _start_time(self.pid) == self.started

    def stop(self, timeout_s: float) -> None:
        """End it: politely, then by force after ``timeout_s`` seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.is_running():
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            end = time.monotonic() + timeout_s
            while self.is_running() and time.monotonic() < end:
                time.sleep(0.02)

    def save(self, path: Path) -> None:
        """Write it down."""
        write_private(path, json.dumps({"pid": self.pid, "started": self.started}))

    @classmethod
    def load(cls, path: Path) -> ProcessRecord | None:
        """The process that was written down, if it still runs."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            record = cls(pid=int(content["pid"]), started=str(content["started"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return record if record.is_running() else None


def start_detached(command: Sequence[str], environment: Mapping[str, str], log: Path) -> ProcessRecord:
    """Start a process that outlives this one; its output is appended to ``log``.

    It works in the folder of its log, so that it holds no folder of the user's and reads no ``.env`` there.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - callers pass programs and arguments of ours
            list(command),
            env=dict(environment),
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    # The process outlives this object on purpose; without this, its end would warn.
    process.returncode = 0
    return ProcessRecord(pid=process.pid, started=_start_time(process.pid) or "")


def write_private(path: Path, content: str) -> None:
    """Replace a file at once; only its owner may read it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _start_time(pid: int) -> str | None:
    """When the process started; None if there is none, or if it only waits to be reaped."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except FileNotFoundError:
        return _start_time_by_ps(pid) if not Path("/proc/self").exists() else None
    except ProcessLookupError:
        return None
    return None if fields[0] == "Z" else f"{fields[19]} {_boot()}"


def _boot() -> str:
    """Which boot this is: start times count from it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _start_time_by_ps(pid: int) -> str | None:
    done = subprocess.run(  # noqa: S603 - the argument is a number
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None
