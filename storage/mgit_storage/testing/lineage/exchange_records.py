"""Laws of what goes along with models from one store to another: united, the later change wins, nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mgit_core.bugs import Bug, BugSeverity, BugState, DatasetSubject, ModelSubject, TensorSubject
from mgit_core.errors import ConflictError, ErrorReason, NotFoundError
from mgit_core.lineage import (
    Dataset,
    EdgeOrigin,
    Model,
    Previous,
    Relation,
    RequestKey,
    RevisionEdge,
    Tag,
)
from mgit_core.model_tests import ModelTest, measurement_digest
from mgit_core.ports.exchange import ExchangeRecords, KeptResult, RecordChanges
from mgit_core.ports.graph import Lineage, Page
from mgit_core.ports.model_tests import ResultQuery
from mgit_storage.testing.imports import make_edge, make_tombstone
from mgit_storage.testing.lineage.steps import add, find, refs, refused
from mgit_storage.testing.values import fresh_uid, make_bug, make_commit, make_model_test, make_result

__all__ = ["RecordLaws", "UnionLaws"]


async def _unite(lineage: Lineage, *, force: bool = False, **records: Any) -> RecordChanges:
    return await lineage.exchange.import_records(ExchangeRecords(**records), remote="hub", force_tags=force)


async def _export(lineage: Lineage, *models: Model) -> ExchangeRecords:
    return await lineage.exchange.export_records([model.uid for model in models])


def _tag(model: Model, tag: str) -> Tag:
    return Tag(model_name="what it is called there", tag=tag, model=model)


def _kept(test: ModelTest, model: Model, value: float, *, at: int = 0) -> KeptResult:
    return KeptResult(result=make_result(test, model, value, at=at), measurement=measurement_digest(test))


async def _bug(lineage: Lineage, bug_id: str) -> Bug:
    [found] = await lineage.bugs.find(bug_id)
    return found


class RecordLaws:
    """What goes along with models is all that concerns them."""

    async def test_everything_about_models_is_exported(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        commit = replace(make_commit("child"), type="bert", datasets=(Dataset(name="glue", version="1"),))
        child = (await lineage.models.commit(commit)).model
        await lineage.edges.link_revision(child.uid, base.uid)
        tests = [
            await lineage.model_tests.register(test)
            for test in (
                make_model_test("of-all"),
                make_model_test("of-type", type_name="bert"),
                make_model_test("of-model", model=child),
            )
        ]
        for test in (make_model_test("of-another", model=base), make_model_test("t", type_name="vit")):
            await lineage.model_tests.register(test)
        await lineage.model_tests.register(make_model_test("gone"))
        gone = await lineage.model_tests.get("gone")
        results = await lineage.model_tests.record(
            [make_result(gone, child, 0.5, at=1), make_result(tests[0], base, 0.5, at=2)]
        )
        await lineage.model_tests.remove(gone.uid)
        await lineage.tags.put(child.uid, "best")
        await lineage.tags.put(base.uid, "other")
        bugs = [
            await lineage.bugs.report(make_bug(title, subject))
            for title, subject in (
                ("of it", ModelSubject(child.uid)),
                ("of its tensor", TensorSubject(commit.tensors[0].digest)),
                ("of its data", DatasetSubject(Dataset(name="glue", version="1"))),
                ("of all its data", DatasetSubject(Dataset(name="glue"))),
                ("of another", ModelSubject(base.uid)),
            )
        ]
        found = await _export(lineage, child)
        assert found.edges == ()
        assert found.revisions == (RevisionEdge(newer_uid=child.uid, older_uid=base.uid),)
        assert [(tag.tag, tag.model.uid) for tag in found.tags] == [("best", child.uid)]
        assert sorted(test.name for test in found.tests) == ["gone", "of-all", "of-model", "of-type"]
        assert [test.is_removed for test in found.tests if test.name == "gone"] == [True]
        assert [kept.result.uid for kept in found.results] == [results[0].uid]
        assert found.results[0].measurement == measurement_digest(gone)
        assert [bug.title for bug in found.bugs] == [bug.title for bug in bugs[:4]]
        await lineage.bugs.fix(bugs[4].id, child.uid, force=True)
        assert len((await _export(lineage, child)).bugs) == 5, "where a bug is fixed it concerns too"

    async def test_edges_come_with_all_that_is_said_of_them(self, lineage: Lineage) -> None:
        base, other = await add(lineage, "base"), await add(lineage, "other")
        child = await add(lineage, "child", base, other)
        found = await _export(lineage, child, base)
        assert found.edges == child.parents

    async def test_models_may_have_nothing_that_goes_along(self, lineage: Lineage) -> None:
        commit = replace(make_commit("m"), datasets=(Dataset(name="glue", version="1"),))
        model = (await lineage.models.commit(commit)).model
        assert await _export(lineage, model, await add(lineage, "n")) == ExchangeRecords()
        assert await _export(lineage) == ExchangeRecords()

    async def test_an_unknown_model_has_no_records(self, lineage: Lineage) -> None:
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.exchange.export_records([fresh_uid()])

    async def test_what_was_exported_changes_nothing_at_home(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        child = await add(lineage, "child", base)
        test = await lineage.model_tests.register(make_model_test("t", model=child))
        await lineage.model_tests.record([make_result(test, child, 0.25)])
        await lineage.tags.put(child.uid, "best")
        await lineage.bugs.report(make_bug("b", ModelSubject(child.uid)))
        records = await _export(lineage, base, child)
        answer = await lineage.exchange.import_records(records, remote="hub")
        assert answer == RecordChanges()
        assert await _export(lineage, base, child) == records


class UnionLaws:
    """Edges and results are united, of tests and bugs the later change wins, and nothing that was removed comes back."""

    async def test_edges_are_united_as_they_were(self, lineage: Lineage) -> None:
        base, other = await add(lineage, "base"), await add(lineage, "other")
        child = await add(lineage, "child", base)
        known = make_edge(child.uid, base.uid, 3, weight=0.5)
        new = make_edge(
            child.uid, other.uid, 5, relation=Relation.MERGED, origin=EdgeOrigin.INFERRED, confidence=0.5
        )
        stranger = make_edge(child.uid, fresh_uid(), 6)
        assert (await _unite(lineage, edges=(stranger, new, known))).edges == 1
        assert (await find(lineage, "child")).parents == (*child.parents, new)
        assert (await _unite(lineage, edges=(stranger, new, known))).edges == 0

    async def test_a_position_that_is_taken_is_given_behind_the_others(self, lineage: Lineage) -> None:
        one, two, three = [await add(lineage, name) for name in ("one", "two", "three")]
        child = await add(lineage, "child", one)
        await _unite(lineage, edges=(make_edge(child.uid, three.uid, 2), make_edge(child.uid, two.uid, 0)))
        assert (await find(lineage, "child")).parent_refs == ("one@1", "two@1", "three@1")

    async def test_a_model_keeps_its_version_edge(self, lineage: Lineage) -> None:
        one, two = await add(lineage, "m"), await add(lineage, "m")
        alone = (await lineage.models.commit(make_commit("m", previous=Previous(automatic=False)))).model
        wanted = (
            RevisionEdge(newer_uid=alone.uid, older_uid=one.uid),
            RevisionEdge(newer_uid=alone.uid, older_uid=two.uid),
            RevisionEdge(newer_uid=fresh_uid(), older_uid=two.uid),
        )
        assert (await _unite(lineage, revisions=wanted)).edges == 1
        previous = (await find(lineage, "m@3")).previous
        assert previous is not None
        assert previous.uid == one.uid
        assert (await _unite(lineage, revisions=wanted)).edges == 0

    async def test_edges_between_tombstones_are_united(self, lineage: Lineage) -> None:
        gone, base = make_tombstone("gone"), await add(lineage, "base")
        await lineage.exchange.import_models([gone], epoch=1)
        assert (await _unite(lineage, edges=(make_edge(gone.model.uid, base.uid),))).edges == 1
        assert (await find(lineage, "gone@1")).parent_refs == ("base@1",)

    async def test_a_union_that_closes_a_cycle_is_refused_and_named(self, lineage: Lineage) -> None:
        one = await add(lineage, "one")
        two = await add(lineage, "two", one)
        three = await add(lineage, "three", two)
        loose = await add(lineage, "loose")
        edges = (make_edge(loose.uid, three.uid), make_edge(one.uid, loose.uid))
        with pytest.raises(ConflictError) as error:
            await _unite(lineage, edges=edges)
        assert error.value.reason is ErrorReason.CYCLE
        assert {"one@1", "two@1", "three@1", "loose@1"} == set(error.value.details["path"].split(" -> "))
        with refused(ConflictError, ErrorReason.CYCLE):
            await _unite(lineage, revisions=(RevisionEdge(newer_uid=one.uid, older_uid=three.uid),))
        with refused(ConflictError, ErrorReason.CYCLE):
            await _unite(lineage, edges=(make_edge(one.uid, one.uid),))
        assert (await find(lineage, "loose")).parents == ()

    async def test_tags_are_united_under_the_names_that_models_have_here(self, lineage: Lineage) -> None:
        model, gone = await add(lineage, "m"), await add(lineage, "gone")
        await add(lineage, "child", gone)
        await lineage.models.remove(gone.uid)
        wanted = (_tag(model, "a"), _tag(model, "b"), _tag(gone, "c"))
        assert (await _unite(lineage, tags=wanted)).tags == 2
        assert (await find(lineage, "m")).tags == ("a", "b")
        assert (await find(lineage, "gone@1")).tags == ()
        assert (await _unite(lineage, tags=wanted)).tags == 0

    async def test_tags_that_diverged_are_all_named_and_moved_when_forced(self, lineage: Lineage) -> None:
        one, two = await add(lineage, "m"), await add(lineage, "m")
        for tag in ("a", "b"):
            await lineage.tags.put(one.uid, tag)
        wanted = (_tag(two, "a"), _tag(two, "b"), _tag(two, "c"))
        with pytest.raises(ConflictError, match=r"m:a \(here m@1\), m:b \(here m@1\)") as error:
            await _unite(lineage, tags=wanted)
        assert (error.value.reason, error.value.details["tags"]) == (ErrorReason.TAG_MOVED, "m:a,m:b")
        assert (await find(lineage, "m@2")).tags == ()
        assert (await _unite(lineage, tags=wanted, force=True)).tags == 3
        assert (await find(lineage, "m@2")).tags == ("a", "b", "c")

    async def test_a_test_comes_once_and_the_later_definition_wins(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        test = make_model_test("t", model=model, threshold=0.5, arguments={"k": 1})
        assert (await _unite(lineage, tests=(test,))).tests == 1
        assert await lineage.model_tests.get("t") == replace(test, model_ref="m@1")
        older = replace(test, threshold=0.1, updated_at=test.updated_at - timedelta(days=1))
        assert (await _unite(lineage, tests=(older, test))).tests == 0
        later = replace(test, threshold=0.9, updated_at=test.updated_at + timedelta(microseconds=1))
        assert (await _unite(lineage, tests=(later,))).tests == 1
        assert (await lineage.model_tests.get("t")).threshold == 0.9

    async def test_a_test_name_that_is_taken_becomes_the_remotes(self, lineage: Lineage) -> None:
        mine = await lineage.model_tests.register(make_model_test("Accuracy"))
        theirs, another = make_model_test("accuracy"), make_model_test("accuracy")
        assert (await _unite(lineage, tests=(theirs, another))).tests == 2
        names = [test.name for test in await lineage.model_tests.list_page(Page())]
        third = f"hub/accuracy-{another.uid[-12:]}"
        assert names == ["Accuracy", "hub/accuracy", third]
        assert (await lineage.model_tests.get("accuracy")).uid == mine.uid
        assert (await lineage.model_tests.get("hub/accuracy")).uid == theirs.uid
        later = replace(theirs, threshold=0.75, updated_at=theirs.updated_at + timedelta(days=1))
        assert (await _unite(lineage, tests=(later, another))).tests == 1
        assert (await lineage.model_tests.get("hub/accuracy")).threshold == 0.75

    async def test_a_test_that_was_removed_stays_so(self, lineage: Lineage) -> None:
        test = await lineage.model_tests.register(make_model_test("t"))
        await lineage.model_tests.remove(test.uid)
        later = replace(test, threshold=0.75, updated_at=test.updated_at + timedelta(days=1))
        assert (await _unite(lineage, tests=(later,))).tests == 0
        removed = make_model_test("t", is_removed=True)
        taken = await lineage.model_tests.register(make_model_test("t"))
        assert (await _unite(lineage, tests=(removed,))).tests == 1
        assert (await lineage.model_tests.get(f"@{removed.uid}")) == removed
        assert (await _unite(lineage, tests=(replace(taken, is_removed=True),))).tests == 0
        assert (await lineage.model_tests.get("t")) == taken, "a removal elsewhere removes nothing here"

    async def test_a_test_of_a_model_that_is_not_here_is_left_out_with_its_results(
        self, lineage: Lineage
    ) -> None:
        model, gone = await add(lineage, "m"), await add(lineage, "gone")
        await add(lineage, "child", gone)
        await lineage.models.remove(gone.uid)
        test = replace(make_model_test("t", model=model), model_uid=fresh_uid())
        removed = make_model_test("u", model=gone)
        answer = await _unite(lineage, tests=(test, removed), results=(_kept(test, model, 0.5),))
        assert answer == RecordChanges()

    async def test_results_are_united_with_what_they_measured(self, lineage: Lineage) -> None:
        model, gone = await add(lineage, "m"), await add(lineage, "gone")
        await add(lineage, "child", gone)
        test = await lineage.model_tests.register(make_model_test("t", arguments={"k": 1}))
        mine = (await lineage.model_tests.record([make_result(test, model, 0.25, at=1)]))[0]
        theirs = _kept(test, model, 0.75, at=2)
        other = replace(_kept(test, model, 0.5, at=3), measurement=b"m" * 32)
        await lineage.models.remove(gone.uid)
        kept = (theirs, other, _kept(test, gone, 0.5))
        assert (await _unite(lineage, results=kept)).results == 2
        assert (await _unite(lineage, results=kept)).results == 0
        found = await lineage.model_tests.results(ResultQuery(model_uid=model.uid), Page())
        assert [each.uid for each in found] == [other.result.uid, theirs.result.uid, mine.uid]
        [reused] = await lineage.model_tests.reusable([mine.key])
        assert reused.uid == theirs.result.uid, "what another definition measured is not reused"

    async def test_a_bug_comes_once_and_the_later_change_wins(self, lineage: Lineage) -> None:
        one, two = await add(lineage, "one"), await add(lineage, "two")
        bug = make_bug("b", ModelSubject(one.uid), ModelSubject(two.uid), ModelSubject(fresh_uid()))
        assert (await _unite(lineage, bugs=(bug,))).bugs == 1
        found = await _bug(lineage, bug.id)
        assert found.affects == tuple(
            sorted(
                (ModelSubject(one.uid, "one@1"), ModelSubject(two.uid, "two@1")), key=lambda each: each.uid
            )
        )
        assert (await _unite(lineage, bugs=(bug,))).bugs == 0
        closed = replace(
            bug,
            title="c",
            state=BugState.CLOSED,
            severity=BugSeverity.HIGH,
            carried_by=(Relation.FINETUNED,),
            updated_at=bug.updated_at + timedelta(seconds=1),
        )
        assert (await _unite(lineage, bugs=(closed,))).bugs == 1
        assert (await _unite(lineage, bugs=(bug, closed))).bugs == 0
        found = await _bug(lineage, bug.id)
        assert (found.title, found.state, found.severity) == ("c", BugState.CLOSED, BugSeverity.HIGH)
        assert (found.carried_by, found.updated_at) == ((Relation.FINETUNED,), closed.updated_at)

    async def test_the_order_of_what_a_bug_affects_is_no_change(self, lineage: Lineage) -> None:
        models = [await add(lineage, name) for name in ("one", "two")]
        for subjects in (models, models[::-1]):
            made = make_bug("b", ModelSubject(models[0].uid))
            bug = replace(made, affects=tuple(ModelSubject(model.uid) for model in subjects))
            assert (await _unite(lineage, bugs=(bug,))).bugs == 1
            assert (await _unite(lineage, bugs=(bug,))).bugs == 0

    async def test_subjects_and_fixes_of_a_bug_are_united(self, lineage: Lineage) -> None:
        commit = replace(make_commit("one"), datasets=(Dataset(name="glue", version="1"),))
        one = (await lineage.models.commit(commit)).model
        two = await add(lineage, "two", one)
        bug = await lineage.bugs.report(make_bug("b", ModelSubject(one.uid)))
        fixed = await lineage.bugs.fix(bug.id, two.uid)
        other = replace(
            bug,
            affects=(
                TensorSubject(commit.tensors[0].digest),
                TensorSubject(b"t" * 32),
                DatasetSubject(Dataset(name="glue")),
                DatasetSubject(Dataset(name="glue", version="1")),
                DatasetSubject(Dataset(name="glue", version="2")),
                DatasetSubject(Dataset(name="other")),
            ),
            fixed_in=(one, replace(one, uid=fresh_uid())),
        )
        assert (await _unite(lineage, bugs=(other,))).bugs == 1
        found = await _bug(lineage, bug.id)
        assert found.affects == (
            ModelSubject(one.uid, "one@1"),
            TensorSubject(commit.tensors[0].digest),
            DatasetSubject(Dataset(name="glue")),
            DatasetSubject(Dataset(name="glue", version="1")),
        )
        assert refs(list(found.fixed_in)) == ["one@1", "two@1"]  # type: ignore[arg-type]
        assert found.updated_at == fixed.updated_at

    async def test_a_bug_of_nothing_that_is_here_is_left_out(self, lineage: Lineage) -> None:
        assert (await _unite(lineage, bugs=(make_bug("b", ModelSubject(fresh_uid())),))).bugs == 0
        assert await lineage.bugs.list_page(Page()) == []

    async def test_a_request_is_done_once(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        key = RequestKey(id="r", arguments_digest=b"a" * 32)
        records = ExchangeRecords(tags=(_tag(model, "a"),))
        first = await lineage.exchange.import_records(records, remote="hub", request=key)
        assert first.tags == 1
        assert await lineage.exchange.import_records(records, remote="hub", request=key) == first
        other = replace(key, arguments_digest=b"b" * 32)
        with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
            await lineage.exchange.import_records(records, remote="hub", request=other)

    async def test_what_is_refused_changes_nothing(self, lineage: Lineage) -> None:
        one, two = await add(lineage, "m"), await add(lineage, "m")
        await lineage.tags.put(one.uid, "a")
        other = await add(lineage, "other")
        edge = make_edge(other.uid, one.uid)
        with refused(ConflictError, ErrorReason.TAG_MOVED):
            await _unite(lineage, edges=(edge,), tags=(_tag(two, "a"),))
        assert (await find(lineage, "other")).parents == ()
