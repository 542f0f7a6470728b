from __future__ import annotations

import pytest
from tests.unit.client.updating.updates import cascade, failed_cascade, plan, published_cascade, summary

from mgit.errors import ErrorReason, InvalidArgumentError
from mgit.updating import CascadeState, LeaveOutReason, PublishMode, StepState
from mgit.updating.messages import read_cascade, read_links, read_plan, write_options, write_publish
from mgit.wire import read_summary
from mgit_core.cascade.values import CascadeState as CoreState
from mgit_core.lineage import ParentLink, Relation
from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import types_pb2


def test_a_plan_has_a_model_for_each_target() -> None:
    found = read_plan(plan())
    assert (found.id, found.state, found.is_over, found.passed) == ("", None, False, False)
    assert [(step.number, step.old.ref, step.new_ref) for step in found.steps] == [
        (0, "task@1", "@new-task"),
        (1, "small@1", "@new-small"),
        (1, "tiny@1", "@new-tiny"),
    ]
    assert (found.step_count, found.done_count) == (2, 0)
    assert [(each.model.ref, each.reason) for each in found.left_out] == [
        ("hand-made@1", LeaveOutReason.NO_CREATION_FUNCTION),
        ("left@1", LeaveOutReason.SKIPPED),
    ]


def test_a_parent_is_replaced_made_or_pinned() -> None:
    task, small, _ = read_plan(plan()).steps
    assert [(parent.ref, parent.step, parent.is_pinned) for parent in task.parents] == [
        ("base@2", None, False),
        ("words@1", None, True),
    ]
    assert [(parent.ref, parent.step, parent.is_pinned) for parent in small.parents] == [
        ("@new-task", 0, False)
    ]


def test_a_published_update_has_numbered_models() -> None:
    found = read_cascade(published_cascade())
    assert (found.state, found.is_over, found.passed) == (CascadeState.PUBLISHED, True, True)
    assert [model.ref for model in found.models] == ["task@2", "small@2", "tiny@2"]
    assert (found.step_count, found.done_count) == (2, 2)


def test_a_staged_model_has_no_number_yet() -> None:
    message = cascade()
    made = message.plan.steps[0].targets[0].made
    made.CopyFrom(summary("task", 0))
    made.state = types_pb2.MODEL_STATE_STAGED
    found = read_cascade(message)
    assert (found.steps[0].new, found.models) == (None, ())


def test_a_failed_update_says_what_failed() -> None:
    found = read_cascade(failed_cascade())
    assert [step.old.ref for step in found.failed] == ["task@1"]
    assert [step.state for step in found.steps] == [StepState.FAILED, StepState.BLOCKED, StepState.BLOCKED]
    assert not found.passed


def test_a_failed_test_is_no_passed_update() -> None:
    message = published_cascade()
    message.plan.steps[0].failed_tests.append("accuracy")
    found = read_cascade(message)
    assert found.steps[0].failed_tests == ("accuracy",)
    assert (found.steps[0].passed, found.steps[1].passed, found.passed) == (False, True, False)


def test_lists_have_no_steps_but_their_number() -> None:
    message = published_cascade()
    for step in message.plan.steps:
        del step.targets[:]
    found = read_cascade(message)
    assert (found.steps, found.step_count, found.done_count) == ((), 2, 2)


def test_updates_tell_what_they_are() -> None:
    assert repr(read_plan(plan())) == "<plan of update base@1 -> base@2: 2 steps, 2 left out>"
    assert repr(read_cascade(published_cascade())) == (
        "<update base@1 -> base@2, published, 2 of 2 steps done, id 0192>"
    )
    assert repr(read_cascade(cascade()).steps[0]) == "<step 0, task@1 -> @new-task, waiting>"


def test_every_state_of_the_service_is_known() -> None:
    for state in CoreState:
        number = pb.CascadeState.Value(f"CASCADE_STATE_{state.name}")
        assert read_cascade(cascade(number)).state is state
    for value in pb.LeaveOutReason.values():
        if value:
            message = plan()
            message.left_out[0].reason = value
            assert read_plan(message).left_out[0].reason.value


def test_options_name_models_by_reference_or_value() -> None:
    base = read_summary(summary("base"))
    options = write_options(base, "base@2", skip=["a@1"], stop_at=[base], refresh_parents=True)
    assert options == pb.CascadeOptions(
        old="@uid-base-1", new="base@2", skip=["a@1"], stop_at=["@uid-base-1"], refresh_parents=True
    )


def test_models_are_published_together_or_each() -> None:
    assert write_publish("together") == write_publish(PublishMode.TOGETHER) == pb.PUBLISH_MODE_TOGETHER
    assert write_publish("each") == pb.PUBLISH_MODE_EACH
    assert write_publish(None) == pb.PUBLISH_MODE_UNSPECIFIED
    with pytest.raises(InvalidArgumentError) as caught:
        write_publish("never")
    assert caught.value.reason is ErrorReason.INVALID_CASCADE
    assert "together or each; found 'never'" in caught.value.message


def test_links_come_in_the_order_of_their_positions() -> None:
    edges = [
        types_pb2.ProvenanceEdge(parent_uid="b", relation=types_pb2.RELATION_MERGED, position=1, weight=0.25),
        types_pb2.ProvenanceEdge(parent_uid="a", relation=types_pb2.RELATION_FINETUNED, position=0),
    ]
    assert read_links(edges) == (
        ParentLink(parent_uid="a", relation=Relation.FINETUNED),
        ParentLink(parent_uid="b", relation=Relation.MERGED, weight=0.25),
    )
