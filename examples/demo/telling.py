"""What the demonstration prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from examples.demo.adding import Kept
from examples.demo.questions import Answer
from examples.minilm.family import Built, Progress

__all__ = ["Narrator", "answer_lines", "family_table", "format_bytes", "model_table"]


class Narrator:
    """Prints results to standard output and progress to standard error, and keeps the time of each phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()
        self._is_live = sys.stderr.isatty()
        self._live_length = 0

    @property
    def whole_s(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._started

    @contextmanager
    def phase(self, name: str, title: str) -> Generator[None]:
        """A part of the demonstration, with its heading; its time is kept under ``name``."""
        self._clear()
        print(f"\n== {title}", flush=True)
        started = time.perf_counter()
        try:
            yield
        finally:
            self._clear()
        self.seconds[name] = round(time.perf_counter() - started, 2)

    def say(self, *lines: str) -> None:
        """Prints lines."""
        self._clear()
        for line in lines:
            print(line, flush=True)

    def report(self, text: str) -> None:
        """Tells what takes long."""
        self._clear()
        print(f"   {text}", file=sys.stderr, flush=True)

    def live(self, text: str) -> None:
        """Shows what is going on in a line that is written over; nothing where there is no terminal."""
        if self._is_live:
            line = f"   {text} ({self.whole_s:.0f} s)"
            print(f"\r{line:<{self._live_length}}", end="", file=sys.stderr, flush=True)
            self._live_length = len(line)

    def training(self, progress: Progress) -> None:
        """Shows how far building the family is: in a line on a terminal, else in one for each member."""
        place = f"[{progress.position + 1}/{progress.members}] {progress.member.ref}"
        if progress.reused:
            return
        if self._is_live:
            self.live(f"{place}, step {progress.step} of {progress.steps}" if progress.steps else place)
        elif progress.step == 0:
            self.report(f"{place} ({self.whole_s:.0f} s)")

    def _clear(self) -> None:
        if self._live_length:
            print(f"\r{'':<{self._live_length}}\r", end="", file=sys.stderr, flush=True)
            self._live_length = 0


def format_bytes(size: int) -> str:
    """Bytes in units of 1,000."""
    return f"{size / 1e6:,.1f} MB"


def family_table(family: Sequence[Built]) -> Iterable[str]:
    """How each member was made, and how good it is."""
    rows: list[tuple[str, ...]] = [("model", "made by", "accuracy", "guessing", "seconds")]
    for built in family:
        known = built.metadata
        judged = [f"{float(known[key]):.0%}" if key in known else "" for key in ("accuracy", "majority")]
        rows.append((built.ref, str(known["operation"]), *judged, f"{float(known['seconds']):.1f}"))
    return _table(rows)


def model_table(kept: Sequence[Kept]) -> Iterable[str]:
    """How many bytes each model would take alone, and how many the store grew by."""
    rows: list[tuple[str, ...]] = [("model", "files", "store grew by", "saved", "")]
    for each in kept:
        alone = each.built.size_bytes
        new = "?" if each.new_bytes is None else format_bytes(each.new_bytes)
        saved = "?" if each.new_bytes is None else f"{1 - each.new_bytes / alone:.1%}"
        rows.append((each.model.ref, format_bytes(alone), new, saved, "was there" if each.reused else ""))
    return _table(rows)


def answer_lines(answer: Answer) -> Iterable[str]:
    """A question, its Cypher, and the answer."""
    yield ""
    yield answer.question
    yield from (f"    {line}" for line in answer.cypher.splitlines())
    yield f"Answer, {answer.median_ms:.1f} ms through gRPC, and the same from Neo4j itself:"
    yield from (f"    {line}" for line in answer.lines)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    are_numbers = [any(row[column][:1].isdigit() for row in rows[1:]) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            f"{cell:>{width}}" if is_number else f"{cell:<{width}}"
            for cell, width, is_number in zip(row, widths, are_numbers, strict=True)
        ]
        yield f"   {'  '.join(cells)}".rstrip()
