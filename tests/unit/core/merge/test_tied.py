"""Parameters that share one memory conflict as one, and stay tied where they stay equal."""

from __future__ import annotations

from tests.unit.core.merge.models import ALGORITHM, BASE, Contents, parameter, side

from mgit_core.manifest import Manifest
from mgit_core.merge.planning import MergePlan, plan_merge
from mgit_core.merge.ties import merge_ties
from mgit_core.merge.values import ConflictChoice, MergeClass, MergeOptions, MergeSides, SideChange

TIE = (("head_a.weight", "head_b.weight"),)


def plan(ours: Contents, theirs: Contents, options: MergeOptions | None = None) -> MergePlan:
    """A merge in which the base ties its two heads; the sides may have untied them."""
    sides = MergeSides(base=side(BASE, ties=TIE), ours=side(ours), theirs=side(theirs))
    return plan_merge(sides, options or MergeOptions())


def test_a_tied_pair_that_each_side_changed_in_one_half_is_one_conflict() -> None:
    """Head by head there would be none; but one memory cannot hold both changes."""
    [found] = plan({**BASE, "head_a.weight": 1}, {**BASE, "head_b.weight": 2}).conflicts
    assert TIE[0] == found.names
    assert found.layers == ("head_a", "head_b")
    assert (found.ours, found.theirs) == (SideChange.CHANGED, SideChange.CHANGED)


def test_a_choice_for_one_name_is_for_all_that_share_its_memory() -> None:
    options = MergeOptions(choices=(("head_b.*", ConflictChoice.THEIRS),))
    merged = plan({**BASE, "head_a.weight": 1}, {**BASE, "head_b.weight": 2}, options)
    taken = {each.name: each.source for each in merged.parameters}
    assert merged.kind is MergeClass.NO_CONFLICT
    assert parameter("head_a.weight", 0) == taken["head_a.weight"]
    assert parameter("head_b.weight", 2) == taken["head_b.weight"]


def test_tied_parameters_that_one_side_changed_are_no_conflict() -> None:
    merged = plan({**BASE, "head_a.weight": 1, "head_b.weight": 1}, BASE)
    assert merged.kind is MergeClass.NO_CONFLICT
    assert merged.counts.ours == 2


def test_what_the_sides_agree_on_is_not_computed() -> None:
    options = MergeOptions(on_conflict=ConflictChoice.AVERAGE)
    merged = plan({**BASE, "head_a.weight": 1}, {**BASE, "head_a.weight": 2}, options)
    computed = [each.name for each in merged.parameters if each.choice is not None]
    assert computed == ["head_a.weight"]
    assert merged.counts.resolved == 2


def test_ties_over_all_three_models_are_followed() -> None:
    """The base ties two heads, ours a head and the tower: all three are one."""
    sides = MergeSides(
        base=side(BASE, ties=TIE),
        ours=side({**BASE, "tower.weight": 1}, ties=(("head_b.weight", "tower.weight"),)),
        theirs=side({**BASE, "head_a.weight": 2}),
    )
    [found] = plan_merge(sides, MergeOptions()).conflicts
    assert found.names == ("head_a.weight", "head_b.weight", "tower.weight")


def manifest(contents: Contents) -> Manifest:
    return Manifest(ALGORITHM, tuple(parameter(name, content) for name, content in contents.items()))


def test_a_tie_lasts_as_long_as_its_parameters_are_equal() -> None:
    parameters = manifest({"a": 1, "b": 1, "c": 2, "d": 2, "e": 3}).parameters
    assert merge_ties(parameters, [("a", "b", "c", "d"), ("d", "e"), ("a", "gone")]) == (
        ("a", "b"),
        ("c", "d"),
    )


def test_ties_that_have_a_name_in_common_become_one() -> None:
    parameters = manifest(dict.fromkeys("abcde", 1)).parameters
    assert merge_ties(parameters, [("a", "b"), ("c", "d"), ("e", "b"), ("d", "a")]) == (
        ("a", "b", "e", "c", "d"),
    )
