"""Progress of long work: a callback of the caller's, or a bar on a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Generator
from typing import TypeAlias

__all__ = ["Progress", "ProgressCounter", "open_count", "open_progress"]

Progress: TypeAlias = Callable[[int, int], None] | bool | None
"""``progress(done_bytes, total_bytes)``; True for a bar on standard error if that is a terminal; None for none."""


BAR_DELAY_S = 0.5  # What takes less is over before anybody has read the bar.


class ProgressCounter:
    """Adds up finished bytes and tells a callback. Thread-safe; the callback runs in one thread at a time."""

    def __init__(self, callback: Callable[[int, int], None] | None) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._done_bytes = 0
        self._total_bytes = 0

    def begin(self, total_bytes: int) -> None:
        """Set what the whole is; what is done starts from zero."""
        with self._lock:
            self._done_bytes, self._total_bytes = 0, total_bytes
            self._tell()

    def add(self, done_bytes: int) -> None:
        """Report further bytes as done."""
        if self._callback is not None:
            with self._lock:
                self._done_bytes += done_bytes
                self._tell()

    def _tell(self) -> None:
        if self._callback is not None:
            self._callback(self._done_bytes, self._total_bytes)


@contextlib.contextmanager
def open_progress(progress: Progress, title: str) -> Generator[ProgressCounter]:
    """A counter that reports where ``progress`` says; a bar is closed at the end."""
    if callable(progress):
        yield ProgressCounter(progress)
    elif progress and sys.stderr.isatty():
        import tqdm  # noqa: PLC0415 - only for bars

        with tqdm.tqdm(
            desc=title, unit="B", unit_scale=True, unit_divisor=1000, leave=False, delay=BAR_DELAY_S
        ) as bar:

            def move(done_bytes: int, total_bytes: int) -> None:
                bar.total = total_bytes
                bar.update(done_bytes - bar.n)

            yield ProgressCounter(move)
    else:
        yield ProgressCounter(None)


@contextlib.contextmanager
def open_count(progress: Progress, title: str, unit: str) -> Generator[Callable[[int, int], None]]:
    """What is told ``(done, total)`` pieces of work, and reports them where ``progress`` says."""
    if callable(progress):
        yield progress
    elif progress and sys.stderr.isatty():
        import tqdm  # noqa: PLC0415 - only for bars

        with tqdm.tqdm(desc=title, unit=f" {unit}", leave=False, delay=BAR_DELAY_S) as bar:

            def move(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield move
    else:
        yield lambda _done, _total: None
