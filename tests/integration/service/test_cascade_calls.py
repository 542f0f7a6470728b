"""CascadeService through generated stubs, on the real service and the real Neo4j."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.integration.service.test_model_test_calls import refused
from tests.running_service import Stubs
from tests.uploads import add, link, upload

from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import lineage_pb2, maintenance_pb2, parameters_pb2, types_pb2
from mgit_proto.v1 import model_tests_pb2 as tests_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

NOBODY = "01890000-0000-7000-8000-000000000000"
LEASE_S = 600.0
WEIGHTS = np.arange(4_096, dtype=np.float32)


def creation(function: str = "tune", **changed: Any) -> types_pb2.CreationRecord:
    fields: dict[str, Any] = {
        "entry_point": f"makers:{function}",
        "code_digest": bytes(32),
        "source": "def tune(parents): ...",
        "seed": 7,
        "arguments": {"rate": types_pb2.MetadataValue(number=0.5)},
        "environment": {"python": "3.11"},
    }
    return types_pb2.CreationRecord(**{**fields, **changed})


def create(stubs: Stubs, name: str, *parents: str, shift: float = 0.0, **header: Any) -> types_pb2.Model:
    """A model that can be made anew."""
    made = parameters_pb2.ModelHeader(
        name=name, parents=[link(parent) for parent in parents], creation=creation(), **header
    )
    return upload(stubs, made, {"weight": WEIGHTS + np.float32(shift)}).model


def family(stubs: Stubs, root: str) -> pb.CascadeOptions:
    """A base, two tasks of it, a merge of both, and the next base; what to update."""
    add(stubs, f"{root}/base", tensors={"weight": WEIGHTS})
    create(stubs, f"{root}/a", f"{root}/base", shift=1, type="bert")
    create(stubs, f"{root}/b", f"{root}/base", shift=2)
    create(stubs, f"{root}/merged", f"{root}/a", f"{root}/b", shift=3)
    add(stubs, f"{root}/base", tensors={"weight": WEIGHTS + np.float32(0.5)})
    return pb.CascadeOptions(old=f"{root}/base@1", new=f"{root}/base@2")


def start(stubs: Stubs, options: pb.CascadeOptions, **changed: Any) -> pb.Cascade:
    return stubs.cascades.StartCascade(pb.StartCascadeRequest(options=options, **changed)).cascade


def lease(stubs: Stubs, cascade: pb.Cascade) -> pb.CascadeStep:
    request = pb.LeaseStepRequest(cascade_id=cascade.id, worker="w", lease_s=LEASE_S)
    return stubs.cascades.LeaseStep(request).step


def step_header(cascade: pb.Cascade, step: pb.CascadeStep, **changed: Any) -> parameters_pb2.ModelHeader:
    held = parameters_pb2.StepLease(
        cascade_id=cascade.id, step=step.number, attempt=step.attempt, target_uid=step.targets[0].uid
    )
    return parameters_pb2.ModelHeader(step=held, **changed)


def make(stubs: Stubs, cascade: pb.Cascade, step: pb.CascadeStep, **changed: Any) -> types_pb2.Model:
    """Stage the model of a step."""
    weight = WEIGHTS + np.float32(10 + step.number)
    return upload(stubs, step_header(cascade, step, **changed), {"weight": weight}).model


def report(stubs: Stubs, cascade: pb.Cascade, step: pb.CascadeStep, **said: Any) -> pb.ReportStepResponse:
    request = pb.ReportStepRequest(cascade_id=cascade.id, step=step.number, attempt=step.attempt, **said)
    return stubs.cascades.ReportStep(request)


def finish(stubs: Stubs, cascade: pb.Cascade) -> pb.ReportStepResponse:
    step = lease(stubs, cascade)
    make(stubs, cascade, step)
    return report(stubs, cascade, step)


def get(stubs: Stubs, reference: str) -> types_pb2.Model:
    return stubs.lineage.GetModel(lineage_pb2.GetModelRequest(model=reference)).model


class TestPlans:
    def test_a_plan_tells_what_an_update_would_do_and_keeps_nothing(self, stubs: Stubs) -> None:
        options = family(stubs, "plan")
        options.skip.append("plan/b")
        plan = stubs.cascades.PlanCascade(pb.PlanCascadeRequest(options=options)).plan
        assert [[target.old.name for target in step.targets] for step in plan.steps] == [
            ["plan/a"],
            ["plan/merged"],
        ]
        merged = plan.steps[1].targets[0]
        assert [edge.parent_ref for edge in merged.parents] == [
            f"@{plan.steps[0].targets[0].uid}",
            "plan/b@1",
        ]
        assert (merged.creation.source, dict(merged.creation.environment), merged.creation.seed) == (
            "",
            {},
            7,
        )
        assert [(left.model.name, left.reason) for left in plan.left_out] == [
            ("plan/b", pb.LEAVE_OUT_REASON_SKIPPED)
        ]
        assert (plan.step_count, plan.left_out_count, list(plan.steps[1].needs)) == (2, 1, [0])
        assert not any(
            each.plan.old.name == "plan/base"
            for each in stubs.cascades.ListCascades(pb.ListCascadesRequest()).cascades
        )

    def test_what_does_not_follow_is_refused_with_the_command_that_links(self, stubs: Stubs) -> None:
        add(stubs, "apart/one")
        add(stubs, "apart/two")
        options = pb.CascadeOptions(old="apart/one", new="apart/two")
        call = stubs.cascades.PlanCascade
        assert refused(lambda: call(pb.PlanCascadeRequest(options=options))) == (
            "FAILED_PRECONDITION",
            "NOT_A_REVISION",
        )
        with pytest.raises(Exception, match="mgit link apart/two@1 apart/one@1 --relation revision"):
            call(pb.PlanCascadeRequest(options=options))
        assert refused(lambda: call(pb.PlanCascadeRequest())) == ("INVALID_ARGUMENT", "INVALID_NAME")

    def test_a_plan_without_steps_is_published_at_once(self, stubs: Stubs) -> None:
        add(stubs, "empty/base", tensors={"w": WEIGHTS})
        add(stubs, "empty/base", tensors={"w": WEIGHTS + 1})
        cascade = start(stubs, pb.CascadeOptions(old="empty/base@1", new="empty/base@2"))
        assert (cascade.state, cascade.plan.step_count) == (pb.CASCADE_STATE_PUBLISHED, 0)

    def test_a_large_plan_is_read_in_parts(self, stubs: Stubs) -> None:
        add(stubs, "many/base", tensors={"w": WEIGHTS})
        records = {f"argument{number}": types_pb2.MetadataValue(text="x" * 900) for number in range(60)}
        for number in range(14):
            header = parameters_pb2.ModelHeader(
                name=f"many/m{number}", parents=[link("many/base")], creation=creation(arguments=records)
            )
            upload(stubs, header, {"w": WEIGHTS})
        add(stubs, "many/base", tensors={"w": WEIGHTS + 1})
        cascade = start(stubs, pb.CascadeOptions(old="many/base@1", new="many/base@2"))
        steps = list(cascade.plan.steps)
        assert (cascade.plan.step_count, len(steps) < 14) == (14, True)
        while len(steps) < cascade.plan.step_count:
            request = pb.GetCascadeRequest(id=cascade.id, after_steps=len(steps))
            part = stubs.cascades.GetCascade(request).cascade
            assert part.ByteSize() < 1 << 20
            steps += part.plan.steps
        assert [step.number for step in steps] == list(range(14))


class TestSteps:
    def test_a_whole_update_over_the_wire(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "whole"))
        step = lease(stubs, cascade)
        made = make(stubs, cascade, step)
        target = step.targets[0]
        assert (made.summary.uid, made.summary.state, made.summary.version) == (
            target.uid,
            types_pb2.MODEL_STATE_STAGED,
            0,
        )
        assert (made.summary.name, made.type, made.previous.version) == ("whole/a", "bert", 1)
        assert (made.creation.source, made.creation.seed) == ("def tune(parents): ...", 7)
        assert report(stubs, cascade, step).step_state == pb.STEP_STATE_DONE
        finish(stubs, cascade)
        low = lease(stubs, cascade)
        staged = make(stubs, cascade, low, creation=creation(environment={"python": "3.12"}))
        assert (dict(staged.creation.environment), staged.parents[0].parent_ref) == (
            {"python": "3.12"},
            f"@{made.summary.uid}",
        )
        assert report(stubs, cascade, low).state == pb.CASCADE_STATE_BUILT
        assert refused(lambda: get(stubs, "whole/a@2")) == ("NOT_FOUND", "MODEL_NOT_FOUND")
        done = stubs.cascades.PublishCascade(pb.PublishCascadeRequest(id=cascade.id)).cascade
        refs = [
            f"{target.made.name}@{target.made.version}" for step in done.plan.steps for target in step.targets
        ]
        assert (done.state, refs) == (
            pb.CASCADE_STATE_PUBLISHED,
            ["whole/a@2", "whole/b@2", "whole/merged@2"],
        )
        merged = get(stubs, "whole/merged")
        assert [edge.parent_ref for edge in merged.parents] == ["whole/a@2", "whole/b@2"]

    def test_a_staged_model_is_read_and_tested_by_its_uid(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "read"))
        step = lease(stubs, cascade)
        made = make(stubs, cascade, step)
        reference = f"@{made.summary.uid}"
        assert get(stubs, reference) == made
        [first] = list(stubs.parameters.GetManifest(parameters_pb2.GetManifestRequest(model=reference)))
        assert first.model == made
        answers = list(
            stubs.parameters.ReadTensor(parameters_pb2.ReadTensorRequest(model=reference, parameter="weight"))
        )
        read = b"".join(answer.data for answer in answers)
        assert np.array_equal(np.frombuffer(read, np.float32), WEIGHTS + np.float32(10))
        test = tests_pb2.ModelTest(
            name="read-test", type="bert", kind=tests_pb2.TEST_KIND_ENTRY_POINT, code="checks:one", metric="m"
        )
        test = stubs.model_tests.RegisterTest(tests_pb2.RegisterTestRequest(test=test)).test
        applicable = list(
            stubs.model_tests.ListApplicableTests(tests_pb2.ListApplicableTestsRequest(models=[reference]))
        )
        assert [each.name for answer in applicable for each in answer.tests] == ["read-test"]

    def test_a_staged_model_is_safe_from_collection(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "collected"))
        asked = maintenance_pb2.GetStatisticsRequest()
        before = stubs.maintenance.GetStatistics(asked).reclaimable_bytes
        made = make(stubs, cascade, lease(stubs, cascade))
        assert stubs.maintenance.GetStatistics(asked).reclaimable_bytes == before
        list(stubs.maintenance.CollectGarbage(maintenance_pb2.CollectGarbageRequest()))
        request = parameters_pb2.ReadTensorRequest(model=f"@{made.summary.uid}", parameter="weight")
        read = b"".join(answer.data for answer in stubs.parameters.ReadTensor(request))
        assert np.array_equal(np.frombuffer(read, np.float32), WEIGHTS + np.float32(10))
        checked = list(stubs.maintenance.CheckStore(maintenance_pb2.CheckStoreRequest()))
        assert not [answer for answer in checked if answer.HasField("problem")]

    def test_a_step_says_of_what_name_and_parents_its_models_are(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "own"))
        step = lease(stubs, cascade)
        for wrong in (
            step_header(cascade, step, name="own/other"),
            step_header(cascade, step, parents=[link("own/base")]),
            step_header(cascade, step, previous=parameters_pb2.Previous(model="own/base")),
        ):
            assert refused(lambda wrong=wrong: upload(stubs, wrong, {"weight": WEIGHTS})) == (
                "INVALID_ARGUMENT",
                "INVALID_CREATION",
            )

    def test_a_repeated_commit_of_a_step_finds_its_model(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "again"))
        step = lease(stubs, cascade)
        header = step_header(cascade, step)
        first = upload(stubs, header, {"weight": WEIGHTS}, request_id="again-1").model
        assert upload(stubs, header, {"weight": WEIGHTS}, request_id="again-1").model == first
        assert upload(stubs, header, {"weight": WEIGHTS}, request_id="again-2").model == first

    def test_a_late_worker_is_refused(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "late"))
        step = lease(stubs, cascade)
        report(stubs, cascade, step, released=True)
        again = lease(stubs, cascade)
        assert (again.number, again.attempt) == (step.number, 2)
        lost = ("ABORTED", "STEP_LEASE_LOST")
        assert refused(lambda: make(stubs, cascade, step)) == lost
        assert refused(lambda: report(stubs, cascade, step, error="late")) == lost
        renewal = pb.RenewStepRequest(cascade_id=cascade.id, step=step.number, attempt=1, lease_s=9)
        assert refused(lambda: stubs.cascades.RenewStep(renewal)) == lost
        renewal.attempt = 2
        assert stubs.cascades.RenewStep(renewal).HasField("expires_at")

    def test_a_failure_is_told_cut_and_can_be_resumed(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "fails"), max_attempts=1)
        for _ in range(2):
            step = lease(stubs, cascade)
            answer = report(stubs, cascade, step, error="x" * 5_000)
            assert answer.step_state == pb.STEP_STATE_FAILED
        assert answer.state == pb.CASCADE_STATE_FAILED
        kept = stubs.cascades.GetCascade(pb.GetCascadeRequest(id=cascade.id)).cascade
        assert len(kept.plan.steps[0].error) == 4_000
        assert [step.state for step in kept.plan.steps][2] == pb.STEP_STATE_BLOCKED
        request = pb.ResumeCascadeRequest(id=cascade.id, request_id="fails-resume")
        for _ in range(2):
            assert stubs.cascades.ResumeCascade(request).cascade.state == pb.CASCADE_STATE_RUNNING
        assert lease(stubs, cascade).attempt == 2


class TestRuns:
    def test_two_updates_of_one_family_are_refused_by_name(self, stubs: Stubs) -> None:
        options = family(stubs, "twice")
        first = start(stubs, options, request_id="twice-start")
        assert start(stubs, options, request_id="twice-start").id == first.id
        overlap = ("ABORTED", "CASCADE_OVERLAP")
        assert refused(lambda: start(stubs, options)) == overlap
        with pytest.raises(Exception, match=first.id):
            start(stubs, options)
        removal = lineage_pb2.RemoveModelRequest(model="twice/merged@1")
        assert refused(lambda: stubs.lineage.RemoveModel(removal)) == ("FAILED_PRECONDITION", "MODEL_IN_USE")
        stubs.cascades.CancelCascade(pb.CancelCascadeRequest(id=first.id))
        assert start(stubs, options).id != first.id

    def test_cancelling_removes_what_was_staged(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "cancelled"))
        made = make(stubs, cascade, lease(stubs, cascade))
        answer = stubs.cascades.CancelCascade(pb.CancelCascadeRequest(id=cascade.id)).cascade
        assert answer.state == pb.CASCADE_STATE_CANCELLED
        assert refused(lambda: get(stubs, f"@{made.summary.uid}")) == ("NOT_FOUND", "MODEL_NOT_FOUND")
        assert refused(lambda: lease(stubs, cascade)) == ("ABORTED", "CASCADE_ENDED")

    def test_publishing_is_blocked_by_a_version_that_came_meanwhile(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "blocked"))
        call = stubs.cascades.PublishCascade
        unfinished = ("ABORTED", "CASCADE_UNFINISHED")
        assert refused(lambda: call(pb.PublishCascadeRequest(id=cascade.id))) == unfinished
        for _ in range(3):
            finish(stubs, cascade)
        create(stubs, "blocked/a", "blocked/base@2", shift=9)
        blocked = call(pb.PublishCascadeRequest(id=cascade.id)).cascade
        assert (blocked.state, [(model.name, model.version) for model in blocked.blocked_by]) == (
            pb.CASCADE_STATE_BLOCKED,
            [("blocked/a", 2)],
        )
        done = call(pb.PublishCascadeRequest(id=cascade.id, anyway=True)).cascade
        assert done.state == pb.CASCADE_STATE_PUBLISHED
        assert get(stubs, "blocked/a").summary.version == 3

    def test_each_is_published_with_its_step(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "each"), publish=pb.PUBLISH_MODE_EACH)
        finish(stubs, cascade)
        assert get(stubs, "each/a").summary.version == 2
        finish(stubs, cascade)
        assert finish(stubs, cascade).state == pb.CASCADE_STATE_PUBLISHED
        listed = stubs.cascades.ListCascades(pb.ListCascadesRequest(page_size=1))
        assert ([each.id for each in listed.cascades], bool(listed.next_page_token)) == ([cascade.id], True)
        assert [len(step.targets) for step in listed.cascades[0].plan.steps] == [0, 0, 0]

    def test_what_nobody_started_is_not_found(self, stubs: Stubs) -> None:
        missing = ("NOT_FOUND", "CASCADE_NOT_FOUND")
        calls = stubs.cascades
        assert refused(lambda: calls.GetCascade(pb.GetCascadeRequest(id=NOBODY))) == missing
        assert refused(lambda: lease(stubs, pb.Cascade(id=NOBODY))) == missing
        assert refused(lambda: report(stubs, pb.Cascade(id=NOBODY), pb.CascadeStep())) == missing
        assert refused(lambda: calls.PublishCascade(pb.PublishCascadeRequest(id=NOBODY))) == missing
        assert (
            refused(lambda: make(stubs, pb.Cascade(id=NOBODY), pb.CascadeStep(targets=[pb.StepTarget()])))
            == missing
        )

    @pytest.mark.parametrize("lease_s", [0.5, 3_601.0, float("nan"), -1.0])
    def test_a_lease_of_another_length_is_refused(self, stubs: Stubs, lease_s: float) -> None:
        request = pb.LeaseStepRequest(cascade_id=NOBODY, lease_s=lease_s)
        assert refused(lambda: stubs.cascades.LeaseStep(request)) == ("INVALID_ARGUMENT", "INVALID_CASCADE")

    def test_numbers_that_cannot_be_are_refused(self, stubs: Stubs) -> None:
        invalid = ("INVALID_ARGUMENT", "INVALID_CASCADE")
        options = pb.CascadeOptions(old="a", new="b")
        assert refused(lambda: start(stubs, options, max_attempts=101)) == invalid
        assert refused(lambda: start(stubs, options, publish=9)) == invalid
        worker = pb.LeaseStepRequest(cascade_id=NOBODY, worker="w" * 201, lease_s=9)
        assert refused(lambda: stubs.cascades.LeaseStep(worker)) == invalid


class TestBadInput:
    def test_a_lease_on_one_update_makes_no_model_of_another(self, stubs: Stubs) -> None:
        one, other = (start(stubs, family(stubs, f"mixed/{name}")) for name in ("one", "other"))
        step, foreign = lease(stubs, one), lease(stubs, other)
        header = step_header(one, step)
        header.step.target_uid = foreign.targets[0].uid
        assert refused(lambda: upload(stubs, header, {"weight": WEIGHTS})) == (
            "INVALID_ARGUMENT",
            "INVALID_CREATION",
        )
        assert make(stubs, one, step).summary.uid == step.targets[0].uid

    def test_a_report_of_too_many_tests_changes_nothing(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "tests"))
        step = lease(stubs, cascade)
        make(stubs, cascade, step)
        names = [f"t{number}" for number in range(1_001)]
        invalid = ("INVALID_ARGUMENT", "INVALID_CASCADE")
        assert refused(lambda: report(stubs, cascade, step, failed_tests=names)) == invalid
        large = ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
        assert refused(lambda: report(stubs, cascade, step, error="x" * (1 << 20))) == large
        assert report(stubs, cascade, step, failed_tests=names[:2]).step_state == pb.STEP_STATE_DONE

    def test_a_model_is_reported_twice_and_counted_once(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "repeated"))
        step = lease(stubs, cascade)
        make(stubs, cascade, step)
        answers = [report(stubs, cascade, step) for _ in range(2)]
        assert answers[0] == answers[1]
        finish(stubs, cascade)
        assert finish(stubs, cascade).state == pb.CASCADE_STATE_BUILT

    def test_steps_behind_the_last_one_are_none(self, stubs: Stubs) -> None:
        cascade = start(stubs, family(stubs, "behind"))
        for after, expected in ((-1, [0, 1, 2]), (2, [2]), (3, []), ((1 << 31) - 1, [])):
            request = pb.GetCascadeRequest(id=cascade.id, after_steps=after)
            plan = stubs.cascades.GetCascade(request).cascade.plan
            assert ([step.number for step in plan.steps], plan.step_count) == (expected, 3)

    def test_pages_of_another_list_are_refused(self, stubs: Stubs) -> None:
        start(stubs, family(stubs, "paged"))
        call = stubs.cascades.ListCascades
        invalid = ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
        assert refused(lambda: call(pb.ListCascadesRequest(page_token="models"))) == invalid  # noqa: S106
        negative = ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
        assert refused(lambda: call(pb.ListCascadesRequest(page_size=-1))) == negative

    @pytest.mark.parametrize("field", ["skip", "stop_at"])
    def test_models_to_leave_out_must_be_there_and_few(self, stubs: Stubs, field: str) -> None:
        options = family(stubs, f"left-out/{field.replace('_', '-')}")
        call = stubs.cascades.PlanCascade
        request = pb.PlanCascadeRequest(options=options)
        for nobody in ("nobody", "@00000000-0000-0000-0000-000000000000"):
            getattr(request.options, field)[:] = [nobody]
            assert refused(lambda: call(request)) == ("NOT_FOUND", "MODEL_NOT_FOUND")
        getattr(request.options, field).extend(["x"] * 100_000)
        assert refused(lambda: call(request))[1] in {"INVALID_CASCADE", "LIMIT_EXCEEDED"}


class TestCreationRecords:
    def test_a_record_comes_back_and_lists_leave_out_its_source(self, stubs: Stubs) -> None:
        model = create(stubs, "recorded/m")
        assert model.creation == creation()
        assert get(stubs, "recorded/m") == model
        listed = stubs.lineage.ListVersions(lineage_pb2.ListVersionsRequest(name="recorded/m")).models
        assert [each.creation for each in listed] == [creation(source="")]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"entry_point": "makers"},
            {"code_digest": b"short"},
            {"source": "x" * (257 << 10)},
            {"seed": -1},
            {"group": NOBODY},
            {"environment": {"python": "x" * (17 << 10)}},
        ],
    )
    def test_what_is_no_record_is_refused(self, stubs: Stubs, wrong: dict[str, Any]) -> None:
        header = parameters_pb2.ModelHeader(name="wrong/m", creation=creation(**wrong))
        assert refused(lambda: upload(stubs, header, {"weight": WEIGHTS})) == (
            "INVALID_ARGUMENT",
            "INVALID_CREATION",
        )
