"""ModelTestService through generated stubs, on the real service and the real Neo4j."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import timestamp_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.running_service import Stubs
from tests.uploads import add, upload

from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2
from mgit_proto.v1 import model_tests_pb2 as pb

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

NOBODY = "01890000-0000-7000-8000-000000000000"
PASSED, FAILED = pb.TEST_OUTCOME_PASSED, pb.TEST_OUTCOME_FAILED
EXISTS = ("ALREADY_EXISTS", "TEST_EXISTS")
NO_TEST, NO_MODEL = ("NOT_FOUND", "TEST_NOT_FOUND"), ("NOT_FOUND", "MODEL_NOT_FOUND")
REMOVED = ("FAILED_PRECONDITION", "MODEL_REMOVED")


def invalid(reason: str) -> tuple[str, str]:
    return "INVALID_ARGUMENT", reason


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and reason of a call that ends with an error."""
    with pytest.raises(grpc.RpcError) as caught:
        _exhaust(call())
    status = rpc_status.from_call(caught.value)
    assert status is not None, caught.value
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.domain == "mgit"
    return caught.value.code().name, info.reason


def _exhaust(answer: Any) -> None:
    if hasattr(answer, "__next__"):
        list(answer)


def draft(name: str, /, **changed: Any) -> pb.ModelTest:
    """A test of a type that no model has, unless ``changed`` says otherwise: it does not disturb the others."""
    fields = {
        "kind": pb.TEST_KIND_ENTRY_POINT,
        "code": "checks:accuracy",
        "metric": "accuracy",
        "threshold": 0.5,
    }
    scope = {} if {"model", "type"} & changed.keys() else {"type": "nobodys"}
    return pb.ModelTest(**{"name": name, **fields, **scope, **changed})


def register(
    stubs: Stubs, name: str, *, request_id: str = "", replace: bool = False, **changed: Any
) -> pb.ModelTest:
    request = pb.RegisterTestRequest(test=draft(name, **changed), replace=replace, request_id=request_id)
    return stubs.model_tests.RegisterTest(request).test


def result_of(
    test: pb.ModelTest, model: types_pb2.Model, value: float | None, /, **changed: Any
) -> pb.TestResult:
    fields: dict[str, Any] = {
        "test_uid": test.uid,
        "model": types_pb2.ModelSummary(uid=model.summary.uid),
        "value": value,
        "seconds": 0.5,
        "code_digest": test.code_digest,
        "inputs_digest": test.inputs_digest,
        "parameters_digest": model.parameters_digest,
    }
    return pb.TestResult(**{**fields, **changed})


def record(stubs: Stubs, *results: pb.TestResult, request_id: str = "") -> list[pb.TestResult]:
    request = pb.RecordResultsRequest(results=results, request_id=request_id)
    return list(stubs.model_tests.RecordResults(request).results)


def key_of(result: pb.TestResult) -> pb.ResultKey:
    return pb.ResultKey(
        test_uid=result.test_uid,
        code_digest=result.code_digest,
        inputs_digest=result.inputs_digest,
        parameters_digest=result.parameters_digest,
    )


def find(stubs: Stubs, *keys: pb.ResultKey) -> list[pb.TestResult]:
    return list(stubs.model_tests.FindResults(pb.FindResultsRequest(keys=keys)).results)


def parts(call: Callable[[str], Any]) -> Iterator[Any]:
    """Answers of a list, part by part."""
    token = ""
    for _ in range(50):
        answer = call(token)
        yield answer
        token = answer.next_page_token
        if not token:
            return
    raise AssertionError("the list does not end")


def listed(stubs: Stubs, **question: Any) -> list[pb.TestResult]:
    def call(token: str) -> pb.ListResultsResponse:
        return stubs.model_tests.ListResults(pb.ListResultsRequest(**question, page_token=token))

    return [result for answer in parts(call) for result in answer.results]


def applicable(stubs: Stubs, *models: str, pattern: str = "") -> dict[str, list[str]]:
    """Names of tests by model, from all messages of the stream."""
    request = pb.ListApplicableTestsRequest(models=models, pattern=pattern)
    names: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for answer in stubs.model_tests.ListApplicableTests(request):
        names |= {test.uid: test.name for test in answer.tests}
        for each in answer.models:
            found[f"{each.model.name}@{each.model.version}"] = [names[uid] for uid in each.test_uids]
    return found


