"""Figures: what a benchmark measured, beside the goal and the ceiling of the same run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Figure", "Report", "median_seconds", "read_reports", "table_lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number.

    Attributes:
        name: What was done.
        value: The number.
        unit: Its unit.
        goal: What was to be reached, in words; empty for a ceiling or a number without a goal.
        is_reached: Whether the goal was reached; None without one.
        ceiling: Name of the figure of the same run that bounds this one; empty if none does.
        ratio: Share of the ceiling, 0 to 1; None without one.
        note: What a reader must know.
    """

    name: str
    value: float
    unit: str
    goal: str = ""
    is_reached: bool | None = None
    ceiling: str = ""
    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one benchmark, with the machine that they were taken on."""

    title: str
    machine: str
    figures: Sequence[Figure] = field(default_factory=tuple)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read_reports(folder: Path) -> list[Report]:
    """Every report that was saved in ``folder``, by file name."""
    reports = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(Figure(**figure) for figure in document["figures"])
        reports.append(Report(title=document["title"], machine=document["machine"], figures=figures))
    return reports


def median_seconds(action: Callable[[], object], times: int) -> float:
    """Median wall time of ``times`` calls."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def table_lines(report: Report) -> list[str]:
    """A report as a Markdown section."""
    lines = [f"## {report.title}", "", f"Machine: {report.machine}.", ""]
    lines += ["| what | measured | goal | reached | of its ceiling |", "|---|---|---|---|---|"]
    for figure in report.figures:
        reached = {True: "yes", False: "**no**", None: ""}[figure.is_reached]
        share = "" if figure.ratio is None else f"{figure.ratio:.0%} of {figure.ceiling}"
        name = f"{figure.name} ({figure.note})" if figure.note else figure.name
        lines.append(
            f"| {name} | {_text(figure.value)} {figure.unit} | {figure.goal} | {reached} | {share} |"
        )
    return [*lines, ""]


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
