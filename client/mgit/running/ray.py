"""Runs functions as tasks of Ray, on this machine or on a cluster. The one place that imports ray."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mgit.closing import Closing
from mgit.entry_points import user_modules
from mgit_core.errors import ErrorReason, FailedPreconditionError, UnavailableError

__all__ = ["RayTasks"]

# Only small values travel: models go between workers and the service.
_OBJECT_STORE_BYTES = 100_000_000
_STARTS = 2  # Ray gives itself half a minute, which is short for a machine that is busy with other work.
_END_TIMEOUT_S = 30.0


class RayTasks(Closing):
    """Tasks of Ray. A context manager: leaving it cancels what runs, and ends a Ray that was started for it.

    A Ray that this program is connected to is used as it is.
    """

    def __init__(self, address: str | None, slot_count: int | None) -> None:
        """Connect to Ray, or start it.

        Args:
            address: Where Ray is; None means that it is started here.
            slot_count: How many tasks run at a time; None means one for each core that Ray has.

        Raises:
            FailedPreconditionError: FRAMEWORK_MISSING.
            UnavailableError: SERVICE_UNAVAILABLE, if Ray cannot be started or reached.
        """
        self._ray = _import_ray()
        self._running: list[Any] = []
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            self._connect(address, slot_count)
        self.slot_count = slot_count or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    @property
    def running_count(self) -> int:
        """How many tasks have not ended."""
        return len(self._running)

    def start(self, function: Callable[..., Any], *arguments: object) -> None:
        """Begin a task; ``function`` is one of a module, which is imported where it runs."""
        task = self._ray.remote(num_cpus=1, max_retries=0)(_run)
        self._running.append(task.remote(Path.cwd(), _search_path(), function, arguments))

    def take(self, timeout_s: float) -> list[Any]:
        """The result of a task that has ended, unless ``timeout_s`` passed; None for one that died.

        Raises:
            Exception: What the task raised.
        """
        if not self._running:
            return []
        ended, self._running = self._ray.wait(self._running, num_returns=1, timeout=timeout_s)
        return [self._result(each) for each in ended]

    def close(self) -> None:
        """Cancel what runs, and wait until it has given up what it was at. Idempotent."""
        for each in self._running:
            self._ray.cancel(each)
        if self._running:
            self._ray.wait(self._running, num_returns=len(self._running), timeout=_END_TIMEOUT_S)
        self._running = []
        if self._is_ours:
            self._is_ours = False
            self._ray.shutdown()

    def _connect(self, address: str | None, slot_count: int | None) -> None:
        os.environ.setdefault(
            "RAY_USAGE_STATS_ENABLED", "0"
        )  # Nobody is told what is run here, unless asked for.
        options: dict[str, Any] = {"address": address, "logging_level": "ERROR", "log_to_driver": False}
        if address is None:
            options |= {
                "num_cpus": slot_count,
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE_BYTES,
            }
        for left in reversed(range(_STARTS if address is None else 1)):
            try:
                self._ray.init(**options)
            except Exception as error:  # A start that takes too long is no more than that to Ray.
                self._ray.shutdown()
                if not left:
                    raise UnavailableError(
                        ErrorReason.SERVICE_UNAVAILABLE,
                        f"Ray cannot be {'reached' if address else 'started'}: {error}",
                    ) from error
            else:
                return

    def _result(self, task: Any) -> Any:
        errors = self._ray.exceptions
        died = (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.TaskCancelledError,
            errors.OutOfMemoryError,
        )
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            raise error.cause from error
        except died:
            return None


def _import_ray() -> Any:
    try:
        import ray  # noqa: PLC0415 - seconds long, and for those who chose it
    except ImportError as error:
        raise FailedPreconditionError(
            ErrorReason.FRAMEWORK_MISSING,
            "Ray is not installed: 'pip install mgit-lineage[ray]' installs it; without it updates run on this machine.",
        ) from error
    return ray


def _search_path() -> list[str]:
    """Where modules are found here, the current folder included."""
    with user_modules():
        return [str(Path(entry).absolute()) for entry in sys.path]


def _run(
    folder: Path, search_path: Sequence[str], function: Callable[..., Any], arguments: Sequence[object]
) -> Any:
    """What ``function`` gives, where Ray runs it: in the folder and with the modules of here, as far as they are there."""
    if folder.is_dir():
        os.chdir(folder)
    known = set(sys.path)
    sys.path += [entry for entry in search_path if entry not in known and Path(entry).exists()]
    return function(*arguments)