def remove_model(stubs: Stubs, model: types_pb2.Model) -> None:
    stubs.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model=f"@{model.summary.uid}"))


def add_typed(stubs: Stubs, name: str, type_name: str) -> types_pb2.Model:
    header = parameters_pb2.ModelHeader(name=name, type=type_name)
    return upload(stubs, header, {"weight": np.frombuffer(name.encode().ljust(64), np.float32)}).model


class TestDefinitions:
    def test_a_test_is_registered_found_and_removed(self, stubs: Stubs) -> None:
        add(stubs, "d/model")
        wanted = draft(
            "d/Whole",
            model="d/model",
            code_digest=b"c" * 32,
            arguments={"k": types_pb2.MetadataValue(integer=5)},
            dataset=types_pb2.Dataset(name="glue", version="1"),
            inputs_uri="inputs.json",
            inputs_digest=b"i" * 32,
            direction=pb.METRIC_DIRECTION_LOWER,
            tolerance=0.25,
            timeout_s=2.5,
        )
        made = stubs.model_tests.RegisterTest(pb.RegisterTestRequest(test=wanted)).test
        assert made.uid
        assert made.created_at == made.updated_at
        plain = pb.ModelTest()
        plain.CopyFrom(made)
        for chosen in ("uid", "created_at", "updated_at"):
            plain.ClearField(chosen)
        wanted.model = "d/model@1"
        assert plain == wanted
        for name in ("d/whole", f"@{made.uid}"):
            assert stubs.model_tests.GetTest(pb.GetTestRequest(test=name)).test == made
        assert stubs.model_tests.RemoveTest(pb.RemoveTestRequest(test="D/WHOLE")).test == made
        assert refused(lambda: stubs.model_tests.GetTest(pb.GetTestRequest(test="d/whole"))) == NO_TEST
        assert stubs.model_tests.GetTest(pb.GetTestRequest(test=f"@{made.uid}")).test.is_removed

    def test_a_name_is_taken_until_it_is_given_back(self, stubs: Stubs) -> None:
        first = register(stubs, "d/taken")
        assert refused(lambda: register(stubs, "D/TAKEN")) == EXISTS
        replaced = register(stubs, "D/Taken", replace=True, threshold=0.75)
        assert (replaced.uid, replaced.name, replaced.threshold) == (first.uid, "D/Taken", 0.75)
        assert replaced.created_at == first.created_at
        stubs.model_tests.RemoveTest(pb.RemoveTestRequest(test="d/taken"))
        assert register(stubs, "d/taken").uid != first.uid

    def test_of_two_clients_that_register_one_name_one_wins(self, stubs: Stubs) -> None:
        def attempt(number: int) -> str:
            try:
                return register(stubs, "d/race", threshold=number).uid
            except grpc.RpcError as error:
                return error.code().name

        with ThreadPoolExecutor(4) as threads:
            answers = sorted(threads.map(attempt, range(4)))
        assert answers[1:] == ["ALREADY_EXISTS"] * 3
        assert stubs.model_tests.GetTest(pb.GetTestRequest(test="d/race")).test.uid == answers[0]

    def test_a_repeated_registration_is_done_once(self, stubs: Stubs) -> None:
        first = register(stubs, "d/once", request_id="once")
        assert register(stubs, "d/once", request_id="once") == first
        reused = ("ABORTED", "REQUEST_ID_REUSED")
        assert refused(lambda: register(stubs, "d/other", request_id="once")) == reused
        remove = pb.RemoveTestRequest(test="d/once", request_id="gone")
        assert stubs.model_tests.RemoveTest(remove).test == first
        assert stubs.model_tests.RemoveTest(remove).test == first

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"name": "no name"}, invalid("INVALID_NAME")),
            ({"name": ""}, invalid("INVALID_NAME")),
            ({"kind": 0}, invalid("INVALID_TEST")),
            ({"code": "no function"}, invalid("INVALID_TEST")),
            ({"metric": ""}, invalid("INVALID_TEST")),
            ({"threshold": float("nan")}, invalid("INVALID_TEST")),
            ({"timeout_s": -1.0}, invalid("INVALID_TEST")),
            ({"code_digest": b"short"}, invalid("INVALID_TEST")),
            ({"model": ""}, invalid("INVALID_TEST")),
            ({"type": ""}, invalid("INVALID_TEST")),
            ({"type": "a/b"}, invalid("INVALID_NAME")),
            ({"model": "d/none"}, NO_MODEL),
            ({"model": f"@{NOBODY}"}, NO_MODEL),
            ({"model": "a b"}, invalid("INVALID_NAME")),
        ],
    )
    def test_a_bad_test_is_refused(
        self, stubs: Stubs, changed: dict[str, Any], error: tuple[str, str]
    ) -> None:
        test = draft("d/bad", **changed)
        assert refused(lambda: stubs.model_tests.RegisterTest(pb.RegisterTestRequest(test=test))) == error

    def test_tests_come_in_parts_by_name(self, stubs: Stubs) -> None:
        for name in ("l/b", "L/c", "l/A"):
            register(stubs, name)

        def call(token: str) -> pb.ListTestsResponse:
            return stubs.model_tests.ListTests(pb.ListTestsRequest(page_size=2, page_token=token))

        names = [test.name for answer in parts(call) for test in answer.tests]
        assert [name for name in names if name.lower().startswith("l/")] == ["l/A", "l/b", "L/c"]
        assert names == sorted(names, key=str.lower)

    def test_a_part_stays_below_a_message_whatever_its_tests_hold(self, stubs: Stubs) -> None:
        text = types_pb2.MetadataValue(text="x" * 60_000)
        for number in range(12):
            register(stubs, f"big/{number:02}", arguments={"text": text})
        answers = list(
            parts(
                lambda token: stubs.model_tests.ListTests(
                    pb.ListTestsRequest(page_size=1000, page_token=token)
                )
            )
        )
        names = [test.name for answer in answers for test in answer.tests]
        assert [name for name in names if name.startswith("big/")] == [f"big/{at:02}" for at in range(12)]
        assert all(answer.ByteSize() < 1 << 20 for answer in answers)
        for number in range(12):
            stubs.model_tests.RemoveTest(pb.RemoveTestRequest(test=f"big/{number:02}"))

    def test_a_page_token_of_another_list_is_refused(self, stubs: Stubs) -> None:
        for name in ("l/x", "l/y"):
            register(stubs, name)
        token = stubs.model_tests.ListTests(pb.ListTestsRequest(page_size=1)).next_page_token
        assert token
        call = lambda: stubs.model_tests.ListResults(pb.ListResultsRequest(page_token=token))  # noqa: E731
        assert refused(call) == invalid("INVALID_PAGE_TOKEN")


