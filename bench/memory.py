"""Peak anonymous memory of service and client while a 4 GB sharded model goes in and comes out."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import clean_environment, new_home, running_stack
from bench.weights import write_shards

__all__ = ["anonymous_mb", "measure"]

_GIGABYTES = 4
_GOAL_MB = 500
_EVERY_S = 0.02


def measure() -> Report:
    """Add and get through the command line, watching ``RssAnon`` of both processes."""
    figures: list[Figure] = []
    with new_home() as home, running_stack(home / "stack") as state:
        size_bytes = write_shards(home / "model", gigabytes=_GIGABYTES, seed=1)
        environment = clean_environment(home / "stack")
        mgit = str(Path(sys.executable).with_name("mgit"))
        service = state.service.pid if state.service else 0
        commands = {
            "in": [mgit, "add", str(home / "model"), "--name", "large", "--output", "quiet"],
            "out": [mgit, "get", "large", "--to", str(home / "back"), "--output", "quiet"],
        }
        for way, command in commands.items():
            seconds, client_mb, service_mb = _watch(command, environment, service)
            figures += [
                _memory(f"client, {way}", client_mb),
                _memory(f"service, {way}", service_mb),
                Figure(
                    name=f"command line, {way}, disk to disk",
                    value=size_bytes / seconds / 1e9,
                    unit="GB/s",
                ),
            ]
        _check_equal(home / "model", home / "back")
    return Report(
        title=f"Peak anonymous memory, {_GIGABYTES} GB model", machine=describe_machine(), figures=figures
    )


def _watch(command: Sequence[str], environment: dict[str, str], service: int) -> tuple[float, float, float]:
    start = time.perf_counter()
    client = subprocess.Popen(list(command), env=environment)
    peaks = [0.0, 0.0]
    while client.poll() is None:
        for place, pid in enumerate((client.pid, service)):
            peaks[place] = max(peaks[place], anonymous_mb(pid))
        time.sleep(_EVERY_S)
    if client.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {client.returncode}")
    return time.perf_counter() - start, peaks[0], peaks[1]


def anonymous_mb(pid: int) -> float:
    """Anonymous memory of a process; 0 if it is not there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1e3
    return 0.0


def _memory(who: str, value: float) -> Figure:
    return Figure(
        name=f"peak RssAnon of the {who}",
        value=value,
        unit="MB",
        goal=f"at most {_GOAL_MB} MB",
        is_reached=value <= _GOAL_MB,
    )


def _check_equal(one: Path, other: Path) -> None:
    for path in sorted(one.iterdir()):
        with path.open("rb") as wanted, (other / path.name).open("rb") as found:
            while block := wanted.read(1 << 24):
                if found.read(1 << 24) != block:
                    raise SystemExit(f"{path.name} came back with other bytes")
            if found.read(1):
                raise SystemExit(f"{path.name} came back longer")
