"""Updates on the wire, for tests of what is made of them."""

from __future__ import annotations

from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import types_pb2


def summary(name: str, version: int = 1) -> types_pb2.ModelSummary:
    return types_pb2.ModelSummary(
        uid=f"uid-{name}-{version}", name=name, version=version, state=types_pb2.MODEL_STATE_PRESENT
    )


def target(name: str, *parents: tuple[str, str], made: int = 0) -> pb.StepTarget:
    """A new version of ``name``; each parent by uid and reference."""
    built = pb.StepTarget(
        uid=f"new-{name}",
        old=summary(name),
        parents=[
            types_pb2.ProvenanceEdge(
                child_uid=f"new-{name}",
                parent_uid=uid,
                parent_ref=ref,
                relation=types_pb2.RELATION_FINETUNED,
                position=position,
            )
            for position, (uid, ref) in enumerate(parents)
        ],
        creation=types_pb2.CreationRecord(entry_point=f"recipes:make_{name}"),
    )
    if made:
        built.made.CopyFrom(summary(name, made))
    return built


def plan() -> pb.UpdatePlan:
    """Two steps: ``task`` from the new base and a pinned tokenizer, then ``small`` and ``tiny`` from it, together."""
    first = pb.CascadeStep(
        number=0,
        targets=[target("task", ("uid-base-2", "base@2"), ("uid-words-1", "words@1"))],
        state=pb.STEP_STATE_WAITING,
    )
    second = pb.CascadeStep(
        number=1,
        targets=[target("small", ("new-task", "@new-task")), target("tiny", ("new-task", "@new-task"))],
        needs=[0],
        state=pb.STEP_STATE_WAITING,
    )
    return pb.UpdatePlan(
        old=summary("base"),
        new=summary("base", 2),
        steps=[first, second],
        step_count=2,
        left_out=[
            pb.LeftOut(model=summary("hand-made"), reason=pb.LEAVE_OUT_REASON_NO_CREATION_FUNCTION),
            pb.LeftOut(model=summary("left"), reason=pb.LEAVE_OUT_REASON_SKIPPED),
        ],
        left_out_count=2,
    )


def cascade(state: pb.CascadeState.ValueType = pb.CASCADE_STATE_RUNNING) -> pb.Cascade:
    return pb.Cascade(id="0192", state=state, plan=plan(), publish=pb.PUBLISH_MODE_TOGETHER, max_attempts=3)


def failed_cascade() -> pb.Cascade:
    """The first step failed, so that the second cannot begin."""
    built = cascade(pb.CASCADE_STATE_FAILED)
    first, second = built.plan.steps
    first.state, first.attempt, first.worker = pb.STEP_STATE_FAILED, 3, "host:1:0"
    first.error = "It raised ValueError.\nThe end of its output:\nTraceback\nValueError: no luck"
    second.state = pb.STEP_STATE_BLOCKED
    return built


def published_cascade() -> pb.Cascade:
    built = cascade(pb.CASCADE_STATE_PUBLISHED)
    for step in built.plan.steps:
        step.state, step.attempt = pb.STEP_STATE_DONE, 1
        for each in step.targets:
            each.made.CopyFrom(summary(each.old.name, 2))
    return built