class TestApplicability:
    def test_the_tests_of_a_model_are_its_own_its_types_and_those_of_all(self, stubs: Stubs) -> None:
        register(stubs, "a/type", type="a-type")
        typed = add_typed(stubs, "a/typed", "a-type")
        bare = add(stubs, "a/bare")
        register(stubs, "a/own", model=f"@{bare.summary.uid}")
        everyones = pb.ModelTest(name="a/all", kind=pb.TEST_KIND_BUILTIN, code="finite", metric="finite")
        stubs.model_tests.RegisterTest(pb.RegisterTestRequest(test=everyones))
        models = [f"@{typed.summary.uid}", "a/bare"]
        assert applicable(stubs, *models) == {
            "a/typed@1": ["a/all", "a/type"],
            "a/bare@1": ["a/all", "a/own"],
        }
        assert applicable(stubs, *models, pattern="A/[ot]*") == {
            "a/typed@1": ["a/type"],
            "a/bare@1": ["a/own"],
        }
        remove_model(stubs, bare)
        assert list(applicable(stubs, "a/typed", f"@{bare.summary.uid}")) == ["a/typed@1"]
        stubs.model_tests.RemoveTest(pb.RemoveTestRequest(test="a/all"))
        assert applicable(stubs, "a/typed") == {"a/typed@1": ["a/type"]}

    def test_a_model_tells_the_parameters_that_a_result_is_on(self, stubs: Stubs) -> None:
        model = add(stubs, "a/digest")
        [answer] = stubs.model_tests.ListApplicableTests(pb.ListApplicableTestsRequest(models=["a/digest"]))
        assert [each.parameters_digest for each in answer.models] == [model.parameters_digest]

    @pytest.mark.parametrize(
        ("models", "error"),
        [
            (["a/none"], NO_MODEL),
            ([f"@{NOBODY}"], NO_MODEL),
            (["a b"], invalid("INVALID_NAME")),
            (["a/none"] * 10_001, invalid("INVALID_ARGUMENT")),
        ],
    )
    def test_models_that_are_not_there_have_no_tests(
        self, stubs: Stubs, models: list[str], error: tuple[str, str]
    ) -> None:
        request = pb.ListApplicableTestsRequest(models=models)
        assert refused(lambda: stubs.model_tests.ListApplicableTests(request)) == error


