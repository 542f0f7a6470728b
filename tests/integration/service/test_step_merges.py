"""Merges that steps of updates do again, through generated stubs on the real service and the real Neo4j."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.integration.service.test_cascade_calls import create, get, lease, make, report, start
from tests.integration.service.test_model_test_calls import refused
from tests.running_service import Stubs
from tests.uploads import add, link, upload

from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import lineage_pb2, merge_pb2, parameters_pb2, types_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

Tensors = Mapping[str, npt.NDArray[np.float32]]
START: Tensors = {name: np.arange(64, dtype=np.float32) + at for at, name in enumerate(("a", "b", "c"))}
NOBODY = "01890000-0000-7000-8000-000000000000"


def changed(of: Tensors = START, **amounts: float) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors with something added to some of them."""
    return {name: array + np.float32(amounts.get(name, 0)) for name, array in of.items()}


def ask(stubs: Stubs, **said: Any) -> list[merge_pb2.MergeModelsResponse]:
    return list(stubs.compare.MergeModels(merge_pb2.MergeModelsRequest(**said)))


def held(cascade: pb.Cascade, step: pb.CascadeStep, **changed: Any) -> parameters_pb2.StepLease:
    said = {
        "cascade_id": cascade.id,
        "step": step.number,
        "attempt": step.attempt,
        "target_uid": step.targets[0].uid,
    }
    return parameters_pb2.StepLease(**{**said, **changed})


def tuned(stubs: Stubs, name: str, parent: str, tensors: Tensors) -> types_pb2.Model:
    """A model that can be made anew."""
    return upload(
        stubs,
        parameters_pb2.ModelHeader(
            name=name, parents=[link(parent)], creation=get_creation(), metadata={"by": text("somebody")}
        ),
        tensors,
    ).model


def get_creation() -> types_pb2.CreationRecord:
    return types_pb2.CreationRecord(entry_point="makers:tune", code_digest=bytes(32))


def text(value: str) -> types_pb2.MetadataValue:
    return types_pb2.MetadataValue(text=value)


def merged_family(stubs: Stubs, root: str, ours: Tensors, theirs: Tensors, **said: Any) -> types_pb2.Model:
    """A base, two models of it, their merge, and the next base; gives the merge."""
    add(stubs, f"{root}/base", tensors=START)
    tuned(stubs, f"{root}/ours", f"{root}/base", ours)
    tuned(stubs, f"{root}/theirs", f"{root}/base", theirs)
    said = {"accept": True, **said}
    answers = ask(stubs, ours=f"{root}/ours", theirs=f"{root}/theirs", name=f"{root}/merged", **said)
    add(stubs, f"{root}/base", tensors=changed(a=100))
    return answers[-1].model


def begin(stubs: Stubs, root: str, **sides: Tensors) -> tuple[pb.Cascade, pb.CascadeStep]:
    """An update whose next step is the merge; ``sides`` are what the new sides are."""
    options = pb.CascadeOptions(old=f"{root}/base@1", new=f"{root}/base@2")
    cascade = start(stubs, options)
    for _ in range(2):
        step = lease(stubs, cascade)
        side = step.targets[0].old.name.rpartition("/")[2]
        upload(stubs, parameters_pb2.ModelHeader(step=held(cascade, step)), sides[side])
        report(stubs, cascade, step)
    return cascade, lease(stubs, cascade)


def test_the_service_merges_for_a_step_what_its_plan_says(stubs: Stubs) -> None:
    old = merged_family(stubs, "good", changed(b=1), changed(c=1))
    cascade, step = begin(stubs, "good", ours=changed(a=100, b=2), theirs=changed(a=100, c=2))
    target = step.targets[0]
    assert (target.creation.entry_point, target.creation.arguments["base"].text) == (
        "mgit/service:merge",
        get(stubs, "good/base@2").summary.uid,
    )

    first, *_, last = ask(stubs, step=held(cascade, step))

    assert (last.outcome, last.model.summary.uid) == (merge_pb2.MERGE_OUTCOME_MERGED, target.uid)
    assert first.summary.base == get(stubs, "good/base@2").summary
    model = get(stubs, f"@{target.uid}")
    assert model == last.model
    assert (model.summary.state, model.summary.name) == (types_pb2.MODEL_STATE_STAGED, "good/merged")
    assert model.previous.uid == old.summary.uid
    assert [edge.parent_uid for edge in model.parents] == [edge.parent_uid for edge in target.parents]
    assert model.creation.arguments == target.creation.arguments
    recipe = json.loads(model.metadata["merge"].text)
    assert (recipe["base"]["ref"], recipe["ours"]["uid"]) == ("good/base@2", target.parents[0].parent_uid)
    for name, array in changed(a=100, b=2, c=2).items():
        request = parameters_pb2.ReadTensorRequest(model=f"@{target.uid}", parameter=name)
        read = b"".join(answer.data for answer in stubs.parameters.ReadTensor(request))
        assert read == array.tobytes()
    assert report(stubs, cascade, step).state == pb.CASCADE_STATE_BUILT


