"""Laws of a merge, for any edits: additions, deletions and other types and orders among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.merge.models import BASE, NAMES, Contents, planned, result_of, side

from mgit_core.merge.planning import plan_merge
from mgit_core.merge.values import ConflictChoice, MergeClass, MergeOptions, MergeSides

CONTENTS = [None, 0, 1, 2, np.zeros(4, np.float16), np.zeros((2, 3), np.float32), np.zeros(4, np.int64)]


@st.composite
def models(draw: st.DrawFn) -> dict[str, object]:
    """A model that has at least one name of all others."""
    names = draw(st.permutations([*NAMES[1:], "added.weight", "more.weight"]))
    found = {name: draw(st.sampled_from(CONTENTS)) for name in names}
    return {"left.weight": draw(st.sampled_from((0, 1, 2)))} | {
        name: content for name, content in found.items() if content is not None
    }


@settings(max_examples=50, deadline=None)
@given(base=models(), changed=models())
def test_what_one_side_left_alone_is_the_other_side(base: Contents, changed: Contents) -> None:
    wanted = side(changed).manifest.digest
    for ours, theirs in ((changed, base), (base, changed), (changed, changed)):
        plan = planned(ours, theirs, base)
        assert plan.kind is MergeClass.NO_CONFLICT
        assert wanted == result_of(plan).digest


@settings(max_examples=60, deadline=None)
@given(base=models(), ours=models(), theirs=models(), choice=st.sampled_from((None, *ConflictChoice)))
def test_swapped_sides_give_the_mirror_image(
    base: Contents, ours: Contents, theirs: Contents, choice: ConflictChoice | None
) -> None:
    mirrored = {ConflictChoice.OURS: ConflictChoice.THEIRS, ConflictChoice.THEIRS: ConflictChoice.OURS}
    one = planned(ours, theirs, base, choice)
    other = planned(theirs, ours, base, mirrored.get(choice, choice) if choice else None)
    assert one.kind is other.kind
    assert {each.names for each in one.conflicts} == {each.names for each in other.conflicts}
    assert bool(one.possible) is bool(other.possible)
    swapped = [(each.name, each.source, each.choice, each.theirs, each.ours) for each in other.parameters]
    assert [
        (each.name, each.source, each.choice, each.ours, each.theirs) for each in one.parameters
    ] == swapped


@settings(max_examples=50, deadline=None)
@given(base=models(), ours=models(), theirs=models())
def test_a_result_holds_what_each_side_changed_alone(
    base: Contents, ours: Contents, theirs: Contents
) -> None:
    plan = planned(ours, theirs, base, ConflictChoice.OURS)
    result = {each.name: each.source for each in plan.parameters}
    models_of = [{each.name: each for each in side(one).manifest.parameters} for one in (base, ours, theirs)]
    for name in set().union(*models_of):
        old, mine, other = (model.get(name) for model in models_of)
        assert (other if mine == old else mine) == result.get(name)


@pytest.mark.parametrize("choice", list(ConflictChoice))
def test_nothing_is_computed_without_a_conflict(choice: ConflictChoice) -> None:
    plan = planned({**BASE, "left.weight": 1}, {**BASE, "right.weight": 1}, choice=choice)
    assert all(each.source is not None for each in plan.parameters)


def test_a_merge_of_models_without_parameters_is_one_without_any() -> None:
    empty = side({})
    plan = plan_merge(MergeSides(base=empty, ours=empty, theirs=empty), MergeOptions())
    assert plan.kind is MergeClass.NO_CONFLICT
    assert plan.parameters == ()
