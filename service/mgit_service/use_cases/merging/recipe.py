"""The recipe of a merge: what a merged model says of how it was made, as JSON text in its metadata."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from mgit_core.errors import NotFoundError
from mgit_core.lineage import Model, ModelSummary
from mgit_core.merge.planning import MergePlan
from mgit_core.merge.values import MergeCounts
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.merging.request import MergeEnd, MergeFindings, MergeOrder, MergeOutcome
from mgit_service.use_cases.merging.sides import MergeContents
from mgit_service.use_cases.references import find_model

__all__ = ["RECIPE_KEY", "earlier_steps", "write_recipe"]

RECIPE_KEY = "merge"
_MOST_PATTERNS = (
    100  # With _MOST_PATTERN below what metadata may take, also where JSON escapes every character.
)
_MOST_PATTERN = 80


def write_recipe(contents: MergeContents, plan: MergePlan, order: MergeOrder, outcome: MergeOutcome) -> str:
    """The recipe as text: enough to do the merge again by hand."""
    options = order.options
    document: dict[str, Any] = {
        "outcome": outcome.value,
        "class": plan.kind.value,
        **{
            role: {"ref": content.model.ref, "uid": content.model.uid}
            for role, content in (
                ("base", contents.base),
                ("ours", contents.ours),
                ("theirs", contents.theirs),
            )
        },
        "parameters": dataclasses.asdict(plan.counts),
        "on_conflict": options.on_conflict.value if options.on_conflict else None,
        "choices": [
            [pattern[:_MOST_PATTERN], choice.value] for pattern, choice in options.choices[:_MOST_PATTERNS]
        ],
    }
    computed = {
        conflict.choice for conflict in plan.conflicts if conflict.choice and conflict.choice.is_computed
    }
    if computed:
        document |= {"scale": options.scale, "density": options.density}
    return json.dumps(document)


async def earlier_steps(backend: Backend, model: Model) -> list[MergeFindings | MergeEnd]:
    """What the call answered that made ``model``, as far as its recipe tells: what conflicted is not listed again."""
    recipe = json.loads(str(model.metadata[RECIPE_KEY]))
    end = MergeEnd(outcome=MergeOutcome(recipe["outcome"]), model=model)
    try:
        base, ours, theirs = [
            await _summary(backend, recipe[role]["uid"]) for role in ("base", "ours", "theirs")
        ]
    except NotFoundError:
        return [end]
    counts = MergeCounts(**recipe["parameters"])
    return [MergeFindings(base=base, ours=ours, theirs=theirs, counts=counts), end]


async def _summary(backend: Backend, uid: str) -> ModelSummary:
    return await find_model(backend.lineage, f"@{uid}")
