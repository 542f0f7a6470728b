"""Long work as a stream: what it finds as it comes, how far it is about once a second, the result at last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Report", "Teller", "WorkProgress", "reported"]

_PAUSE_S = 1.0

_Found = TypeVar("_Found")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkProgress:
    """How far a long work is.

    Attributes:
        phase: What is being done, for a person.
        done: Units done in this phase.
        total: Units in this phase; 0 if that is not known.
    """

    phase: str
    done: int
    total: int


class Teller:
    """Where long work says how far it is. Thread-safe.

    Attributes:
        progress: The last word.
    """

    def __init__(self) -> None:
        self.progress: WorkProgress | None = None

    def tell(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Say how far it is; cheap, only the last word before a message counts."""
        self.progress = WorkProgress(phase=phase, done=done, total=total)


class Report(Teller, Generic[_Found]):
    """Where long work says besides what it found.

    Attributes:
        found: What nobody has taken yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: asyncio.Queue[_Found] = asyncio.Queue()

    def find(self, found: _Found) -> None:
        """Hand something on to the caller."""
        self.found.put_nowait(found)


async def reported(
    work: Callable[[Report[_Found]], Awaitable[_Result]],
) -> AsyncGenerator[WorkProgress | _Found | _Result]:
    """Run ``work``, and give what it reports and at last its result.

    Closing the generator cancels the work and waits until it has unwound.
    """
    report: Report[_Found] = Report()
    running = asyncio.ensure_future(work(report))
    finding = asyncio.ensure_future(report.found.get())
    told: WorkProgress | None = None
    try:
        while not running.done():
            await asyncio.wait({running, finding}, timeout=_PAUSE_S, return_when=asyncio.FIRST_COMPLETED)
            if finding.done():
                found, finding = finding.result(), asyncio.ensure_future(report.found.get())
                yield found
            elif report.progress is not None and report.progress is not told:
                told = report.progress
                yield told
        if finding.done():
            yield finding.result()
        while not report.found.empty():
            yield report.found.get_nowait()
        yield running.result()
    finally:
        finding.cancel()
        running.cancel()
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # Whoever left early does not hear it.
