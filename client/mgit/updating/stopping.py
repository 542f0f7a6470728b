"""Ends what runs from another thread: a creation function, or tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from typing import Protocol, TypeVar

__all__ = ["Stoppable", "Stopping"]


class Stoppable(Protocol):
    """Something that runs in processes of its own."""

    def cancel(self) -> None:
        """End it and all that it started; from any thread, also before it began. Idempotent."""
        ...


S = TypeVar("S", bound=Stoppable)


class Stopping:
    """Whether work is to end, and what of it runs now. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Stoppable | None = None
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether the work is to end."""
        return self._is_stopped

    def stop(self) -> None:
        """End what runs, and whatever would run later. Idempotent."""
        with self._lock:
            self._is_stopped = True
            running = self._running
        if running is not None:
            running.cancel()

    @contextlib.contextmanager
    def watch(self, running: S) -> Generator[S]:
        """Have ``running`` cancelled if the work is to end while the context lasts, or was to before."""
        with self._lock:
            self._running = running
            is_late = self._is_stopped
        if is_late:
            running.cancel()
        try:
            yield running
        finally:
            with self._lock:
                self._running = None
