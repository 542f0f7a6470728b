"""A merge that is done again is compared with what its new sides came from."""

from __future__ import annotations

import pytest
from tests.unit.core.cascade.families import NEW, OLD, Family, bases, plan, told

from mgit_core.cascade.values import LeaveOutReason

SIDES = {"x": [OLD], "y": [OLD], "m": ["x", "y"]}


def test_with_both_sides_the_base_is_replaced() -> None:
    update = plan(Family(SIDES, merges={"m": OLD}))
    assert told(update)["m"] == ["x'", "y'"]
    assert bases(update) == {"m": NEW}
    assert update.steps[2].targets[0].made_from == ("u0", "u1", NEW)


def test_a_side_that_stays_keeps_the_base() -> None:
    """Compared with the new base it would seem to take the whole update back."""
    update = plan(Family(SIDES, merges={"m": OLD}), skip={"y"})
    assert told(update) == {"x": [NEW], "m": ["x'", "y"]}
    assert bases(update) == {"m": OLD}


def test_a_side_that_nobody_can_make_anew_keeps_the_base() -> None:
    update = plan(Family(SIDES, merges={"m": OLD}, uncreated=frozenset({"x"})))
    assert (told(update), bases(update)) == ({"y": [NEW], "m": ["x", "y'"]}, {"m": OLD})


def test_a_base_outside_of_the_update_stays() -> None:
    """What is new came to one side by another parent, so the base is what both still have in common."""
    family = Family(
        {"start": [], "x": ["start", OLD], "y": ["start"], "m": ["x", "y"]}, merges={"m": "start"}
    )
    update = plan(family)
    assert (told(update), bases(update)) == ({"x": ["start", NEW], "m": ["x'", "y"]}, {"m": "start"})


def test_a_base_that_is_made_anew_is_waited_for() -> None:
    family = Family({"start": [OLD], "x": ["start"], "y": ["start"], "m": ["x", "y"]}, merges={"m": "start"})
    update = plan(family)
    assert bases(update) == {"m": "start'"}
    assert [step.needs for step in update.steps] == [(), (0,), (0,), (0, 1, 2)]


def test_a_fast_forward_stays_one() -> None:
    """One side is the base: then it is the new base, too."""
    update = plan(Family({"x": [OLD], "m": ["x", OLD]}, merges={"m": OLD}))
    assert (told(update), bases(update)) == ({"x": [NEW], "m": ["x'", NEW]}, {"m": NEW})


def test_the_update_of_the_base_alone_is_merged_with_the_side_that_stays() -> None:
    update = plan(Family({"x": [OLD], "m": ["x", OLD]}, merges={"m": OLD}), skip={"x"})
    assert (told(update), bases(update)) == ({"m": ["x", NEW]}, {"m": OLD})


def test_a_merge_of_a_merge_follows_it() -> None:
    family = Family({**SIDES, "z": [OLD], "mm": ["m", "z"]}, merges={"m": OLD, "mm": OLD})
    update = plan(family)
    assert told(update)["mm"] == ["m'", "z'"]
    assert bases(update) == {"m": NEW, "mm": NEW}


def test_a_merge_with_a_merge_as_its_base_waits_for_that() -> None:
    parents = {**SIDES, "p": ["m"], "q": ["m"], "mm": ["p", "q"]}
    update = plan(Family(parents, merges={"m": OLD, "mm": "m"}))
    assert bases(update) == {"m": NEW, "mm": "m'"}
    numbers = {step.targets[0].old.uid: step.number for step in update.steps}
    assert numbers["m"] in update.steps[numbers["mm"]].needs


def test_a_named_base_of_another_branch_is_replaced_with_both_sides() -> None:
    """It is no ancestor of either: all three follow the same update, and all three are new."""
    family = Family({"start": [OLD], "x": [OLD], "y": [OLD], "m": ["x", "y"]}, merges={"m": "start"})
    update = plan(family)
    assert bases(update) == {"m": "start'"}
    numbers = {step.targets[0].old.uid: step.number for step in update.steps}
    assert numbers["start"] in update.steps[numbers["m"]].needs


def test_a_named_base_stays_beside_a_side_that_is_no_descendant_of_it() -> None:
    family = Family({"x": [OLD], "stranger": [], "m": ["x", "stranger"]}, merges={"m": OLD})
    assert bases(plan(family)) == {"m": OLD}


def test_a_base_that_was_made_from_its_own_merge_closes_no_cycle() -> None:
    """Nobody merges so, but somebody may have linked the base to the merge since."""
    family = Family({**SIDES, "start": ["m"]}, merges={"m": "start"})
    update = plan(family)
    assert bases(update) == {"m": "start"}
    assert told(update)["start"] == ["m'"]


def test_a_refreshed_side_that_came_from_the_new_base_replaces_the_base() -> None:
    names = {"y": ("side", 1), "y2": ("side", 2)}
    family = Family({**SIDES, "y2": [NEW]}, merges={"m": OLD}, names=names)
    update = plan(family, refresh_parents=True, skip={"y"})
    assert (told(update)["m"], bases(update)) == (["x'", "y2"], {"m": NEW})


@pytest.mark.parametrize("base", ["gone", "removed"])
def test_a_merge_without_its_base_is_left_out(base: str) -> None:
    """A base that never came here with the merge, or that was removed."""
    parents = {**SIDES, **({"removed": []} if base == "removed" else {})}
    update = plan(Family(parents, merges={"m": base}, removed=frozenset({"removed"})))
    assert told(update) == {"x": [NEW], "y": [NEW]}
    assert [(each.model.uid, each.reason) for each in update.left_out] == [
        ("m", LeaveOutReason.PARENT_REMOVED)
    ]


def test_what_a_merge_is_asked_for_is_as_it_was_but_for_its_base() -> None:
    [*_, step] = plan(Family(SIDES, merges={"m": OLD})).steps
    old = Family(SIDES, merges={"m": OLD}).graph().creations["m"]
    new = step.targets[0].creation
    assert new.entry_point == old.entry_point
    assert new.code_digest == old.code_digest
    assert {**new.arguments, "base": OLD} == old.arguments
