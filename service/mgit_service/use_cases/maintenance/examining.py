"""The look for what must not be in the graph."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.ports.audit import GraphCheckResult
from mgit_core.ports.graph import Lineage

__all__ = ["ExaminedCheck", "examine_graph"]

_USUAL_PROBLEMS = 100
_MOST_PROBLEMS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedCheck:
    """One check that is done.

    Attributes:
        result: What it found.
        done: Checks done so far, this one included.
        total: Checks to do.
    """

    result: GraphCheckResult
    done: int
    total: int


async def examine_graph(lineage: Lineage, *, max_problems: int = 0) -> AsyncGenerator[ExaminedCheck]:
    """Each check as it ends; none for a graph in memory, which cannot hold what they look for.

    Args:
        lineage: The graph.
        max_problems: Largest number of problems that each check names, 10,000 at most; 0 means 100.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    if not 0 <= max_problems <= _MOST_PROBLEMS:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"max_problems is from 0 to {_MOST_PROBLEMS}; found {max_problems}.",
            field="max_problems",
        )
    checks = lineage.graph_checks
    if checks is None:
        return
    done = 0
    async for result in checks.examine(max_problems or _USUAL_PROBLEMS):
        done += 1
        yield ExaminedCheck(result=result, done=done, total=checks.count)
