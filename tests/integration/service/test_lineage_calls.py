"""LineageService through generated stubs, on the real service and the real Neo4j."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.running_service import Stubs
from tests.uploads import add, link

from mgit_proto.v1 import lineage_pb2 as pb
from mgit_proto.v1 import parameters_pb2, types_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

NOWHERE = "@01890000-0000-7000-8000-000000000000"
ANCESTORS, DESCENDANTS = pb.DIRECTION_ANCESTORS, pb.DIRECTION_DESCENDANTS
Call = Callable[[Stubs], Any]


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


@pytest.fixture(scope="module")
def family(stubs: Stubs) -> dict[str, types_pb2.Model]:
    """A diamond and a further version: merged comes from task-a and task-b, both from base.

    base@1 <- task-a@1 <- merged@1, base@1 <- task-b@1 <- merged@1, task-a@1 <- task-a@2
    """
    models = {"base": add(stubs, "f/base")}
    models["a"] = add(stubs, "f/task-a", [link("f/base")])
    models["b"] = add(stubs, "f/task-b", [link("f/base", "PRUNED")])
    models["merged"] = add(
        stubs, "f/merged", [link("f/task-a", "MERGED", 0.5), link("f/task-b@1", "MERGED", 0.5)]
    )
    models["a2"] = add(stubs, "f/task-a", [link("f/base")])
    return models


@pytest.fixture(scope="module")
def chain(stubs: Stubs) -> list[types_pb2.Model]:
    return [add(stubs, f"e/{name}") for name in ("old", "mid", "new")]


@pytest.fixture(scope="module")
def twins(stubs: Stubs) -> list[types_pb2.Model]:
    """Two models of one parameter set, whose two parameters are one tensor."""
    tensors = {"x": np.full(3, 1.5, np.float32), "y": np.full(3, 1.5, np.float32)}
    return [add(stubs, f"c/{name}", tensors=tensors) for name in ("one", "two")]


def uids(models: dict[str, types_pb2.Model], *names: str) -> list[str]:
    return sorted(models[name].summary.uid for name in names)


def relatives(stubs: Stubs, **question: Any) -> tuple[list[tuple[str, int]], bool]:
    """Uids with hops in the order of the answer, and whether it was cut."""
    answers = list(stubs.lineage.ListRelatives(pb.ListRelativesRequest(**question)))
    found = [(one.model.uid, one.hops) for answer in answers for one in answer.relatives]
    found += [(uid, 0) for answer in answers for uid in answer.uids]
    assert not any(answer.truncated for answer in answers[:-1])
    return found, answers[-1].truncated


class TestModels:
    def test_a_model_is_found_by_name_number_and_uid(
        self, stubs: Stubs, family: dict[str, types_pb2.Model]
    ) -> None:
        wanted = family["merged"]
        for reference in ("f/merged", "f/merged@1", "f/merged@latest", f"@{wanted.summary.uid}"):
            assert stubs.lineage.GetModel(pb.GetModelRequest(model=reference)).model == wanted
        assert [edge.parent_ref for edge in wanted.parents] == ["f/task-a@1", "f/task-b@1"]

    @pytest.mark.parametrize(
        ("reference", "error"),
        [
            ("f/none", ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ("f/base@7", ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ("f/base@prod", ("NOT_FOUND", "TAG_NOT_FOUND")),
            (NOWHERE, ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ("", ("INVALID_ARGUMENT", "INVALID_NAME")),
            ("../base", ("INVALID_ARGUMENT", "INVALID_NAME")),
            ("a\nb", ("INVALID_ARGUMENT", "INVALID_NAME")),
            ("x" * 10_000, ("INVALID_ARGUMENT", "INVALID_NAME")),
            ("f/base@0", ("INVALID_ARGUMENT", "INVALID_REFERENCE")),
            ("@uid", ("INVALID_ARGUMENT", "INVALID_REFERENCE")),
        ],
    )
    @pytest.mark.usefixtures("family")
    def test_a_bad_reference_says_what_is_bad(
        self, stubs: Stubs, reference: str, error: tuple[str, str]
    ) -> None:
        assert refused(lambda: stubs.lineage.GetModel(pb.GetModelRequest(model=reference))) == error

    @pytest.mark.usefixtures("family")
    def test_the_catalog_comes_in_pages_by_name(self, stubs: Stubs) -> None:
        names: list[str] = []
        token = ""
        for _ in range(5):
            answer = stubs.lineage.ListModels(
                pb.ListModelsRequest(page_size=1, page_token=token, name_prefix="F/")
            )
            names += [model.summary.name for model in answer.models]
            token = answer.next_page_token
            if not token:
                break
        assert names == ["f/base", "f/merged", "f/task-a", "f/task-b"]

    @pytest.mark.usefixtures("family")
    def test_a_page_token_is_refused_with_other_arguments(self, stubs: Stubs) -> None:
        first = stubs.lineage.ListModels(pb.ListModelsRequest(page_size=1, name_prefix="f/"))
        token = first.next_page_token
        wanted = ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
        calls: list[Call] = [
            lambda to: to.lineage.ListModels(pb.ListModelsRequest(page_token=token)),
            lambda to: to.lineage.ListVersions(pb.ListVersionsRequest(name="f/base", page_token=token)),
            lambda to: to.lineage.ListDuplicates(pb.ListDuplicatesRequest(page_token=token)),
            lambda to: to.lineage.ListTensorUses(
                pb.ListTensorUsesRequest(digest=b"d" * 32, page_token=token)
            ),
        ]
        assert [refused(lambda call=call: call(stubs)) for call in calls] == [wanted] * len(calls)

    @pytest.mark.usefixtures("family")
    def test_versions_come_newest_first(self, stubs: Stubs) -> None:
        first = stubs.lineage.ListVersions(pb.ListVersionsRequest(name="f/task-a", page_size=1))
        second = stubs.lineage.ListVersions(
            pb.ListVersionsRequest(name="f/task-a", page_size=1, page_token=first.next_page_token)
        )
        assert [answer.models[0].summary.version for answer in (first, second)] == [2, 1]

    def test_versions_of_an_unknown_name_are_not_found(self, stubs: Stubs) -> None:
        call = lambda: stubs.lineage.ListVersions(pb.ListVersionsRequest(name="f/none"))  # noqa: E731 - short
        assert refused(call) == ("NOT_FOUND", "MODEL_NOT_FOUND")

    def test_a_negative_page_size_is_refused(self, stubs: Stubs) -> None:
        call = lambda: stubs.lineage.ListModels(pb.ListModelsRequest(page_size=-1))  # noqa: E731 - short
        assert refused(call) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")


class TestRemoval:
    def test_a_removed_model_leaves_the_catalog_and_its_number(self, stubs: Stubs) -> None:
        model = add(stubs, "r/one")
        request = pb.RemoveModelRequest(model="r/one")
        assert stubs.lineage.RemoveModel(request).model == model
        assert refused(lambda: stubs.lineage.GetModel(pb.GetModelRequest(model="r/one")))[0] == "NOT_FOUND"
        assert add(stubs, "r/one").summary.version == 2

    def test_a_repeat_gets_the_first_answer_though_the_reference_names_nothing_now(
        self, stubs: Stubs
    ) -> None:
        add(stubs, "r/repeat")
        request = pb.RemoveModelRequest(model="r/repeat", request_id="remove-1")
        first = stubs.lineage.RemoveModel(request)
        assert stubs.lineage.RemoveModel(request) == first

    def test_a_repeat_does_not_remove_the_next_latest(self, stubs: Stubs) -> None:
        add(stubs, "r/two")
        add(stubs, "r/two")
        request = pb.RemoveModelRequest(model="r/two", request_id="remove-2")
        assert stubs.lineage.RemoveModel(request).model.summary.version == 2
        assert stubs.lineage.RemoveModel(request).model.summary.version == 2
        found = stubs.lineage.GetModel(pb.GetModelRequest(model="r/two")).model
        assert found.summary.version == 1

    def test_other_arguments_under_a_used_id_are_refused(self, stubs: Stubs) -> None:
        add(stubs, "r/three")
        add(stubs, "r/four")
        stubs.lineage.RemoveModel(pb.RemoveModelRequest(model="r/three", request_id="remove-3"))
        reused = pb.RemoveModelRequest(model="r/four", request_id="remove-3")
        assert refused(lambda: stubs.lineage.RemoveModel(reused)) == ("ABORTED", "REQUEST_ID_REUSED")

    def test_what_is_not_there_is_not_found_with_a_request_id_as_without(self, stubs: Stubs) -> None:
        for request_id in ("", "remove-4"):
            request = pb.RemoveModelRequest(model="r/none", request_id=request_id)
            assert refused(lambda request=request: stubs.lineage.RemoveModel(request)) == (
                "NOT_FOUND",
                "MODEL_NOT_FOUND",
            )

    @pytest.mark.parametrize("request_id", ["x" * 129, "a\nb", "ä"])
    def test_a_request_id_that_cannot_be_is_refused(self, stubs: Stubs, request_id: str) -> None:
        request = pb.RemoveModelRequest(model="r/none", request_id=request_id)
        assert refused(lambda: stubs.lineage.RemoveModel(request)) == (
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
        )

    def test_a_tombstone_is_described_by_number_and_counts_in_the_lineage(self, stubs: Stubs) -> None:
        parent = add(stubs, "r/parent")
        add(stubs, "r/child", [link("r/parent")])
        stubs.lineage.RemoveModel(pb.RemoveModelRequest(model="r/parent"))
        found = stubs.lineage.GetModel(pb.GetModelRequest(model="r/parent@1")).model
        assert (found.summary.state, found.parameters_digest) == (types_pb2.MODEL_STATE_REMOVED, b"")
        assert relatives(stubs, model="r/child", direction=ANCESTORS)[0] == [(parent.summary.uid, 1)]


class TestTags:
    def test_a_tag_is_put_listed_moved_and_deleted(self, stubs: Stubs) -> None:
        models = [add(stubs, "t/one") for _ in range(2)]
        put = pb.PutTagRequest(model="t/one@1", tag="prod")
        assert stubs.lineage.PutTag(put).tag.model.uid == models[0].summary.uid
        moved = pb.PutTagRequest(model="t/one@2", tag="prod")
        assert refused(lambda: stubs.lineage.PutTag(moved)) == ("ABORTED", "TAG_MOVED")
        moved.force = True
        assert stubs.lineage.PutTag(moved).tag.model.version == 2
        [tag] = stubs.lineage.ListTags(pb.ListTagsRequest(name="t/one")).tags
        assert (tag.model_name, tag.tag) == ("t/one", "prod")
        delete = pb.DeleteTagRequest(name="t/one", tag="prod")
        assert stubs.lineage.DeleteTag(delete).tag == tag
        assert refused(lambda: stubs.lineage.DeleteTag(delete)) == ("NOT_FOUND", "TAG_NOT_FOUND")
        assert not stubs.lineage.ListTags(pb.ListTagsRequest(name="t/one")).tags

    @pytest.mark.parametrize("tag", ["1", "latest", "LATEST", "a/b", "", "x" * 300, "a\x00"])
    def test_what_cannot_be_a_tag_is_refused(self, stubs: Stubs, tag: str) -> None:
        request = pb.PutTagRequest(model="t/none", tag=tag)
        assert refused(lambda: stubs.lineage.PutTag(request)) == ("INVALID_ARGUMENT", "INVALID_NAME")

    def test_a_removed_model_takes_no_tag(self, stubs: Stubs) -> None:
        add(stubs, "t/parent")
        add(stubs, "t/child", [link("t/parent")])
        stubs.lineage.RemoveModel(pb.RemoveModelRequest(model="t/parent"))
        request = pb.PutTagRequest(model="t/parent@1", tag="prod")
        assert refused(lambda: stubs.lineage.PutTag(request)) == ("FAILED_PRECONDITION", "MODEL_REMOVED")

    def test_deletion_is_idempotent_by_request_id(self, stubs: Stubs) -> None:
        add(stubs, "t/two")
        stubs.lineage.PutTag(pb.PutTagRequest(model="t/two", tag="x"))
        request = pb.DeleteTagRequest(name="t/two", tag="x", request_id="delete-tag")
        assert stubs.lineage.DeleteTag(request) == stubs.lineage.DeleteTag(request)

    def test_tags_of_a_bad_name_are_refused(self, stubs: Stubs) -> None:
        call = lambda: stubs.lineage.ListTags(pb.ListTagsRequest(name="a@b"))  # noqa: E731 - short
        assert refused(call) == ("INVALID_ARGUMENT", "INVALID_NAME")


class TestEdges:
    def test_an_edge_is_added_found_and_deleted(self, stubs: Stubs, chain: list[types_pb2.Model]) -> None:
        parent = types_pb2.ParentLink(parent="e/old", relation=types_pb2.RELATION_CAST, weight=0.25)
        edge = stubs.lineage.LinkModels(pb.LinkModelsRequest(child="e/mid", parent=parent)).edge
        assert (edge.child_uid, edge.parent_uid) == (chain[1].summary.uid, chain[0].summary.uid)
        assert (edge.relation, edge.weight, edge.position) == (types_pb2.RELATION_CAST, 0.25, 0)
        again = pb.LinkModelsRequest(child="e/mid@1", parent=parent)
        assert refused(lambda: stubs.lineage.LinkModels(again)) == ("ALREADY_EXISTS", "EDGE_EXISTS")
        deleted = stubs.lineage.UnlinkModels(pb.UnlinkModelsRequest(child="e/mid", parent="e/old"))
        assert list(deleted.edges) == [edge]
        gone = pb.UnlinkModelsRequest(child="e/mid", parent="e/old", relation=types_pb2.RELATION_CAST)
        assert refused(lambda: stubs.lineage.UnlinkModels(gone)) == ("NOT_FOUND", "EDGE_NOT_FOUND")

    @pytest.mark.usefixtures("chain")
    def test_an_edge_that_closes_a_cycle_is_refused(self, stubs: Stubs) -> None:
        stubs.lineage.LinkModels(pb.LinkModelsRequest(child="e/new", parent=link("e/old")))
        cycles = [
            pb.LinkModelsRequest(child="e/old", parent=link("e/new")),
            pb.LinkModelsRequest(child="e/old", parent=link("e/old")),
        ]
        for cycle in cycles:
            assert refused(lambda cycle=cycle: stubs.lineage.LinkModels(cycle)) == ("ABORTED", "CYCLE")
        revision = pb.LinkRevisionRequest(newer="e/old", older="e/new")
        assert refused(lambda: stubs.lineage.LinkRevision(revision)) == ("ABORTED", "CYCLE")

    @pytest.mark.usefixtures("chain")
    def test_a_version_edge_is_added_and_deleted_once(self, stubs: Stubs) -> None:
        request = pb.LinkRevisionRequest(newer="e/mid", older="e/old", request_id="revise")
        edge = stubs.lineage.LinkRevision(request).edge
        assert stubs.lineage.LinkRevision(request).edge == edge
        other = pb.LinkRevisionRequest(newer="e/mid", older="e/old")
        assert refused(lambda: stubs.lineage.LinkRevision(other)) == ("ALREADY_EXISTS", "EDGE_EXISTS")
        delete = pb.UnlinkRevisionRequest(newer="e/mid", older="e/old")
        assert stubs.lineage.UnlinkRevision(delete).edge == edge
        assert refused(lambda: stubs.lineage.UnlinkRevision(delete)) == ("NOT_FOUND", "EDGE_NOT_FOUND")

    @pytest.mark.parametrize(
        ("request_", "error"),
        [
            (pb.LinkModelsRequest(child="e/none", parent=link("e/old")), ("NOT_FOUND", "MODEL_NOT_FOUND")),
            (pb.LinkModelsRequest(child=NOWHERE, parent=link("e/old")), ("NOT_FOUND", "MODEL_NOT_FOUND")),
            (pb.LinkModelsRequest(child="e/old", parent=link("e/none")), ("NOT_FOUND", "PARENT_NOT_FOUND")),
            (pb.LinkModelsRequest(child="e/old", parent=link(NOWHERE)), ("NOT_FOUND", "PARENT_NOT_FOUND")),
            (pb.LinkModelsRequest(child="e/old"), ("INVALID_ARGUMENT", "INVALID_NAME")),
            (
                pb.LinkModelsRequest(child="e/old", parent=types_pb2.ParentLink(parent="e/mid", relation=99)),
                ("INVALID_ARGUMENT", "INVALID_RELATION"),
            ),
        ],
    )
    @pytest.mark.usefixtures("chain")
    def test_a_bad_edge_is_refused(
        self, stubs: Stubs, request_: pb.LinkModelsRequest, error: tuple[str, str]
    ) -> None:
        assert refused(lambda: stubs.lineage.LinkModels(request_)) == error


class TestTraversal:
    def test_ancestors_come_once_by_hops(self, stubs: Stubs, family: dict[str, types_pb2.Model]) -> None:
        found, is_cut = relatives(stubs, model="f/merged", direction=ANCESTORS)
        near = [(uid, 1) for uid in uids(family, "a", "b")]
        assert (found, is_cut) == ([*near, *((uid, 2) for uid in uids(family, "base"))], False)

    def test_uids_are_the_same_models(self, stubs: Stubs, family: dict[str, types_pb2.Model]) -> None:
        found, is_cut = relatives(stubs, model="f/base", direction=DESCENDANTS, view=pb.TRAVERSAL_VIEW_UIDS)
        assert (sorted(uid for uid, _ in found), is_cut) == (uids(family, "a", "b", "merged", "a2"), False)

    def test_depth_and_relations_bound_the_answer(
        self, stubs: Stubs, family: dict[str, types_pb2.Model]
    ) -> None:
        near, is_cut = relatives(stubs, model="f/merged", direction=ANCESTORS, max_depth=1)
        assert (sorted(uid for uid, _ in near), is_cut) == (uids(family, "a", "b"), False)
        pruned, _ = relatives(
            stubs, model="f/base", direction=DESCENDANTS, relations=[types_pb2.RELATION_PRUNED]
        )
        assert [uid for uid, _ in pruned] == uids(family, "b")

    @pytest.mark.parametrize("view", [pb.TRAVERSAL_VIEW_UIDS, pb.TRAVERSAL_VIEW_SUMMARIES])
    @pytest.mark.usefixtures("family")
    def test_a_limit_that_cut_is_said_and_one_that_did_not_is_not(self, stubs: Stubs, view: int) -> None:
        for limit, is_cut in ((1, True), (2, True), (3, False), (4, False)):
            found = relatives(stubs, model="f/merged", direction=ANCESTORS, limit=limit, view=view)
            assert (len(found[0]), found[1]) == (min(limit, 3), is_cut)

    @pytest.mark.usefixtures("family")
    def test_a_model_without_relatives_gets_one_empty_answer(self, stubs: Stubs) -> None:
        for view in (pb.TRAVERSAL_VIEW_UIDS, pb.TRAVERSAL_VIEW_SUMMARIES):
            request = pb.ListRelativesRequest(model="f/base", direction=ANCESTORS, view=view)
            assert list(stubs.lineage.ListRelatives(request)) == [pb.ListRelativesResponse()]

    @pytest.mark.usefixtures("family")
    def test_counts_agree_with_lists(self, stubs: Stubs) -> None:
        for direction, count in ((ANCESTORS, 0), (DESCENDANTS, 4)):
            request = pb.CountRelativesRequest(model="f/base", direction=direction)
            assert stubs.lineage.CountRelatives(request).count == count
        near = pb.CountRelativesRequest(model="f/merged", direction=ANCESTORS, max_depth=1)
        assert stubs.lineage.CountRelatives(near).count == 2

    @pytest.mark.parametrize(
        ("question", "error"),
        [
            ({"model": "f/base"}, ("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
            ({"model": "f/base", "direction": 99}, ("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
            ({"model": "f/base", "direction": 1, "max_depth": -1}, ("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
            ({"model": "f/base", "direction": 1, "limit": -1}, ("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
            ({"model": "f/base", "direction": 1, "relations": [0]}, ("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
            ({"model": "f/none", "direction": 1}, ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ({"model": "f/base@prod", "direction": 1}, ("NOT_FOUND", "TAG_NOT_FOUND")),
            ({"model": NOWHERE, "direction": 1}, ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ({"model": NOWHERE, "direction": 1, "view": 1}, ("NOT_FOUND", "MODEL_NOT_FOUND")),
        ],
    )
    @pytest.mark.usefixtures("family")
    def test_a_bad_question_is_refused(
        self, stubs: Stubs, question: dict[str, Any], error: tuple[str, str]
    ) -> None:
        request = pb.ListRelativesRequest(**question)
        assert refused(lambda: stubs.lineage.ListRelatives(request)) == error

    def test_the_lineage_has_all_models_and_the_edges_among_them(
        self, stubs: Stubs, family: dict[str, types_pb2.Model]
    ) -> None:
        answers = list(stubs.lineage.GetLineage(pb.GetLineageRequest(models=["f/task-a@1", "f/task-a@1"])))
        models = [model.uid for answer in answers for model in answer.models]
        edges = {(edge.child_uid, edge.parent_uid) for answer in answers for edge in answer.edges}
        assert sorted(models) == uids(family, "base", "a", "merged")
        assert edges == {
            (family["a"].summary.uid, family["base"].summary.uid),
            (family["merged"].summary.uid, family["a"].summary.uid),
        }
        assert not answers[-1].truncated

    @pytest.mark.usefixtures("family")
    def test_a_whole_graph_that_was_cut_says_so(self, stubs: Stubs) -> None:
        answers = list(stubs.lineage.GetLineage(pb.GetLineageRequest(max_models=2)))
        assert sum(len(answer.models) for answer in answers) == 2
        assert answers[-1].truncated

    @pytest.mark.parametrize(
        ("question", "error"),
        [
            ({"models": ["f/none"]}, ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ({"models": [NOWHERE]}, ("NOT_FOUND", "MODEL_NOT_FOUND")),
            ({"max_models": -1}, ("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
            ({"models": ["a"] * 1001}, ("INVALID_ARGUMENT", "INVALID_ARGUMENT")),
        ],
    )
    def test_a_bad_lineage_is_refused(
        self, stubs: Stubs, question: dict[str, Any], error: tuple[str, str]
    ) -> None:
        assert refused(lambda: stubs.lineage.GetLineage(pb.GetLineageRequest(**question))) == error

    def test_merge_bases_are_found(self, stubs: Stubs, family: dict[str, types_pb2.Model]) -> None:
        request = pb.FindMergeBasesRequest(ours="f/task-a@1", theirs="f/task-b")
        found = stubs.lineage.FindMergeBases(request).models
        assert [model.uid for model in found] == uids(family, "base")
        missing = pb.FindMergeBasesRequest(ours="f/task-a", theirs="f/none")
        assert refused(lambda: stubs.lineage.FindMergeBases(missing)) == ("NOT_FOUND", "MODEL_NOT_FOUND")


class TestContent:
    def tensor_digest(self, stubs: Stubs) -> bytes:
        request = parameters_pb2.GetManifestRequest(model="c/one")
        [answer] = stubs.parameters.GetManifest(request)
        return answer.parameters[0].digest

    def test_who_holds_a_tensor_is_listed_in_pages(self, stubs: Stubs, twins: list[types_pb2.Model]) -> None:
        digest = self.tensor_digest(stubs)
        found: list[tuple[str, str]] = []
        token = ""
        for _ in range(9):
            answer = stubs.lineage.ListTensorUses(
                pb.ListTensorUsesRequest(digest=digest, page_size=1, page_token=token)
            )
            found += [(use.model.uid, use.parameter) for use in answer.uses]
            token = answer.next_page_token
            if not token:
                break
        wanted = [(model.summary.uid, name) for model in twins for name in ("x", "y")]
        assert found == sorted(wanted)

    def test_a_tensor_that_nobody_holds_has_no_uses(self, stubs: Stubs) -> None:
        assert not stubs.lineage.ListTensorUses(pb.ListTensorUsesRequest(digest=b"0" * 32)).uses

    def test_what_is_no_digest_is_refused(self, stubs: Stubs) -> None:
        call = lambda: stubs.lineage.ListTensorUses(pb.ListTensorUsesRequest(digest=b"0"))  # noqa: E731
        assert refused(call) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")

    def test_duplicates_are_grouped(self, stubs: Stubs, twins: list[types_pb2.Model]) -> None:
        groups = stubs.lineage.ListDuplicates(pb.ListDuplicatesRequest(page_size=1000)).groups
        mine = [group for group in groups if group.parameters_digest == twins[0].parameters_digest]
        assert [[model.uid for model in group.models] for group in mine] == [
            [model.summary.uid for model in twins]
        ]
