"""Searches of made-up graphs, and what they asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bench.bisect_graphs import Parents, make_graph

from mgit_core.bisect import BisectAnswer, BisectGraph, BisectStep, BisectVerdict, search


@dataclass
class Examiner:
    """Tells good from bad, and keeps what it was asked."""

    bad: Collection[str]
    untestable: Collection[str] = ()
    asked: list[str] = field(default_factory=list)
    steps: list[BisectStep] = field(default_factory=list)

    def __call__(self, step: BisectStep) -> BisectVerdict:
        assert step.uid not in self.asked, "no model is tested twice"
        self.asked.append(step.uid)
        self.steps.append(step)
        if step.uid in self.untestable:
            return BisectVerdict.SKIPPED
        return BisectVerdict.BAD if step.uid in self.bad else BisectVerdict.GOOD


def bisect(
    parents: Parents | BisectGraph, bad: Collection[str], known: Mapping[str, BisectVerdict] | None = None
) -> tuple[BisectAnswer, int]:
    """The answer, and how many tests it took."""
    examiner = Examiner(bad)
    graph = parents if isinstance(parents, BisectGraph) else make_graph(parents)
    answer = search(graph, known or {}, examiner)
    return answer, len(examiner.asked)


def verdicts(
    *, good: Iterable[str] = (), bad: Iterable[str] = (), skipped: Iterable[str] = ()
) -> dict[str, BisectVerdict]:
    """What is known."""
    return {
        **dict.fromkeys(good, BisectVerdict.GOOD),
        **dict.fromkeys(bad, BisectVerdict.BAD),
        **dict.fromkeys(skipped, BisectVerdict.SKIPPED),
    }
