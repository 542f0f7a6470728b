"""What an update did to the models: a cell for each model and kind of damage, before and after (paper, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from examples.robustness.learning import measure

import mgit

__all__ = ["Cell", "CellPlan", "mean_change", "measure_cells", "share_not_worse", "table_lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """What is to be measured.

    Attributes:
        old: The model before the update.
        new: What took its place.
        task: Number of its task.
        kind: How the held-out text is damaged.
    """

    old: mgit.Model
    new: mgit.Model
    task: int
    kind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measured cell; before and after are in hundredths of the held-out rows."""

    model: str
    task: int
    kind: int
    before: float
    after: float

    @property
    def change(self) -> float:
        """Points won; negative if it got worse."""
        return self.after - self.before


def measure_cells(plans: Sequence[CellPlan]) -> list[Cell]:
    """Load each model and let it judge the held-out rows of its task."""
    return [
        Cell(
            model=plan.old.ref,
            task=plan.task,
            kind=plan.kind,
            before=measure(plan.old.load(framework="torch", progress=None), plan.task, plan.kind),
            after=measure(plan.new.load(framework="torch", progress=None), plan.task, plan.kind),
        )
        for plan in plans
    ]


def share_not_worse(cells: Sequence[Cell]) -> float:
    """Share of the cells that did not get worse, 0 to 1."""
    return mean(cell.change >= 0 for cell in cells)


def mean_change(cells: Sequence[Cell]) -> float:
    """Mean of the changes, in points."""
    return mean(cell.change for cell in cells)


def table_lines(cells: Sequence[Cell]) -> list[str]:
    """The cells as lines of text, and what they come to."""
    lines = [
        f"{cell.model:<24} task {cell.task}, damage {cell.kind}: {cell.before:5.1f} -> {cell.after:5.1f} "
        f"({cell.change:+.1f})"
        for cell in cells
    ]
    not_worse = sum(cell.change >= 0 for cell in cells)
    return [
        *lines,
        f"{not_worse} of {len(cells)} cells not worse, mean change {mean_change(cells):+.2f} points",
    ]