def test_it_takes_over_what_was_said_of_the_old_model(stubs: Stubs) -> None:
    """Its type is that of a side then, its metadata what somebody may have written since."""
    merged_family(stubs, "said", changed(b=1), changed(c=1))
    cascade, step = begin(stubs, "said", ours=changed(b=2), theirs=changed(c=2))
    made = ask(stubs, step=held(cascade, step))[-1].model
    old = get(stubs, "said/merged")
    assert (made.type, list(made.datasets), made.metadata.keys()) == (
        old.type,
        list(old.datasets),
        old.metadata.keys(),
    )


def test_whoever_holds_the_step_may_ask_again(stubs: Stubs) -> None:
    """A worker that died behind the call is followed by another one, which learns how it ended."""
    merged_family(stubs, "again", changed(b=1), changed(b=3), on_conflict=merge_pb2.CONFLICT_CHOICE_AVERAGE)
    cascade, step = begin(stubs, "again", ours=changed(b=2), theirs=changed(b=6))
    first = ask(stubs, step=held(cascade, step))
    second = ask(stubs, step=held(cascade, step))
    assert (second[-1].model, second[-1].outcome) == (first[-1].model, first[-1].outcome)
    assert second[-1].stored_bytes == 0
    report(stubs, cascade, step, released=True)
    later = lease(stubs, cascade)
    assert (later.state, later.attempt) == (pb.STEP_STATE_STAGED, 2)
    third = ask(stubs, step=held(cascade, later))
    assert (third[-1].model, third[-1].outcome) == (first[-1].model, first[-1].outcome)
    assert report(stubs, cascade, later).step_state == pb.STEP_STATE_DONE


def test_a_late_worker_is_refused(stubs: Stubs) -> None:
    merged_family(stubs, "late", changed(b=1), changed(c=1))
    cascade, step = begin(stubs, "late", ours=changed(b=2), theirs=changed(c=2))
    report(stubs, cascade, step, released=True)
    lease(stubs, cascade)
    assert refused(lambda: ask(stubs, step=held(cascade, step))) == ("ABORTED", "STEP_LEASE_LOST")
    assert refused(lambda: get(stubs, f"@{step.targets[0].uid}")) == ("NOT_FOUND", "MODEL_NOT_FOUND")


def test_conflicts_are_named_and_the_step_stays_as_it_was(stubs: Stubs) -> None:
    merged_family(stubs, "conflict", changed(b=1), changed(c=1))
    cascade, step = begin(stubs, "conflict", ours=changed(b=2), theirs=changed(b=3, c=2))
    answers = ask(stubs, step=held(cascade, step))
    assert answers[-1].outcome == merge_pb2.MERGE_OUTCOME_CONFLICTED
    assert [list(each.names) for answer in answers for each in answer.conflicts] == [["b"]]
    assert refused(lambda: get(stubs, f"@{step.targets[0].uid}")) == ("NOT_FOUND", "MODEL_NOT_FOUND")
    kept = stubs.cascades.GetCascade(pb.GetCascadeRequest(id=cascade.id)).cascade
    assert kept.plan.steps[step.number].state == pb.STEP_STATE_LEASED


def test_other_parameters_are_refused_unless_a_side_has_others_too(stubs: Stubs) -> None:
    """What one side deleted and the other left alone was deleted; changed now, it is chosen and comes back."""
    without = {name: array for name, array in changed(b=1).items() if name != "c"}
    theirs = {"on_conflict": merge_pb2.CONFLICT_CHOICE_THEIRS}
    for root, added, code in (("same", {}, "FAILED_PRECONDITION"), ("wider", {"d": START["a"]}, "")):
        merged_family(stubs, root, without, changed(b=2), **theirs)
        cascade, step = begin(stubs, root, ours=without, theirs={**changed(b=2, c=5), **added})
        call: Callable[[], Any] = lambda: ask(stubs, step=held(cascade, step))  # noqa: B023, E731 - called at once
        if code:
            assert refused(call) == (code, "CREATION_FAILED")
            with pytest.raises(Exception, match="it adds c"):
                call()
        else:
            assert call()[-1].outcome == merge_pb2.MERGE_OUTCOME_MERGED


