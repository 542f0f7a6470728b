"""A cascade makes each affected model once, parents first, from the right parents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.core.cascade.families import NEW, OLD, Family, counter, plan, told

from mgit_core.cascade import planning
from mgit_core.cascade.graph import PlanOptions
from mgit_core.cascade.planning import plan_cascade
from mgit_core.cascade.values import LeaveOutReason, StepState, UpdatePlan
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink, Relation


def left(update: UpdatePlan) -> dict[str, LeaveOutReason]:
    """Why models are left out, by uid, in order."""
    return {each.model.uid: each.reason for each in update.left_out}


def test_a_child_is_made_from_the_new_model() -> None:
    update = plan(Family({"task": [OLD]}))
    [step] = update.steps
    [target] = step.targets
    assert (step.number, step.needs, step.state) == (0, (), StepState.WAITING)
    assert (target.uid, target.old.uid, target.parent_refs) == ("u0", "task", ("base'@1",))
    assert target.parents == (ParentLink(parent_uid=NEW, relation=Relation.FINETUNED, weight=0.5),)
    assert (target.creation.entry_point, target.creation.source, target.creation.environment) == (
        "makers:task",
        "",
        {},
    )
    assert update.left_out == ()


def test_a_chain_goes_down_link_by_link() -> None:
    update = plan(Family({"a": [OLD], "b": ["a"], "c": ["b"]}))
    assert told(update) == {"a": [NEW], "b": ["a'"], "c": ["b'"]}
    assert [step.needs for step in update.steps] == [(), (0,), (1,)]
    assert update.steps[1].targets[0].parent_refs == (f"@{update.steps[0].targets[0].uid}",)


def test_the_lower_node_of_a_diamond_comes_once_with_both_parents_new() -> None:
    """Defect 12 of the released code: twice, with one name and double edges."""
    update = plan(Family({"left": [OLD], "right": [OLD], "low": ["left", "right"]}))
    assert told(update) == {"left": [NEW], "right": [NEW], "low": ["left'", "right'"]}
    assert update.steps[2].needs == (0, 1)


def test_an_uneven_diamond_waits_for_its_longer_side() -> None:
    update = plan(Family({"low": [OLD, "far"], "far": ["near"], "near": [OLD]}))
    assert told(update) == {"near": [NEW], "far": ["near'"], "low": [NEW, "far'"]}


def test_versions_that_descend_from_each_other_get_the_right_parents() -> None:
    """Defect 13, the shape of G2: v1 was made from v0 and is its next version, and so on.

    The released code made v1' under the old v2, and v2' under itself.
    """
    names = {"v0": ("task", 1), "v1": ("task", 2), "v2": ("task", 3)}
    family = Family({"v0": [OLD], "v1": ["v0"], "v2": ["v1"]}, names=names)
    for refresh in (False, True):
        update = plan(family, refresh_parents=refresh)
        assert told(update) == {"v0": [NEW], "v1": ["v0'"], "v2": ["v1'"]}
        olds = [(target.old.name, target.old.version) for step in update.steps for target in step.targets]
        assert olds == [("task", 1), ("task", 2), ("task", 3)]


def test_both_sides_of_a_version_fork_are_made_anew_from_their_own_parents() -> None:
    """Defect 13 again: two versions follow one, each made from it."""
    names = {"v0": ("task", 1), "v1": ("task", 2), "v1b": ("task", 3)}
    update = plan(Family({"v0": [OLD], "v1": ["v0"], "v1b": ["v0"]}, names=names))
    assert told(update) == {"v0": [NEW], "v1": ["v0'"], "v1b": ["v0'"]}


def test_other_parents_stay_pinned() -> None:
    update = plan(Family({"teacher": [], "task": ["teacher", OLD, "teacher"]}))
    assert told(update) == {"task": ["teacher", NEW, "teacher"]}


def test_the_new_model_and_its_descendants_are_left_alone() -> None:
    family = Family({NEW: [OLD], "of-new": [NEW], "both": ["of-new", "task"], "task": [OLD]})
    update = plan(family)
    assert (told(update), left(update)) == ({"task": [NEW]}, {})


def test_a_descendant_of_the_new_model_through_a_stranger_is_left_alone() -> None:
    update = plan(Family({"stranger": [NEW], "both": ["stranger", OLD]}))
    assert (told(update), left(update)) == ({}, {})


def test_versions_between_old_and_new_are_not_made_from_what_follows_them() -> None:
    """Making base@2 from base@3 would give a base@4 that is older than it looks."""
    family = Family(
        {"between": [OLD], NEW: ["between"], "of-between": ["between"], "task": [OLD]},
        revisions=((NEW, "between"), ("between", OLD)),
    )
    update = plan(family)
    assert told(update) == {"task": [NEW]}
    assert left(update) == {
        "between": LeaveOutReason.PRECEDES_NEW,
        "of-between": LeaveOutReason.UNCHANGED,
    }


def test_what_the_new_model_was_made_from_is_not_made_from_it() -> None:
    family = Family({"part": [OLD], "between": ["part"]}, revisions=((NEW, "between"), ("between", OLD)))
    update = plan(family)
    assert (told(update), left(update)) == (
        {},
        {"part": LeaveOutReason.PRECEDES_NEW, "between": LeaveOutReason.PRECEDES_NEW},
    )


def test_a_skipped_model_stays_a_parent() -> None:
    """Defect 14 of the released code: what was to be skipped was not."""
    family = Family({"a": [OLD], "b": [OLD], "low": ["a", "b"], "behind": ["a"]})
    update = plan(family, skip={"a"})
    assert told(update) == {"b": [NEW], "low": ["a", "b'"]}
    assert left(update) == {"a": LeaveOutReason.SKIPPED, "behind": LeaveOutReason.UNCHANGED}


def test_a_stop_leaves_out_what_lies_behind_it_only() -> None:
    family = Family({"a": [OLD], "b": [OLD], "low": ["a", "b"], "behind": ["a"], "far": ["behind"]})
    update = plan(family, stop_at={"a"})
    assert told(update) == {"b": [NEW], "low": ["a", "b'"]}
    assert left(update) == {
        "a": LeaveOutReason.STOPPED,
        "behind": LeaveOutReason.STOPPED,
        "far": LeaveOutReason.STOPPED,
    }


def test_what_has_no_creation_function_is_listed_and_not_guessed() -> None:
    family = Family({"a": [OLD], "b": ["a"], "c": [OLD]}, uncreated=frozenset({"a"}))
    update = plan(family)
    assert told(update) == {"c": [NEW]}
    assert left(update) == {"a": LeaveOutReason.NO_CREATION_FUNCTION, "b": LeaveOutReason.UNCHANGED}


def test_a_removed_model_is_not_made_anew_and_nothing_is_made_from_it() -> None:
    family = Family(
        {"gone": [OLD], "behind": ["gone"], "low": ["gone", OLD], "task": [OLD]}, removed=frozenset({"gone"})
    )
    update = plan(family)
    assert told(update) == {"task": [NEW]}
    assert left(update) == {
        "gone": LeaveOutReason.REMOVED,
        "behind": LeaveOutReason.UNCHANGED,
        "low": LeaveOutReason.PARENT_REMOVED,
    }


def test_a_latest_version_takes_the_place_of_a_removed_parent() -> None:
    names = {"t1": ("teacher", 1), "t2": ("teacher", 2)}
    family = Family({"t1": [], "t2": [], "task": ["t1", OLD]}, removed=frozenset({"t1"}), names=names)
    assert left(plan(family)) == {"task": LeaveOutReason.PARENT_REMOVED}
    assert told(plan(family, refresh_parents=True)) == {"task": ["t2", NEW]}


def test_refreshed_parents_are_the_latest_of_their_names() -> None:
    names = {"t1": ("teacher", 1), "t2": ("teacher", 2)}
    family = Family({"t1": [], "t2": [], "task": [OLD, "t1"]}, names=names)
    assert told(plan(family)) == {"task": [NEW, "t1"]}
    assert told(plan(family, refresh_parents=True)) == {"task": [NEW, "t2"]}


def test_a_refreshed_parent_that_is_made_anew_is_taken_new() -> None:
    names = {"t1": ("teacher", 1), "t2": ("teacher", 2)}
    family = Family({"t1": [], "task": [OLD, "t1"], "t2": [OLD]}, names=names)
    update = plan(family, refresh_parents=True)
    assert told(update) == {"t2": [NEW], "task": [NEW, "t2'"]}


def test_a_parent_whose_latest_version_was_made_from_the_child_stays() -> None:
    names = {"t1": ("teacher", 1), "t2": ("teacher", 2)}
    family = Family({"t1": [], "task": [OLD, "t1"], "t2": ["task"]}, names=names)
    update = plan(family, refresh_parents=True)
    assert told(update) == {"task": [NEW, "t1"], "t2": ["task'"]}
    skipped = plan(family, refresh_parents=True, skip={"t2"})
    assert told(skipped) == {"task": [NEW, "t1"]}


def test_two_parents_do_not_become_one_by_refreshing() -> None:
    names = {"t1": ("teacher", 1), "t2": ("teacher", 2), "t3": ("teacher", 3)}
    family = Family({"t1": [], "t2": [], "t3": [], "task": [OLD, "t1", "t2"]}, names=names)
    assert told(plan(family, refresh_parents=True)) == {"task": [NEW, "t3", "t2"]}


def test_what_was_made_in_one_call_is_made_in_one_call() -> None:
    family = Family({"a": [OLD], "b": [OLD], "c": ["a"]}, groups={"a": "g", "b": "g"})
    update = plan(family)
    assert [[target.old.uid for target in step.targets] for step in update.steps] == [["a", "b"], ["c"]]
    groups = {target.creation.group for target in update.steps[0].targets}
    assert groups == {"u3"}, "the new models are a group of their own"
    assert [target.creation.member for target in update.steps[0].targets] == ["a", "b"]
    assert update.steps[1].needs == (0,)


def test_a_group_pulls_in_members_that_do_not_descend_and_what_hangs_on_them() -> None:
    family = Family({"other": [], "a": [OLD], "b": ["other"], "of-b": ["b"]}, groups={"a": "g", "b": "g"})
    update = plan(family)
    assert told(update) == {"a": [NEW], "b": ["other"], "of-b": ["b'"]}
    assert [len(step.targets) for step in update.steps] == [2, 1]


def test_a_group_that_needs_itself_is_refused_by_name() -> None:
    family = Family({"a": [OLD], "between": ["a"], "b": ["between"]}, groups={"a": "g", "b": "g"})
    with pytest.raises(InvalidArgumentError, match="a@1, b@1") as error:
        plan(family)
    assert (error.value.reason, error.value.details["group"]) == (ErrorReason.INVALID_CASCADE, "g")
    assert told(plan(family, skip={"b"})) == {"a": [NEW], "between": ["a'"]}


def test_a_member_that_is_its_own_mates_parent_is_refused() -> None:
    family = Family({"a": [OLD], "b": ["a"]}, groups={"a": "g", "b": "g"})
    with pytest.raises(InvalidArgumentError) as error:
        plan(family)
    assert error.value.reason is ErrorReason.INVALID_CASCADE


def test_a_deep_chain_is_planned_without_recursion() -> None:
    count = 2_000
    chain = {f"m{number}": [f"m{number - 1}" if number else OLD] for number in range(count)}
    update = plan(Family(chain))
    assert (len(update.steps), update.steps[-1].needs) == (count, (count - 2,))


def test_too_many_models_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_TARGETS", 3)
    family = Family({f"m{number}": [OLD] for number in range(4)})
    with pytest.raises(InvalidArgumentError, match="at most 3 models") as error:
        plan(family)
    assert error.value.reason is ErrorReason.INVALID_CASCADE


def test_nothing_below_makes_an_empty_plan() -> None:
    assert plan(Family({})) == UpdatePlan(old=Family({}).graph().old, new=Family({}).graph().new, steps=())


def test_a_plan_is_the_same_whatever_the_order_of_the_edges() -> None:
    family = Family({"a": [OLD], "b": [OLD, "a"], "c": ["a", "b"], "d": [OLD]})
    graph = family.graph()
    turned = replace(graph, edges=graph.edges[::-1])
    plans = [plan_cascade(each, PlanOptions(), counter()) for each in (graph, turned)]
    assert plans[0] == plans[1]
