"""Bugs through generated stubs, on the real service and the real Neo4j."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.integration.service.test_lineage_calls import refused
from tests.running_service import Stubs
from tests.uploads import add, link, upload

from mgit_proto.v1 import audit_pb2 as pb
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

NOBODY = "01890000-0000-7000-8000-000000000000"
SHARED = np.arange(24, dtype=np.float32)


def report(stubs: Stubs, *subjects: pb.BugSubject, request_id: str = "", **fields: Any) -> pb.Bug:
    bug = pb.Bug(**{"title": "a bug", "affects": subjects, **fields})
    return stubs.audit.ReportBug(pb.ReportBugRequest(bug=bug, request_id=request_id)).bug


def of_model(reference: str) -> pb.BugSubject:
    return pb.BugSubject(model=reference)


def answers(stubs: Stubs, bug: pb.Bug, **question: Any) -> list[pb.ListAffectedResponse]:
    return list(stubs.audit.ListAffected(pb.ListAffectedRequest(id=bug.id, **question)))


def affected(stubs: Stubs, bug: pb.Bug, **question: Any) -> dict[str, pb.AffectedModel]:
    return {each.model.name: each for answer in answers(stubs, bug, **question) for each in answer.affected}


def count(stubs: Stubs, bug: pb.Bug, **question: Any) -> int:
    return stubs.audit.CountAffected(pb.CountAffectedRequest(id=bug.id, **question)).count


@pytest.fixture(scope="module")
def family(stubs: Stubs) -> dict[str, types_pb2.Model]:
    """A diamond: merged comes from a and b, both from base; a newer version of a; a twin that shares a tensor."""
    models = {"base": add(stubs, "f/base", tensors={"shared": SHARED, "own": SHARED + 1})}
    models["a"] = add(stubs, "f/a", [link("f/base")])
    models["b"] = add(stubs, "f/b", [link("f/base", "PRUNED")])
    models["merged"] = add(stubs, "f/merged", [link("f/a", "MERGED"), link("f/b", "MERGED")])
    models["a2"] = add(stubs, "f/a")
    models["twin"] = add(stubs, "f/twin", tensors={"other": SHARED})
    header = parameters_pb2.ModelHeader(
        name="f/trained", datasets=[types_pb2.Dataset(name="docs", version="2")]
    )
    models["trained"] = upload(stubs, header, {"w": SHARED + 2}).model
    return models


@pytest.mark.usefixtures("family")
class TestReports:
    def test_a_bug_is_told_as_it_was_reported(self, stubs: Stubs, family: dict[str, types_pb2.Model]) -> None:
        digest = stubs.parameters.GetManifest(parameters_pb2.GetManifestRequest(model="f/base"))
        tensor = next(part.digest for answer in digest for part in answer.parameters if part.name == "shared")
        dataset = types_pb2.Dataset(name="docs", version="2")
        told = report(
            stubs,
            pb.BugSubject(dataset=dataset),
            pb.BugSubject(tensor=tensor),
            of_model(f"@{family['a'].summary.uid}"),
            title=" NaN ",
            description="seen in half precision",
            severity=pb.BUG_SEVERITY_CRITICAL,
            carried_by=[types_pb2.RELATION_MERGED],
        )
        assert told == pb.Bug(
            id=told.id,
            title="NaN",
            description="seen in half precision",
            severity=pb.BUG_SEVERITY_CRITICAL,
            state=pb.BUG_STATE_OPEN,
            affects=[of_model("f/a@1"), pb.BugSubject(tensor=tensor), pb.BugSubject(dataset=dataset)],
            carried_by=[types_pb2.RELATION_MERGED],
            created_at=told.created_at,
            updated_at=told.created_at,
        )
        assert stubs.audit.GetBug(pb.GetBugRequest(id=told.id)).bug == told
        reasons = {name: each.reason for name, each in affected(stubs, told).items()}
        assert reasons == {
            "f/a": pb.AFFECTED_REASON_DIRECT,
            "f/base": pb.AFFECTED_REASON_TENSOR,
            "f/twin": pb.AFFECTED_REASON_TENSOR,
            "f/trained": pb.AFFECTED_REASON_DATASET,
            "f/merged": pb.AFFECTED_REASON_INHERITED,
        }

    def test_what_is_not_said_has_a_default(self, stubs: Stubs) -> None:
        bug = report(stubs, of_model("f/b"))
        assert (bug.severity, len(bug.carried_by)) == (pb.BUG_SEVERITY_MEDIUM, 9)

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"title": ""}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"title": "x" * 201}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"description": "x" * 70_000}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"description": "x" * 1_100_000}, ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")),
            ({"affects": []}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"affects": [pb.BugSubject()]}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"affects": [of_model("f/a")] * 1_001}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"affects": [pb.BugSubject(tensor=b"x")]}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"affects": [pb.BugSubject(tensor=bytes(32))]}, ("NOT_FOUND", "TENSOR_NOT_FOUND")),
            (
                {"affects": [pb.BugSubject(dataset=types_pb2.Dataset(name="no"))]},
                ("NOT_FOUND", "DATASET_NOT_FOUND"),
            ),
            ({"affects": [of_model("f/none")]}, ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ({"affects": [of_model("f/a@prod")]}, ("NOT_FOUND", "TAG_NOT_FOUND")),
            ({"severity": 9}, ("INVALID_ARGUMENT", "INVALID_BUG")),
            ({"carried_by": [0]}, ("INVALID_ARGUMENT", "INVALID_RELATION")),
            ({"carried_by": [77]}, ("INVALID_ARGUMENT", "INVALID_RELATION")),
        ],
    )
    def test_a_bad_report_says_what_is_bad(
        self, stubs: Stubs, fields: dict[str, Any], error: tuple[str, str]
    ) -> None:
        assert refused(lambda: report(stubs, of_model("f/a"), **fields)) == error

    def test_a_repeated_request_makes_one_bug(self, stubs: Stubs) -> None:
        first = report(stubs, of_model("f/a"), request_id="bug-1")
        assert report(stubs, of_model("f/a"), request_id="bug-1") == first
        code = refused(lambda: report(stubs, of_model("f/a"), title="other", request_id="bug-1"))
        assert code == ("ABORTED", "REQUEST_ID_REUSED")

    def test_bugs_come_in_pages_and_by_state_and_model(self, stubs: Stubs) -> None:
        add(stubs, "p/m")
        bugs = [report(stubs, of_model("p/m"), title=f"bug {number}") for number in range(3)]
        stubs.audit.CloseBug(pb.CloseBugRequest(id=bugs[1].id))
        titles, token = [], ""
        for _ in range(3):
            request = pb.ListBugsRequest(model="p/m", page_size=2, page_token=token)
            answer = stubs.audit.ListBugs(request)
            titles += [bug.title for bug in answer.bugs]
            token = answer.next_page_token
            if not token:
                break
        assert titles == ["bug 2", "bug 1", "bug 0"]
        closed = stubs.audit.ListBugs(pb.ListBugsRequest(model="p/m", state=pb.BUG_STATE_CLOSED)).bugs
        assert [bug.title for bug in closed] == ["bug 1"]
        other = pb.ListBugsRequest(model="f/a", page_token="AAAA")  # noqa: S106 - no secret
        assert refused(lambda: stubs.audit.ListBugs(other)) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
        unknown = pb.ListBugsRequest(state=9)  # type: ignore[arg-type]
        assert refused(lambda: stubs.audit.ListBugs(unknown)) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")

    def test_a_part_of_long_bugs_ends_early(self, stubs: Stubs) -> None:
        """An answer stays within a message, whatever the size of its part."""
        add(stubs, "long/m")
        for _ in range(20):
            report(stubs, of_model("long/m"), description="\u2603" * 60_000)
        found, token, parts = 0, "", 0
        while parts == 0 or token:
            request = pb.ListBugsRequest(model="long/m", page_size=1_000, page_token=token)
            answer = stubs.audit.ListBugs(request)
            assert answer.ByteSize() < 1 << 20
            found, token, parts = found + len(answer.bugs), answer.next_page_token, parts + 1
        assert found == 20
        assert parts > 3


@pytest.mark.usefixtures("family")
class TestFixes:
    def test_a_fix_and_a_state_are_told(self, stubs: Stubs) -> None:
        bug = report(stubs, of_model("f/base"))
        fixed = stubs.audit.FixBug(pb.FixBugRequest(id=bug.id[:13], model="f/b", request_id="fix-1")).bug
        assert [model.name for model in fixed.fixed_in] == ["f/b"]
        assert fixed.updated_at.ToDatetime() > bug.updated_at.ToDatetime()
        closed = stubs.audit.CloseBug(pb.CloseBugRequest(id=bug.id)).bug
        assert closed.state == pb.BUG_STATE_CLOSED
        again = stubs.audit.FixBug(pb.FixBugRequest(id=bug.id[:13], model="f/b", request_id="fix-1")).bug
        assert again == fixed, "the first answer"
        opened = stubs.audit.CloseBug(pb.CloseBugRequest(id=bug.id, reopen=True)).bug
        assert (opened.state, opened.fixed_in) == (pb.BUG_STATE_OPEN, fixed.fixed_in)

    def test_a_fix_where_the_bug_is_not_is_refused_or_forced(self, stubs: Stubs) -> None:
        bug = report(stubs, of_model("f/b"))
        request = pb.FixBugRequest(id=bug.id, model="f/a@1")
        assert refused(lambda: stubs.audit.FixBug(request)) == ("FAILED_PRECONDITION", "MODEL_NOT_AFFECTED")
        request.force = True
        assert [model.name for model in stubs.audit.FixBug(request).bug.fixed_in] == ["f/a"]

    @pytest.mark.parametrize("call", ["FixBug", "CloseBug", "GetBug", "ListAffected", "CountAffected"])
    def test_a_bug_that_is_not_there_is_not_found(self, stubs: Stubs, call: str) -> None:
        request: Any = {
            "FixBug": pb.FixBugRequest(id=NOBODY, model="f/a", force=True),
            "CloseBug": pb.CloseBugRequest(id=NOBODY),
            "GetBug": pb.GetBugRequest(id="ffff"),
            "ListAffected": pb.ListAffectedRequest(id=NOBODY),
            "CountAffected": pb.CountAffectedRequest(id=NOBODY),
        }[call]
        assert refused(lambda: getattr(stubs.audit, call)(request)) == ("NOT_FOUND", "BUG_NOT_FOUND")


@pytest.mark.usefixtures("family")
class TestReach:
    def test_each_model_comes_once_with_its_way(
        self, stubs: Stubs, family: dict[str, types_pb2.Model]
    ) -> None:
        bug = report(stubs, of_model("f/base"))
        stubs.lineage.PutTag(lineage_pb2.PutTagRequest(model="f/merged", tag="prod"))
        found = affected(stubs, bug)
        assert list(found) == ["f/base", "f/a", "f/b", "f/merged"]
        merged = found["f/merged"]
        assert (merged.hops, merged.next_uid) == (2, family["a"].summary.uid)
        assert (list(merged.tags), merged.is_inferred) == (["prod"], False)
        assert count(stubs, bug) == 4
        [unknown] = [model for answer in answers(stubs, bug) for model in answer.unknown]
        assert (unknown.name, unknown.version) == ("f/a", 2)

    def test_what_a_fix_would_clear(self, stubs: Stubs) -> None:
        bug = report(stubs, of_model("f/base"))
        found = answers(stubs, bug, assumed_fixed=["f/a@1", "f/b"])
        assert [each.model.name for answer in found for each in answer.affected] == ["f/base"]
        cleared = {model.name for answer in found for model in answer.cleared}
        assert cleared == {"f/a", "f/b", "f/merged"}
        assert count(stubs, bug, assumed_fixed=["f/a@1", "f/b"]) == 1

    def test_inferred_edges_are_marked_or_left_out(self, stubs: Stubs) -> None:
        add(stubs, "i/base")
        add(stubs, "i/guessed")
        parent = types_pb2.ParentLink(parent="i/base", origin=types_pb2.EDGE_ORIGIN_INFERRED, confidence=0.8)
        stubs.lineage.LinkModels(lineage_pb2.LinkModelsRequest(child="i/guessed", parent=parent))
        bug = report(stubs, of_model("i/base"))
        assert {name: each.is_inferred for name, each in affected(stubs, bug).items()} == {
            "i/base": False,
            "i/guessed": True,
        }
        assert list(affected(stubs, bug, declared_only=True)) == ["i/base"]

    def test_a_limit_is_told(self, stubs: Stubs) -> None:
        bug = report(stubs, of_model("f/base"))
        found = answers(stubs, bug, limit=2)
        assert [len(answer.affected) for answer in found if answer.affected] == [2]
        assert found[-1].truncated
        assert not answers(stubs, bug, limit=4)[-1].truncated
        assert refused(lambda: answers(stubs, bug, limit=-1)) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")

    def test_a_bug_outlives_its_model(self, stubs: Stubs) -> None:
        add(stubs, "gone/base")
        bug = report(stubs, of_model("gone/base"))
        add(stubs, "gone/child", [link("gone/base")])
        for name in ("gone/base", "gone/child"):
            stubs.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model=name))
        assert {each.model.state for each in affected(stubs, bug).values()} == {types_pb2.MODEL_STATE_REMOVED}
        assert stubs.audit.GetBug(pb.GetBugRequest(id=bug.id)).bug == bug