def test_a_step_is_named_whole_and_alone(stubs: Stubs) -> None:
    merged_family(stubs, "named", changed(b=1), changed(c=1))
    create(stubs, "named/other", "named/base@1")
    cascade, step = begin(stubs, "named", ours=changed(b=2), theirs=changed(c=2))
    other = lease(stubs, cascade)
    steps = {each.targets[0].old.name: each for each in (step, other)}
    merging, making = steps["named/merged"], steps["named/other"]
    wrong = ("INVALID_ARGUMENT", "INVALID_CREATION")
    lost = ("ABORTED", "STEP_LEASE_LOST")
    assert refused(lambda: ask(stubs, step=held(cascade, merging, target_uid=NOBODY))) == wrong
    assert refused(lambda: ask(stubs, step=held(cascade, making))) == wrong
    assert refused(lambda: ask(stubs, step=held(cascade, merging), name="named/mine")) == wrong
    assert refused(lambda: ask(stubs, step=held(cascade, merging), accept=True)) == wrong
    assert refused(lambda: ask(stubs, step=held(cascade, merging, attempt=7))) == lost
    missing = held(cascade, merging, cascade_id=NOBODY)
    assert refused(lambda: ask(stubs, step=missing)) == ("NOT_FOUND", "CASCADE_NOT_FOUND")


def test_a_model_that_was_sent_for_a_merge_is_not_taken_for_one(stubs: Stubs) -> None:
    merged_family(stubs, "sent", changed(b=1), changed(c=1))
    cascade, step = begin(stubs, "sent", ours=changed(b=2), theirs=changed(c=2))
    make(stubs, cascade, step)
    wrong = ("INVALID_ARGUMENT", "INVALID_CREATION")
    assert refused(lambda: ask(stubs, step=held(cascade, step))) == wrong


def test_a_base_that_an_update_needs_stays(stubs: Stubs) -> None:
    add(stubs, "kept/start", tensors=START)
    merged_family(stubs, "kept", changed(b=1), changed(c=1), base="kept/start")
    options = pb.CascadeOptions(old="kept/base@1", new="kept/base@2")
    cascade = start(stubs, options)
    removal = lineage_pb2.RemoveModelRequest(model="kept/start")
    assert refused(lambda: stubs.lineage.RemoveModel(removal)) == ("FAILED_PRECONDITION", "MODEL_IN_USE")
    stubs.cascades.CancelCascade(pb.CancelCascadeRequest(id=cascade.id))
    stubs.lineage.RemoveModel(removal)
    plan = stubs.cascades.PlanCascade(pb.PlanCascadeRequest(options=options)).plan
    assert [(left.model.name, left.reason) for left in plan.left_out] == [
        ("kept/merged", pb.LEAVE_OUT_REASON_PARENT_REMOVED)
    ]


def test_a_record_of_a_merge_that_nobody_asked_for_is_refused(stubs: Stubs) -> None:
    record = types_pb2.CreationRecord(
        entry_point="mgit/service:merge", code_digest=bytes(32), arguments={"base": text("reviews")}
    )
    header = parameters_pb2.ModelHeader(name="claimed", creation=record)
    assert refused(lambda: upload(stubs, header, START)) == ("INVALID_ARGUMENT", "INVALID_CREATION")


def test_merges_that_wait_are_listed_in_pages_without_those_of_updates(stubs: Stubs) -> None:
    known = {each.summary.uid for each in listed(stubs, 1_000)}
    merged_family(stubs, "wait", changed(b=1), changed(c=1))
    staged = [
        ask(stubs, ours="wait/ours", theirs="wait/theirs", name="wait/mine", request_id=f"wait-{number}")[-1]
        for number in range(3)
    ]
    assert {each.outcome for each in staged} == {merge_pb2.MERGE_OUTCOME_STAGED}
    cascade, step = begin(stubs, "wait", ours=changed(b=2), theirs=changed(c=2))
    ask(stubs, step=held(cascade, step))
    for size in (1, 2, 1_000):
        found = [each for each in listed(stubs, size) if each.summary.uid not in known]
        assert [each.summary.uid for each in found] == [each.model.summary.uid for each in staged]
        assert found[0] == staged[0].model
    uid = staged[1].model.summary.uid
    stubs.compare.DecideMerge(merge_pb2.DecideMergeRequest(uid=uid, publish=False))
    assert uid not in {each.summary.uid for each in listed(stubs, 1_000)}
    page = merge_pb2.ListStagedMergesRequest(page_token="bogus")  # noqa: S106 - no password
    assert refused(lambda: stubs.compare.ListStagedMerges(page)) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


def listed(stubs: Stubs, size: int) -> list[types_pb2.Model]:
    models: list[types_pb2.Model] = []
    token = ""
    while True:
        request = merge_pb2.ListStagedMergesRequest(page_size=size, page_token=token)
        answer = stubs.compare.ListStagedMerges(request)
        models += answer.models
        token = answer.next_page_token
        if not token:
            return models
