"""Why a bisection answers as it does, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.bisect.graph import BisectGraph

__all__ = [
    "explain_all_fail",
    "explain_all_pass",
    "explain_ambiguity",
    "explain_contradiction",
    "explain_found",
]

_NAMED = 5


def explain_found(graph: BisectGraph, first: int, unexplored: int) -> str:
    """Why ``first`` is the first bad model."""
    parents = graph.by_age(graph.parents[first])
    if not parents:
        why = "and it has no parent here"
    elif len(parents) == 1:
        why = f"and its parent {_names(graph, parents)} is good"
    else:
        why = f"and its parents {_names(graph, parents)} are good"
    others = (
        f" {_count(unexplored)} neither known to be good nor made from it: the fault may have another origin there."
        if unexplored
        else ""
    )
    return f"{_name(graph, first)} is bad, {why}.{others}"


def explain_all_fail(graph: BisectGraph, first: int) -> str:
    """Why the oldest model is the first bad one."""
    oldest = _name(graph, first)
    if len(graph) == 1:
        return f"{oldest} is bad, and nothing older is there to be searched."
    return (
        f"{oldest}, the oldest one, is bad: the others of the {len(graph)} models were made from it, and nothing "
        "older is there to be searched."
    )


def explain_all_pass(graph: BisectGraph) -> str:
    """Why no model is bad."""
    heads = graph.by_age(number for number, children in enumerate(graph.children) if not children)
    if len(graph) == 1:
        return f"{_names(graph, heads)} is good, and nothing else was to be searched."
    are = "are" if len(heads) > 1 else "is"
    return f"{_names(graph, heads)} {are} good, and so is what it was made from: none of the {len(graph)} models is bad."


def explain_ambiguity(graph: BisectGraph, suspects: Sequence[int], end: int | None) -> str:
    """Why it cannot be told which model is the first bad one."""
    none = " Perhaps none is bad." if end is None else ""
    if len(suspects) == 1:
        return f"{_names(graph, suspects)} alone is left, and it cannot be tested.{none}"
    left = "only models that cannot be tested are left" if end is None else "what is left cannot be tested"
    return f"The first bad model is one of {_names(graph, suspects)}: {left}.{none}"


def explain_contradiction(graph: BisectGraph, bad: int, good: int) -> str:
    """Why nothing can be told from results that contradict each other."""
    return (
        f"{_name(graph, bad)} is bad, yet {_name(graph, good)}, which was made from it, is good. A search by halving "
        "needs a fault that everything made from a bad model inherits."
    )


def _count(models: int) -> str:
    return "One model is" if models == 1 else f"{models} models are"


def _name(graph: BisectGraph, number: int) -> str:
    return graph.models[number].ref


def _names(graph: BisectGraph, numbers: Sequence[int]) -> str:
    shown = [_name(graph, number) for number in numbers[:_NAMED]]
    if len(numbers) > _NAMED:
        return f"{', '.join(shown)} and {len(numbers) - _NAMED} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
