"""Results are recorded through faults of the service; what went away meanwhile is told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
import pytest
from tests.unit.client.faulty_service import abort

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.running import ModelTestRun
from mgit.running.recording import Recorder
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ModelState, ModelSummary
from mgit_core.model_tests import (
    ModelTest,
    ModelTestKind,
    ModelTestOutcome,
    ModelTestResult,
    ModelTestScope,
    ResultKey,
)
from mgit_proto.v1 import model_tests_pb2, model_tests_pb2_grpc

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TEST = ModelTest(
    uid="t",
    name="check",
    scope=ModelTestScope.ALL,
    kind=ModelTestKind.BUILTIN,
    code="finite",
    metric="m",
    created_at=NOW,
    updated_at=NOW,
)


class FaultyTests(model_tests_pb2_grpc.ModelTestServiceServicer):
    """Takes results; ends calls as it is told.

    Attributes:
        requests: Request ids and models of every call.
        outages: How many calls yet end as if the service were away.
        removed: Models that are removed.
        refuses: Whether every result is wrong.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, list[str]]] = []
        self.outages = 0
        self.removed: set[str] = set()
        self.refuses = False

    def RecordResults(self, request, context):  # noqa: N802 - gRPC's own
        models = [result.model.uid for result in request.results]
        self.requests.append((request.request_id, models))
        if self.outages:
            self.outages -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if self.refuses:
            abort(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_TEST")
        if self.removed & set(models):
            abort(context, grpc.StatusCode.FAILED_PRECONDITION, "MODEL_REMOVED")
        answer = model_tests_pb2.RecordResultsResponse(results=request.results)
        for result in answer.results:
            result.outcome = model_tests_pb2.TEST_OUTCOME_PASSED
            result.model.state = 1
            result.model.version = 1
        return answer


@pytest.fixture
def tests() -> FaultyTests:
    return FaultyTests()


@pytest.fixture
def recorder(tests: FaultyTests) -> Iterator[Recorder]:
    server = grpc.server(ThreadPoolExecutor(2))
    model_tests_pb2_grpc.add_ModelTestServiceServicer_to_server(tests, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}", timeout_s=20))
    yield Recorder(connection)
    connection.close()
    server.stop(None).wait()


def run_on(name: str, reason: ErrorReason | None = None) -> ModelTestRun:
    result = ModelTestResult(
        key=ResultKey(test_uid="t", code_digest=b"c", inputs_digest=b"", parameters_digest=b"p"),
        model_uid=name,
        value=1.0,
        is_truth=False,
        outcome=ModelTestOutcome.MEASURED,
        error="",
        run_at=NOW,
        seconds=0.5,
        model=ModelSummary(uid=name, name=name, version=1, state=ModelState.PRESENT, created_at=NOW),
    )
    return ModelTestRun(test=TEST, result=result, reason=reason)


def test_the_service_judges_what_is_recorded(recorder: Recorder, tests: FaultyTests) -> None:
    runs = list(recorder.record([run_on("a"), run_on("b")]))
    assert [run.outcome for run in runs] == [ModelTestOutcome.PASSED] * 2
    assert [run.model.ref for run in runs] == ["a@1", "b@1"]
    assert [models for _, models in tests.requests] == [["a", "b"]]


def test_what_did_not_run_is_not_recorded(recorder: Recorder, tests: FaultyTests) -> None:
    changed = run_on("a", ErrorReason.TEST_CODE_CHANGED)
    assert list(recorder.record([changed])) == [changed]
    assert tests.requests == []


@pytest.mark.slow
def test_a_service_that_is_away_is_waited_for_with_one_request_id(
    recorder: Recorder, tests: FaultyTests
) -> None:
    tests.outages = 6  # More than gRPC itself sends again.
    [run] = recorder.record([run_on("a")])
    assert run.outcome is ModelTestOutcome.PASSED
    assert len(tests.requests) == 7
    assert len({request_id for request_id, _ in tests.requests}) == 1


def test_a_model_that_went_away_takes_no_other_result_along(recorder: Recorder, tests: FaultyTests) -> None:
    tests.removed = {"b"}
    runs = {run.model.name: run for run in recorder.record([run_on("a"), run_on("b"), run_on("c")])}
    assert [runs[name].outcome for name in "ac"] == [ModelTestOutcome.PASSED] * 2
    gone = runs["b"]
    assert (gone.outcome, gone.reason) == (ModelTestOutcome.ERROR, ErrorReason.MODEL_REMOVED)
    assert (gone.result.value, gone.result.error.startswith("The result is not kept")) == (None, True)


def test_a_refusal_is_raised(recorder: Recorder, tests: FaultyTests) -> None:
    tests.refuses = True
    with pytest.raises(InvalidArgumentError):
        list(recorder.record([run_on("a")]))


def test_many_results_go_in_parts(recorder: Recorder, tests: FaultyTests) -> None:
    assert len(list(recorder.record([run_on(str(number)) for number in range(120)]))) == 120
    assert [len(models) for _, models in tests.requests] == [50, 50, 20]
