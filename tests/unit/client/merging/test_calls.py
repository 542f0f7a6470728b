"""``repo.merge`` against a service that answers in parts, goes away, or was overtaken."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from typing_extensions import override

import mgit
from mgit.errors import InvalidArgumentError
from mgit.merging import MergeOutcome
from mgit_proto.v1 import compare_pb2_grpc, merge_pb2, types_pb2

SUMMARY = merge_pb2.MergeSummary(
    base=types_pb2.ModelSummary(uid="b", name="base", version=1, state=types_pb2.MODEL_STATE_PRESENT),
    ours=types_pb2.ModelSummary(uid="o", name="ours", version=2, state=types_pb2.MODEL_STATE_PRESENT),
    theirs=types_pb2.ModelSummary(uid="t", name="theirs", version=3, state=types_pb2.MODEL_STATE_PRESENT),
    unchanged=4,
    conflicting=2,
    notes=["Say so."],
)


class Service(compare_pb2_grpc.CompareServiceServicer):
    """Answers with conflicts in two messages; before that it ends calls as ``failures`` say."""

    def __init__(self) -> None:
        self.requests: list[merge_pb2.MergeModelsRequest] = []
        self.failures: list[str] = []

    @override
    def MergeModels(
        self, request: merge_pb2.MergeModelsRequest, context: grpc.ServicerContext
    ) -> Iterator[merge_pb2.MergeModelsResponse]:
        self.requests.append(request)
        yield merge_pb2.MergeModelsResponse(summary=SUMMARY)
        yield merge_pb2.MergeModelsResponse(
            conflicts=[conflict("a"), conflict("b", merge_pb2.CONFLICT_CHOICE_TIES)]
        )
        if self.failures:
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ErrorInfo(reason=self.failures.pop(), domain="mgit"))
            status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="away", details=[detail])
            context.abort_with_status(rpc_status.to_status(status))
        possible = merge_pb2.PossibleConflict(
            ours="l", theirs="r", dependence=merge_pb2.DEPENDENCE_SHARED_LAYER, through="top"
        )
        yield merge_pb2.MergeModelsResponse(possible=[possible])
        yield merge_pb2.MergeModelsResponse(done_bytes=3, total_bytes=10)
        yield merge_pb2.MergeModelsResponse(done_bytes=10, total_bytes=10)
        yield merge_pb2.MergeModelsResponse(outcome=merge_pb2.MERGE_OUTCOME_CONFLICTED, stored_bytes=5)


def conflict(name: str, choice: int = 0) -> merge_pb2.MergeConflict:
    return merge_pb2.MergeConflict(
        names=[name],
        layers=["layer"],
        ours=merge_pb2.SIDE_CHANGE_CHANGED,
        theirs=merge_pb2.SIDE_CHANGE_DELETED,
        choices=[merge_pb2.CONFLICT_CHOICE_OURS, merge_pb2.CONFLICT_CHOICE_TASK_ARITHMETIC],
        choice=choice,  # type: ignore[arg-type]
        why="because",
    )


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def repo(service: Service) -> Iterator[mgit.Repository]:
    server = grpc.server(ThreadPoolExecutor(2))
    compare_pb2_grpc.add_CompareServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with mgit.connect(f"127.0.0.1:{port}") as opened:
        yield opened
    server.stop(None).wait()


def test_an_answer_in_parts_is_one_merge(repo: mgit.Repository, service: Service) -> None:
    told: list[tuple[int, int]] = []
    merge = repo.merge(
        "ours",
        "theirs@3",
        name="x",
        on_conflict="average",
        choices={"a*": "ours"},
        progress=lambda *at: told.append(at),
    )
    [request] = service.requests
    assert (request.ours, request.theirs, request.base) == ("ours", "theirs@3", "")
    assert request.on_conflict == merge_pb2.CONFLICT_CHOICE_AVERAGE
    assert [(each.pattern, each.choice) for each in request.choices] == [
        ("a*", merge_pb2.CONFLICT_CHOICE_OURS)
    ]
    assert merge.outcome is MergeOutcome.CONFLICTED
    assert not merge.is_made
    assert [each.names for each in merge.conflicts] == [("a",), ("b",)]
    assert [each.names for each in merge.unresolved] == [("a",)]
    assert (merge.conflicts[0].ours, merge.conflicts[0].theirs) == ("changed", "deleted")
    assert merge.conflicts[0].choices == ("ours", "task-arithmetic")
    assert merge.conflicts[1].choice == "ties"
    assert (merge.possible[0].dependence, merge.possible[0].through) == ("shared-layer", "top")
    assert (merge.counts["unchanged"], merge.notes, merge.stored_bytes) == (4, ("Say so.",), 5)
    assert told[-1] == (10, 10)
    assert repr(merge) == "<merge of ours@2 and theirs@3 conflicted: 1 unresolved>"


@pytest.mark.parametrize("reason", ["UPLOAD_STALE", "SERVICE_UNAVAILABLE"])
def test_a_merge_that_was_cut_off_is_asked_for_again(
    repo: mgit.Repository, service: Service, reason: str
) -> None:
    """By the same request id, and nothing of the first answer is told twice."""
    service.failures = [reason]
    merge = repo.merge("ours", "theirs", name="x")
    assert len(merge.conflicts) == 2
    first, second = service.requests
    assert first.request_id == second.request_id


@pytest.mark.parametrize("said", [{"on_conflict": "mine"}, {"choices": {"a": "both"}}])
def test_a_word_that_is_no_choice_is_refused_before_anything_is_sent(
    repo: mgit.Repository, service: Service, said: dict[str, object]
) -> None:
    with pytest.raises(InvalidArgumentError, match="one of fail, ours, theirs"):
        repo.merge("ours", "theirs", name="x", **said)  # type: ignore[arg-type]
    assert service.requests == []
