"""Updates as a person and as a program reads them."""

from __future__ import annotations

import json

import pytest
from tests.unit.client.updating.updates import cascade, failed_cascade, plan, published_cascade, summary

from mgit.cli.updating_forms import (
    document_of_progress,
    document_of_update,
    held_lines,
    outcome_lines,
    plan_lines,
    progress_line,
    update_lines,
    updates_lines,
)
from mgit.updating import CascadeState, StepState, Update, UpdateProgress
from mgit.updating.messages import read_cascade, read_plan
from mgit_proto.v1 import cascade_pb2 as pb

BY_HAND = "add it anew with --created-by MODULE:FUNCTION, or make it by hand"


def test_a_plan_shows_steps_and_what_is_left_out() -> None:
    assert list(plan_lines(read_plan(plan()))) == [
        "STEP  MODEL    MADE ANEW FROM            BY",
        "   0  task@1   base@2, words@1 (pinned)  recipes:make_task",
        "   1  small@1  task (step 0)             recipes:make_small",
        "   1  tiny@1   task (step 0)             recipes:make_tiny",
        "",
        "Left as they are:",
        "  MODEL        WHY                                 WHAT TO DO",
        f"  hand-made@1  nobody recorded how it was created  {BY_HAND}",
        "  left@1       it was to be skipped",
    ]


def test_a_merge_names_no_function() -> None:
    message = plan()
    message.steps[0].targets[0].creation.entry_point = "mgit/service:merge"
    assert list(plan_lines(read_plan(message)))[1].endswith("merging again")


def test_a_plan_without_steps_says_so() -> None:
    empty = plan()
    del empty.steps[:]
    del empty.left_out[:]
    empty.step_count = 0
    [line] = plan_lines(read_plan(empty))
    assert line == "There is nothing to make anew: no model that was made from base@1 can be."


def test_a_long_plan_says_how_many_steps_it_does_not_show() -> None:
    long = plan()
    long.step_count = 2_000
    assert "and 1,998 more steps" in list(plan_lines(read_plan(long)))


@pytest.mark.parametrize("reason", [each for each in pb.LeaveOutReason.values() if each])
def test_every_reason_to_leave_a_model_out_is_explained(reason: pb.LeaveOutReason.ValueType) -> None:
    message = plan()
    message.left_out[0].reason = reason
    assert any("hand-made@1" in line for line in plan_lines(read_plan(message)))


def test_a_document_has_the_promised_keys() -> None:
    document = json.loads(json.dumps(document_of_update(read_cascade(published_cascade()))))
    assert (document["id"], document["state"], document["old"], document["new"]) == (
        "0192",
        "published",
        "base@1",
        "base@2",
    )
    assert [(step["old"], step["new"], step["state"]) for step in document["steps"]] == [
        ("task@1", "task@2", "done"),
        ("small@1", "small@2", "done"),
        ("tiny@1", "tiny@2", "done"),
    ]
    assert [parent["pinned"] for parent in document["steps"][0]["parents"]] == [False, True]
    assert [each["reason"] for each in document["left_out"]] == ["no-creation-function", "skipped"]


def test_a_document_of_a_plan_has_no_id() -> None:
    document = document_of_update(read_plan(plan()))
    assert (document["id"], document["state"], document["created_at"]) == (None, None, None)


def test_what_was_made_is_told() -> None:
    assert list(outcome_lines(read_cascade(published_cascade()))) == [
        "Made 3 models anew: task@2 small@2 tiny@2."
    ]


def test_what_failed_is_told_with_its_output_and_what_to_do() -> None:
    assert list(outcome_lines(read_cascade(failed_cascade()))) == [
        "Step 0, task@1, failed: It raised ValueError.",
        "  The end of its output:",
        "  Traceback",
        "  ValueError: no luck",
        "Not made, since they need what failed: small@1 tiny@1",
        "0 of 2 steps are done. When the cause is mended: mgit update resume 0192",
        "To number what is done: mgit update resume 0192 --publish each",
        "To give it up: mgit update cancel 0192",
    ]


