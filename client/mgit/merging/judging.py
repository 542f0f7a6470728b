"""Whether tests accept a merged model whose changes may spoil each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgit.running import ModelTestRun

__all__ = ["accepts", "tell_refusal"]

_PASSED = "passed"
_MOST_NAMED = 10


def accepts(runs: Sequence[ModelTestRun]) -> bool:
    """Whether the tests accept a model: none is bad, and one at least judged."""
    is_judged = any(run.outcome == _PASSED for run in runs)
    return is_judged and not any(run.is_bad for run in runs)


def tell_refusal(runs: Sequence[ModelTestRun]) -> str:
    """Why tests did not accept a model, as the end of a sentence."""
    bad = sorted({run.test.name for run in runs if run.is_bad})
    if not bad:
        return "no registered test judges it: changes that may spoil each other need one that passes"
    more = f" and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else ""
    return f"{len(bad)} of {len(runs)} tests did not pass: {', '.join(bad[:_MOST_NAMED])}{more}"