class TestResults:
    def test_a_value_is_judged_found_again_and_judged_anew(self, stubs: Stubs) -> None:
        model, test = add(stubs, "r/judged"), register(stubs, "r/judged")
        [made] = record(stubs, result_of(test, model, 0.75, outcome=FAILED, test_name="mine"))
        assert (made.outcome, made.test_name, made.model) == (PASSED, "r/judged", model.summary)
        assert made.run_at.seconds > 0
        assert find(stubs, key_of(made)) == [made]
        register(stubs, "r/judged", replace=True, threshold=0.9)
        assert find(stubs, key_of(made))[0].outcome == FAILED
        assert listed(stubs, test="r/judged")[0].outcome == FAILED
        register(stubs, "r/judged", replace=True, code="checks:other")
        assert find(stubs, key_of(made)) == []

    def test_results_are_listed_by_test_and_by_model_newest_first(self, stubs: Stubs) -> None:
        models = [add(stubs, f"r/m{at}") for at in range(2)]
        tests = [register(stubs, f"r/t{at}") for at in range(2)]
        moments = [timestamp_pb2.Timestamp(seconds=1_700_000_000 + at) for at in (2, 0, 3, 1)]
        pairs = [(test, model) for test in tests for model in models]
        given = [
            result_of(test, model, 1.0, run_at=moment)
            for (test, model), moment in zip(pairs, moments, strict=True)
        ]
        made = record(stubs, *given)
        newest_first = sorted(made, key=lambda result: -result.run_at.seconds)
        assert [each for each in listed(stubs, page_size=3) if each in made] == newest_first
        for of_test in ("", "r/t0", f"@{tests[1].uid}"):
            for of_model in ("", "r/m0", f"@{models[1].summary.uid}"):
                wanted = [
                    result
                    for result in newest_first
                    if of_test in ("", result.test_name, f"@{result.test_uid}")
                    and of_model in ("", result.model.name, f"@{result.model.uid}")
                ]
                found = listed(stubs, test=of_test, model=of_model, page_size=1)
                assert [each for each in found if each in made] == wanted

    def test_an_error_is_cut_and_never_reused(self, stubs: Stubs) -> None:
        model, test = add(stubs, "r/error"), register(stubs, "r/error")
        [made] = record(stubs, result_of(test, model, None, error="no " * 100_000))
        assert made.outcome == pb.TEST_OUTCOME_ERROR
        assert not made.HasField("value")
        assert (len(made.error), made.error[-5:]) == (4_000, "(cut)")
        assert find(stubs, key_of(made)) == []

    def test_a_thousand_long_errors_come_in_parts(self, stubs: Stubs) -> None:
        model, test = add(stubs, "r/errors"), register(stubs, "r/errors")
        for start in range(0, 1_000, 200):
            record(stubs, *(result_of(test, model, None, error=f"{start + at} " * 800) for at in range(200)))
        answers = list(
            parts(
                lambda token: stubs.model_tests.ListResults(
                    pb.ListResultsRequest(test="r/errors", page_size=1000, page_token=token)
                )
            )
        )
        assert len({result.error for answer in answers for result in answer.results}) == 1_000
        assert sum(len(answer.results) for answer in answers) == 1_000
        assert all(answer.ByteSize() < 1 << 20 for answer in answers)

    def test_a_repeated_record_is_done_once(self, stubs: Stubs) -> None:
        model, test = add(stubs, "r/once"), register(stubs, "r/once")
        result = result_of(test, model, 1.0)
        first = record(stubs, result, request_id="record-once")
        remove_model(stubs, model)
        assert record(stubs, result, request_id="record-once") == first
        assert len(listed(stubs, test="r/once")) == 1

    def test_a_model_with_results_stays_as_a_tombstone(self, stubs: Stubs) -> None:
        model, test = add(stubs, "r/tomb"), register(stubs, "r/tomb")
        [made] = record(stubs, result_of(test, model, 1.0))
        remove_model(stubs, model)
        [left] = listed(stubs, model=f"@{model.summary.uid}")
        assert (left.value, left.model.state) == (1.0, types_pb2.MODEL_STATE_REMOVED)
        assert refused(lambda: record(stubs, result_of(test, model, 1.0))) == REMOVED
        assert refused(lambda: register(stubs, "r/late", model="r/tomb@1")) == REMOVED
        assert find(stubs, key_of(made)) == [left]

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"value": float("nan")}, invalid("INVALID_TEST")),
            ({"value": float("-inf")}, invalid("INVALID_TEST")),
            ({"value": None}, invalid("INVALID_TEST")),
            ({"error": "beside a value"}, invalid("INVALID_TEST")),
            ({"is_truth": True}, invalid("INVALID_TEST")),
            ({"seconds": float("inf")}, invalid("INVALID_TEST")),
            ({"parameters_digest": b"p" * 32}, invalid("INVALID_TEST")),
            ({"parameters_digest": b""}, invalid("INVALID_TEST")),
            ({"code_digest": b"c" * 31}, invalid("INVALID_TEST")),
            ({"run_at": timestamp_pb2.Timestamp(seconds=2**60)}, invalid("INVALID_TEST")),
            ({"run_at": timestamp_pb2.Timestamp(seconds=-1)}, invalid("INVALID_TEST")),
            ({"test_uid": "r/bad"}, invalid("INVALID_REFERENCE")),
            ({"test_uid": NOBODY}, NO_TEST),
            ({"model": types_pb2.ModelSummary(name="r/bad")}, invalid("INVALID_REFERENCE")),
            ({"model": types_pb2.ModelSummary(uid=NOBODY)}, NO_MODEL),
        ],
    )
    def test_one_bad_result_keeps_all_out(
        self, stubs: Stubs, changed: dict[str, Any], error: tuple[str, str]
    ) -> None:
        model = add(stubs, "r/bad")
        test = register(stubs, "r/bad", replace=True)
        good = result_of(test, model, 0.5)
        bad = result_of(test, model, 0.5, **changed)
        assert refused(lambda: record(stubs, good, bad)) == error
        assert listed(stubs, test="r/bad") == []

    def test_limits_are_told(self, stubs: Stubs) -> None:
        model, test = add(stubs, "r/many"), register(stubs, "r/many")
        result = result_of(test, model, 1.0)
        assert refused(lambda: record(stubs, *[result] * 1_001)) == invalid("INVALID_ARGUMENT")
        assert refused(lambda: find(stubs, *[key_of(result)] * 1_001)) == invalid("INVALID_ARGUMENT")
        long = result_of(test, model, None, error="e" * (1 << 20))
        assert refused(lambda: record(stubs, long)) == ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
        assert len(record(stubs, *[result] * 1_000)) == 1_000
        assert len(find(stubs, *[key_of(result)] * 1_000)) == 1_000

    @pytest.mark.parametrize(
        ("question", "error"),
        [
            ({"test": "r/none"}, NO_TEST),
            ({"test": f"@{NOBODY}"}, NO_TEST),
            ({"test": "@x"}, invalid("INVALID_REFERENCE")),
            ({"model": "r/none"}, NO_MODEL),
            ({"page_token": "x"}, invalid("INVALID_PAGE_TOKEN")),
            ({"page_size": -1}, invalid("INVALID_ARGUMENT")),
        ],
    )
    def test_a_bad_question_is_refused(
        self, stubs: Stubs, question: dict[str, Any], error: tuple[str, str]
    ) -> None:
        request = pb.ListResultsRequest(**question)
        assert refused(lambda: stubs.model_tests.ListResults(request)) == error