def test_of_a_long_output_the_end_is_told() -> None:
    message = failed_cascade()
    message.plan.steps[0].error = "\n".join(f"line {number}" for number in range(100))
    lines = list(outcome_lines(read_cascade(message)))
    assert lines[0].endswith("failed: line 0")
    assert lines[1] == "  …"
    assert "  line 99" in lines
    assert "  line 50" not in lines


def test_a_failed_test_is_told() -> None:
    message = published_cascade()
    message.plan.steps[0].failed_tests.append("accuracy")
    assert "task@2 does not pass accuracy." in list(outcome_lines(read_cascade(message)))


def test_what_blocks_is_told_with_both_ways_out() -> None:
    message = cascade(pb.CASCADE_STATE_BLOCKED)
    message.blocked_by.append(summary("task", 3))
    told = "\n".join(outcome_lines(read_cascade(message)))
    assert "task@3 appeared meanwhile" in told
    assert "mgit update resume 0192 --anyway" in told
    assert "mgit update cancel 0192" in told


@pytest.mark.parametrize("state", [CascadeState.RUNNING, CascadeState.BUILT])
def test_what_is_not_over_can_be_resumed(state: CascadeState) -> None:
    message = cascade(pb.CascadeState.Value(f"CASCADE_STATE_{state.name}"))
    assert list(outcome_lines(read_cascade(message))) == ["To go on: mgit update resume 0192"]


def shown(update: Update) -> str:
    return "\n".join(update_lines(update))


def test_an_update_shows_how_far_its_steps_are() -> None:
    told = shown(read_cascade(failed_cascade()))
    assert "state    failed" in told
    assert "   0  task@1   -    failed       3" in told
    assert "   1  tiny@1   -    blocked      0" in told
    assert "task@2" in shown(read_cascade(published_cascade()))


def test_updates_are_listed() -> None:
    found = [read_cascade(published_cascade()), read_cascade(failed_cascade())]
    header, first, second = updates_lines(found)
    assert header.split() == ["ID", "STATE", "MODELS", "DONE", "STARTED"]
    assert first.split()[:6] == ["0192", "published", "base@1", "->", "base@2", "2"]
    assert second.split()[1] == "failed"
    assert list(updates_lines([])) == []


def test_a_step_that_another_worker_holds_is_told() -> None:
    message = cascade()
    step = message.plan.steps[0]
    step.state, step.worker = pb.STEP_STATE_LEASED, "host:7:0"
    step.expires_at.FromSeconds(1_800_000_000)
    [line] = held_lines(read_cascade(message))
    assert line.startswith("step 0, task@1: worker host:7:0 has it; if that is dead, another takes it at ")
    assert list(held_lines(read_cascade(failed_cascade()))) == []


def progress(**said: object) -> UpdateProgress:
    usual: dict[str, object] = {
        "cascade_id": "0192",
        "number": 1,
        "old": ("small@1", "tiny@1"),
        "state": StepState.DONE,
        "cascade_state": CascadeState.RUNNING,
        "seconds": 1.5,
    }
    return UpdateProgress(**{**usual, **said})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({}, "step 1, small@1 tiny@1: done in 1.5 s"),
        ({"failed_tests": ("a", "b")}, "step 1, small@1 tiny@1: done in 1.5 s, failed tests: a, b"),
        ({"state": None}, "step 1, small@1 tiny@1: another worker has it now"),
        (
            {"state": StepState.WAITING, "error": "It raised.\nTraceback"},
            "step 1, small@1 tiny@1: waiting, It raised.",
        ),
    ],
)
def test_a_step_that_was_left_is_one_line(said: dict[str, object], line: str) -> None:
    assert progress_line(progress(**said)) == line


def test_a_step_that_was_left_is_a_document() -> None:
    document = document_of_progress(progress(state=None))
    assert (document["id"], document["number"], document["state"]) == ("0192", 1, None)
    assert document["old"] == ["small@1", "tiny@1"]
