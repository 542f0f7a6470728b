"""What goes along with models, from one service to another: there and back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf import timestamp_pb2
from tests.exchange_calls import export_records, import_records, transfer
from tests.parameter_calls import (
    ALGORITHM,
    Service,
    add,
    local_model,
    random_array,
    refusal,
    serving_here,
)
from tests.uploads import link

from mgit_proto.v1 import audit_pb2, lineage_pb2, model_tests_pb2, types_pb2
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_storage.store import memory_store

NOBODY = "00000000-0000-4000-8000-00000000000e"


@pytest.fixture(scope="module")
def source() -> Iterator[Service]:
    """A base and a child, with a test, results, a tag and a bug that is fixed in the child."""
    with serving_here(memory_store(ALGORITHM)) as running:
        for name, seed, parents in (("base", 1, ()), ("child", 2, ("base",))):
            add(
                running,
                local_model(name, {"x": random_array((8, 4), seed)}, parents=list(map(link, parents))),
            )
        test = model_tests_pb2.ModelTest(
            name="accuracy",
            model="child",
            kind=model_tests_pb2.TEST_KIND_ENTRY_POINT,
            code="checks:accuracy",
            metric="accuracy",
            threshold=0.5,
            arguments={"k": types_pb2.MetadataValue(integer=1)},
        )
        registered = running.model_tests.RegisterTest(model_tests_pb2.RegisterTestRequest(test=test)).test
        child = _get(running, "child")
        result = model_tests_pb2.TestResult(
            test_uid=registered.uid,
            model=types_pb2.ModelSummary(uid=child.summary.uid),
            value=0.75,
            parameters_digest=child.parameters_digest,
            run_at=_moment(5),
        )
        running.model_tests.RecordResults(model_tests_pb2.RecordResultsRequest(results=[result]))
        running.lineage.PutTag(lineage_pb2.PutTagRequest(model="child", tag="best"))
        bug = audit_pb2.Bug(title="noise", affects=[audit_pb2.BugSubject(model="base")])
        reported = running.audit.ReportBug(audit_pb2.ReportBugRequest(bug=bug)).bug
        running.audit.FixBug(audit_pb2.FixBugRequest(id=reported.id, model="child"))
        yield running


@pytest.fixture
def destination() -> Iterator[Service]:
    with serving_here(memory_store(ALGORITHM)) as running:
        yield running


def _moment(seconds: int) -> timestamp_pb2.Timestamp:
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(datetime(2026, 1, 1, 0, 0, seconds, 1, tzinfo=UTC))
    return message


def _get(service: Service, reference: str) -> types_pb2.Model:
    return service.lineage.GetModel(lineage_pb2.GetModelRequest(model=reference)).model


def _uids(service: Service) -> list[str]:
    return [_get(service, name).summary.uid for name in ("base", "child")]


def _joined(parts: list[pb.Records]) -> pb.Records:
    whole = pb.Records()
    for part in parts:
        whole.MergeFrom(part)
    return whole


def test_records_are_the_same_on_both_sides(source: Service, destination: Service) -> None:
    uids = _uids(source)
    transfer(source, destination, *uids)
    there, here = _joined(export_records(source, *uids)), _joined(export_records(destination, *uids))
    assert here == there
    assert (len(here.edges), len(here.tests), len(here.results), len(here.bugs)) == (1, 1, 1, 1)
    assert here.tests[0].model == f"@{uids[1]}"
    assert here.bugs[0].affects[0].model == f"@{uids[0]}"
    assert (here.results[0].uid[:8], len(here.results[0].measurement)) == (there.results[0].uid[:8], 32)
    answer = import_records(destination, export_records(source, *uids))
    assert answer == pb.ImportRecordsResponse(), "a second time nothing changes"


def test_records_of_some_models_have_edges_among_them_only(source: Service) -> None:
    base, child = _uids(source)
    found = _joined(export_records(source, child))
    assert (len(found.edges), [tag.tag for tag in found.tags]) == (0, ["best"])
    assert [len(part.edges) for part in export_records(source, child, base)] == [1]


def test_what_changed_is_counted(source: Service, destination: Service) -> None:
    uids = _uids(source)
    transfer(source, destination, *uids)
    destination.lineage.UnlinkModels(
        lineage_pb2.UnlinkModelsRequest(child=f"@{uids[1]}", parent=f"@{uids[0]}")
    )
    destination.lineage.DeleteTag(lineage_pb2.DeleteTagRequest(name="child", tag="best"))
    answer = import_records(destination, export_records(source, *uids), request_id="r")
    assert answer == pb.ImportRecordsResponse(edges=1, tags=1)
    assert import_records(destination, export_records(source, *uids), request_id="r") == answer
    with pytest.raises(grpc.RpcError) as error:
        import_records(destination, export_records(source, uids[0]), request_id="r")
    assert refusal(error.value).reason == "REQUEST_ID_REUSED"


def test_tags_that_diverged_are_listed_unless_forced(source: Service, destination: Service) -> None:
    uids = _uids(source)
    transfer(source, destination, *uids)
    add(destination, local_model("child", {"x": random_array((8, 4), 3)}))
    destination.lineage.PutTag(lineage_pb2.PutTagRequest(model="child@2", tag="best", force=True))
    with pytest.raises(grpc.RpcError) as error:
        import_records(destination, export_records(source, *uids))
    found = refusal(error.value)
    assert (found.code, found.reason, found.details["tags"]) == (
        grpc.StatusCode.ABORTED,
        "TAG_MOVED",
        "child:best",
    )
    assert import_records(destination, export_records(source, *uids), force_tags=True).tags == 1
    assert _get(destination, "child@1").tags == ["best"]


def _valid(kind: str) -> pb.Records:
    summary = types_pb2.ModelSummary(
        uid=NOBODY, name="m", version=1, state=types_pb2.MODEL_STATE_PRESENT, created_at=_moment(1)
    )
    test = model_tests_pb2.ModelTest(
        uid=NOBODY, name="t", kind=model_tests_pb2.TEST_KIND_ENTRY_POINT, code="a:b", metric="x", timeout_s=1
    )
    result = model_tests_pb2.TestResult(
        uid=NOBODY,
        test_uid=NOBODY,
        model=summary,
        value=0.5,
        parameters_digest=b"p" * 32,
        run_at=_moment(1),
        measurement=b"m" * 32,
    )
    bug = audit_pb2.Bug(
        id=NOBODY,
        title="b",
        state=audit_pb2.BUG_STATE_OPEN,
        affects=[audit_pb2.BugSubject(model=f"@{NOBODY}")],
        created_at=_moment(1),
        updated_at=_moment(1),
    )
    edge = types_pb2.ProvenanceEdge(child_uid=NOBODY, parent_uid=NOBODY, created_at=_moment(1))
    revision = types_pb2.RevisionEdge(newer_uid=NOBODY, older_uid=NOBODY)
    return {
        "tests": pb.Records(tests=[test]),
        "results": pb.Records(results=[result]),
        "bugs": pb.Records(bugs=[bug]),
        "edges": pb.Records(edges=[edge]),
        "revisions": pb.Records(revisions=[revision]),
        "tags": pb.Records(tags=[lineage_pb2.Tag(model_name="m", tag="t", model=summary)]),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "field", "value", "reason"),
    [
        ("tests", "uid", "?", "INVALID_REFERENCE"),
        ("tests", "kind", 0, "INVALID_TEST"),
        ("tests", "name", "a//b", "INVALID_NAME"),
        ("tests", "model", "m@1", "INVALID_REFERENCE"),
        ("results", "uid", "?", "INVALID_REFERENCE"),
        ("results", "measurement", b"short", "INVALID_TEST"),
        ("results", "value", float("inf"), "INVALID_TEST"),
        ("bugs", "id", "?", "INVALID_REFERENCE"),
        ("bugs", "state", 0, "INVALID_BUG"),
        ("bugs", "title", "", "INVALID_BUG"),
        ("edges", "position", -1, "INVALID_ARGUMENT"),
        ("revisions", "older_uid", "?", "INVALID_REFERENCE"),
        ("tags", "tag", "1", "INVALID_NAME"),
    ],
)
def test_records_that_cannot_be_are_refused(
    destination: Service, kind: str, field: str, value: object, reason: str
) -> None:
    records = _valid(kind)
    assert import_records(destination, [records]) is not None
    setattr(getattr(records, kind)[0], field, value)
    with pytest.raises(grpc.RpcError) as error:
        import_records(destination, [records])
    assert refusal(error.value).reason == reason


def test_limits_and_the_first_message_are_checked(destination: Service) -> None:
    many = pb.Records(revisions=[types_pb2.RevisionEdge(newer_uid=NOBODY, older_uid=NOBODY)] * 10_001)
    with pytest.raises(grpc.RpcError) as error:
        import_records(destination, [many, many])
    assert refusal(error.value).reason == "LIMIT_EXCEEDED"
    for remote in ("", "a/b", "x" * 101):
        with pytest.raises(grpc.RpcError) as error:
            destination.exchange.ImportRecords(iter([pb.ImportRecordsRequest(remote=remote)]))
        assert refusal(error.value).reason == "INVALID_NAME"
    with pytest.raises(grpc.RpcError) as error:
        destination.exchange.ImportRecords(iter(()))
    assert refusal(error.value).reason == "MESSAGE_OUT_OF_ORDER"
    with pytest.raises(grpc.RpcError) as error:
        export_records(destination, NOBODY)
    assert refusal(error.value).reason == "MODEL_NOT_FOUND"
    with pytest.raises(grpc.RpcError) as error:
        export_records(destination, *(f"00000000-0000-4000-8000-{number:012}" for number in range(10_001)))
    assert refusal(error.value).reason == "LIMIT_EXCEEDED"
