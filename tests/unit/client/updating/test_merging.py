"""A step that is a merge, against a service that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from tests.unit.client.updating.updates import summary, target
from typing_extensions import override

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.errors import ConflictError, ErrorReason, FailedPreconditionError, NotFoundError, UnavailableError
from mgit.merging.judging import accepts, tell_refusal
from mgit.updating.merging import StepMerging, is_hopeless, is_merge_step, judge_merge
from mgit_core.cascade.values import StepLease
from mgit_core.errors import MGitError
from mgit_core.ports.cascades import StepReport
from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import compare_pb2_grpc, merge_pb2, types_pb2

LEASE = StepLease(cascade_id="0192", step=3, attempt=2)
WAIT_S = 30.0


class Service(compare_pb2_grpc.CompareServiceServicer):
    """Ends a merge as it is told.

    Attributes:
        outcome: How.
        conflicts: What it names.
        is_slow: Whether it waits until the call is ended.
        asked: Requests.
        has_begun: Set when the first message is on its way.
    """

    def __init__(self) -> None:
        self.outcome: merge_pb2.MergeOutcome.ValueType = merge_pb2.MERGE_OUTCOME_MERGED
        self.conflicts: list[str] = []
        self.is_slow = False
        self.asked: list[merge_pb2.MergeModelsRequest] = []
        self.has_begun = threading.Event()

    @override
    def MergeModels(
        self, request: merge_pb2.MergeModelsRequest, context: grpc.ServicerContext
    ) -> Iterator[merge_pb2.MergeModelsResponse]:
        self.asked.append(request)
        ended = threading.Event()
        context.add_callback(ended.set)
        sides = merge_pb2.MergeSummary(base=summary("base"), ours=summary("a"), theirs=summary("b"))
        yield merge_pb2.MergeModelsResponse(summary=sides)
        self.has_begun.set()
        if self.is_slow:
            ended.wait(WAIT_S)
            return
        for name in self.conflicts:
            yield merge_pb2.MergeModelsResponse(conflicts=[merge_pb2.MergeConflict(names=[name])])
        yield merge_pb2.MergeModelsResponse(outcome=self.outcome)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def merging(service: Service) -> Iterator[StepMerging]:
    server = grpc.server(ThreadPoolExecutor(2))
    compare_pb2_grpc.add_CompareServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}"))
    yield StepMerging(connection, LEASE, target("merged"))
    connection.close()
    server.stop(0).wait()


def test_the_service_is_told_the_step_and_nothing_else(merging: StepMerging, service: Service) -> None:
    assert merging.merge() is False
    [request] = service.asked
    step = request.step
    assert (step.cascade_id, step.step, step.attempt, step.target_uid) == ("0192", 3, 2, "new-merged")
    assert request == merge_pb2.MergeModelsRequest(step=step)


def test_changes_that_may_spoil_each_other_need_tests(merging: StepMerging, service: Service) -> None:
    service.outcome = merge_pb2.MERGE_OUTCOME_STAGED
    assert merging.merge() is True


def test_of_many_conflicts_the_first_ten_are_named(merging: StepMerging, service: Service) -> None:
    service.outcome = merge_pb2.MERGE_OUTCOME_CONFLICTED
    service.conflicts = [f"layer.{number}" for number in range(12)]
    with pytest.raises(FailedPreconditionError) as caught:
        merging.merge()
    assert caught.value.reason is ErrorReason.CREATION_FAILED
    message = caught.value.message
    assert "both sides changed 12 of its parameters or files differently" in message
    assert "layer.8, layer.9 and 2 more." in message
    assert "layer.10" not in message
    assert "'--skip merged@1'" in message
    assert "mgit update cancel 0192" in message


def test_what_waits_is_ended_from_another_thread(merging: StepMerging, service: Service) -> None:
    """As when the lease is lost; the next try says so without asking."""
    service.is_slow = True
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(merging.merge)
        assert service.has_begun.wait(WAIT_S)
        merging.cancel()
        with pytest.raises(UnavailableError):
            waiting.result(WAIT_S)
    merging.cancel()
    with pytest.raises(ConflictError) as caught:
        merging.merge()
    assert caught.value.reason is ErrorReason.STEP_LEASE_LOST
    assert len(service.asked) == 1


def test_a_step_is_a_merge_by_its_record() -> None:
    made = target("merged")
    assert not is_merge_step(pb.CascadeStep(targets=[made]))
    assert not is_merge_step(pb.CascadeStep())
    made.creation.CopyFrom(types_pb2.CreationRecord(entry_point="mgit/service:merge"))
    assert is_merge_step(pb.CascadeStep(targets=[made]))


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (FailedPreconditionError(ErrorReason.MODELS_UNLIKE, "no"), True),
        (NotFoundError(ErrorReason.MODEL_NOT_FOUND, "no"), True),
        (UnavailableError(ErrorReason.SERVICE_UNAVAILABLE, "away"), False),
        (ConflictError(ErrorReason.STEP_LEASE_LOST, "late"), False),
    ],
)
def test_what_is_refused_for_what_is_there_is_not_tried_again(error: MGitError, *, is_so: bool) -> None:
    assert is_hopeless(error) is is_so


def run(name: str, outcome: str) -> Any:
    return SimpleNamespace(
        test=SimpleNamespace(name=name), outcome=outcome, is_bad=outcome in {"failed", "error"}
    )


@pytest.mark.parametrize(
    ("outcomes", "is_accepted"),
    [
        ([], False),
        (["skipped"], False),
        (["passed"], True),
        (["passed", "skipped"], True),
        (["passed", "failed"], False),
        (["passed", "error"], False),
    ],
)
def test_one_test_has_to_pass_and_none_may_fail(outcomes: list[str], *, is_accepted: bool) -> None:
    runs = [run(f"t{at}", outcome) for at, outcome in enumerate(outcomes)]
    report = StepReport(failed_tests=("t1",))
    assert accepts(runs) is is_accepted
    judged = judge_merge(LEASE, runs, report)
    if is_accepted:
        assert judged is report
    else:
        assert (judged.is_final, judged.failed_tests) == (True, ("t1",))
        assert "mgit update resume 0192" in judged.error


def test_a_refusal_says_which_tests_or_that_there_is_none() -> None:
    assert tell_refusal([]).startswith("no registered test judges it")
    many = [run(f"t{at:02}", "failed") for at in range(12)]
    told = tell_refusal([*many, run("good", "passed")])
    assert told.startswith("12 of 13 tests did not pass: t00, t01")
    assert told.endswith("t09 and 2 more")
