"""Laws of bugs and their fixes; whom they reach has laws of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mgit_core.bugs import (
    BugSeverity,
    BugState,
    DatasetSubject,
    ModelSubject,
    TensorSubject,
)
from mgit_core.errors import (
    ConflictError,
    ErrorReason,
    FailedPreconditionError,
    NotFoundError,
)
from mgit_core.lineage import Dataset, Model, ModelState, Relation, RequestKey
from mgit_core.ports.bugs import ReachQuery
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, find, refused
from mgit_storage.testing.values import fresh_uid, make_bug, make_commit

__all__ = ["BugLaws"]


async def _trained(lineage: Lineage, name: str, *datasets: Dataset) -> Model:
    return (await lineage.models.commit(replace(make_commit(name), datasets=datasets))).model


class BugLaws:
    """A bug is kept as it was reported, and changes only as it is told to."""

    async def test_a_bug_is_kept_as_it_was_reported(self, lineage: Lineage) -> None:
        commit = make_commit("base")
        base = (await lineage.models.commit(commit)).model
        other = await _trained(lineage, "other", Dataset(name="docs", version="2"), Dataset(name="web"))
        subjects = (
            DatasetSubject(Dataset(name="web")),
            DatasetSubject(Dataset(name="docs", version="2")),
            TensorSubject(commit.tensors[1].digest),
            ModelSubject(other.uid),
            ModelSubject(base.uid),
            ModelSubject(base.uid),
        )
        told = replace(
            make_bug("NaN in the \u00e9mbeddings", *subjects, carried_by=(Relation.CAST, Relation.FINETUNED)),
            description="seen\nin half precision",
            severity=BugSeverity.CRITICAL,
        )
        kept = await lineage.bugs.report(told)
        assert kept == replace(
            told,
            affects=(
                ModelSubject(base.uid, "base@1"),
                ModelSubject(other.uid, "other@1"),
                TensorSubject(commit.tensors[1].digest),
                DatasetSubject(Dataset(name="docs", version="2")),
                DatasetSubject(Dataset(name="web")),
            ),
            carried_by=(Relation.FINETUNED, Relation.CAST),
        )
        assert await lineage.bugs.find(told.id) == [kept]

    async def test_a_bug_of_what_is_not_there_is_refused(self, lineage: Lineage) -> None:
        there = await _trained(lineage, "m", Dataset(name="docs", version="1"))
        for subject, reason in (
            (ModelSubject(fresh_uid()), ErrorReason.MODEL_NOT_FOUND),
            (TensorSubject(bytes(32)), ErrorReason.TENSOR_NOT_FOUND),
            (DatasetSubject(Dataset(name="docs", version="2")), ErrorReason.DATASET_NOT_FOUND),
            (DatasetSubject(Dataset(name="Docs")), ErrorReason.DATASET_NOT_FOUND),
        ):
            bug = make_bug("bad", ModelSubject(there.uid), subject)
            with refused(NotFoundError, reason):
                await lineage.bugs.report(bug)
            assert await lineage.bugs.find(bug.id) == [], "nothing of it is kept"

    async def test_a_repeated_report_makes_one_bug(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        key = RequestKey(id="report", arguments_digest=bytes(32))
        first = await lineage.bugs.report(make_bug("one", ModelSubject(model.uid)), key)
        assert await lineage.bugs.report(make_bug("one", ModelSubject(model.uid)), key) == first
        assert len(await lineage.bugs.list_page(Page())) == 1
        with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
            await lineage.bugs.report(first, RequestKey(id="report", arguments_digest=bytes([1] * 32)))

    async def test_an_id_is_found_by_how_it_begins(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        ids = ("01890000-0000-7000-8000-00000000000a", "01890000-0000-7000-8000-00000000000b")
        bugs = [
            await lineage.bugs.report(replace(make_bug("b", ModelSubject(model.uid)), id=bug_id))
            for bug_id in ids
        ]
        assert await lineage.bugs.find(ids[1]) == bugs[1:]
        assert await lineage.bugs.find(ids[0][:-1]) == bugs
        assert await lineage.bugs.find("0189") == bugs
        assert await lineage.bugs.find("1") == []
        third = replace(make_bug("c", ModelSubject(model.uid)), id=ids[0][:-1] + "c")
        await lineage.bugs.report(third)
        assert await lineage.bugs.find("0") == bugs, "two are enough to say that there are several"

    async def test_bugs_are_listed_newest_first(self, lineage: Lineage) -> None:
        one, other = await add(lineage, "one"), await add(lineage, "other", await add(lineage, "base"))
        subjects = (ModelSubject(one.uid), ModelSubject(other.uid), ModelSubject(one.uid))
        bugs = [await lineage.bugs.report(make_bug(f"bug {at}", each)) for at, each in enumerate(subjects)]
        closed = await lineage.bugs.set_state(bugs[0].id, BugState.CLOSED)
        newest_first = [bugs[2], bugs[1], closed]
        assert await lineage.bugs.list_page(Page()) == newest_first
        pages = [await lineage.bugs.list_page(Page(size=2))]
        pages.append(await lineage.bugs.list_page(Page(size=2, after=pages[0][-1].id)))
        assert pages == [newest_first[:2], newest_first[2:]]
        assert await lineage.bugs.list_page(Page(), state=BugState.CLOSED) == [closed]
        assert await lineage.bugs.list_page(Page(), model_uid=one.uid) == [bugs[2], closed]
        only = await lineage.bugs.list_page(Page(), model_uid=one.uid, state=BugState.OPEN)
        assert only == [bugs[2]]
        after = await lineage.bugs.list_page(Page(after=bugs[2].id), model_uid=one.uid)
        assert after == [closed]
        assert await lineage.bugs.list_page(Page(), model_uid=fresh_uid()) == []

    async def test_a_fix_is_recorded_once(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        child, last = await add(lineage, "child", base), await add(lineage, "last", base)
        early = datetime(2026, 1, 1, tzinfo=UTC)
        told = replace(make_bug("b", ModelSubject(base.uid)), created_at=early, updated_at=early)
        bug = await lineage.bugs.report(told)
        await lineage.bugs.fix(bug.id, last.uid)
        fixed = await lineage.bugs.fix(bug.id, child.uid)
        assert [model.ref for model in fixed.fixed_in] == ["child@1", "last@1"]
        assert (fixed.created_at, fixed.updated_at > early) == (early, True)
        assert await lineage.bugs.fix(bug.id, child.uid) == fixed, "recorded already, though not affected now"

    async def test_a_fix_where_the_bug_is_not_is_forced_or_refused(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        fixed = await add(lineage, "fixed", base)
        below, stranger = await add(lineage, "below", fixed), await add(lineage, "stranger")
        bug = await lineage.bugs.report(make_bug("b", ModelSubject(base.uid)))
        await lineage.bugs.fix(bug.id, fixed.uid)
        for model in (stranger, below):
            with refused(FailedPreconditionError, ErrorReason.MODEL_NOT_AFFECTED):
                await lineage.bugs.fix(bug.id, model.uid)
        forced = await lineage.bugs.fix(bug.id, stranger.uid, force=True)
        assert [model.ref for model in forced.fixed_in] == ["fixed@1", "stranger@1"]

    async def test_a_bug_is_fixed_where_a_tensor_or_a_data_set_brings_it(self, lineage: Lineage) -> None:
        held = make_commit("held")
        holder = (await lineage.models.commit(held)).model
        trained = await _trained(lineage, "trained", Dataset(name="docs", version="1"))
        subjects = (TensorSubject(held.tensors[0].digest), DatasetSubject(Dataset(name="docs")))
        bug = await lineage.bugs.report(make_bug("b", *subjects))
        child = await add(lineage, "child", trained)
        for model in (holder, child):
            bug = await lineage.bugs.fix(bug.id, model.uid)
        assert [model.ref for model in bug.fixed_in] == ["held@1", "child@1"]

    async def test_a_bug_is_closed_and_opened_again(self, lineage: Lineage) -> None:
        bug = await lineage.bugs.report(make_bug("b", ModelSubject((await add(lineage, "m")).uid)))
        closed = await lineage.bugs.set_state(bug.id, BugState.CLOSED)
        assert closed == replace(bug, state=BugState.CLOSED, updated_at=closed.updated_at)
        assert await lineage.bugs.set_state(bug.id, BugState.CLOSED) == closed
        assert (await lineage.bugs.set_state(bug.id, BugState.OPEN)).state is BugState.OPEN

    async def test_a_bug_or_model_that_is_not_there_is_not_found(self, lineage: Lineage) -> None:
        nobody, model = fresh_uid(), await add(lineage, "m")
        bug = await lineage.bugs.report(make_bug("b", ModelSubject(model.uid)))
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.bugs.fix(bug.id, nobody, force=True)
        calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: lineage.bugs.fix(nobody, model.uid),
            lambda: lineage.bugs.set_state(nobody, BugState.CLOSED),
            lambda: lineage.bugs.count(ReachQuery(bug_id=nobody)),
            lambda: lineage.bugs.margin(ReachQuery(bug_id=nobody)),
        ]
        for call in calls:
            with refused(NotFoundError, ErrorReason.BUG_NOT_FOUND):
                await call()
        with refused(NotFoundError, ErrorReason.BUG_NOT_FOUND):
            await anext(lineage.bugs.affected(ReachQuery(bug_id=nobody)))

    async def test_a_removed_model_of_a_bug_stays_as_a_tombstone(self, lineage: Lineage) -> None:
        affected, fixed = await add(lineage, "affected"), await add(lineage, "fixed")
        bug = await lineage.bugs.report(make_bug("b", ModelSubject(affected.uid)))
        await lineage.bugs.fix(bug.id, fixed.uid, force=True)
        for model in (affected, fixed):
            await lineage.models.remove(model.uid)
            assert (await find(lineage, model.ref)).state is ModelState.REMOVED
        [after] = await lineage.bugs.find(bug.id)
        assert after.affects == bug.affects
        assert [model.state for model in after.fixed_in] == [ModelState.REMOVED]

    async def test_a_tombstone_can_be_reported_and_fixed(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        await add(lineage, "child", base)
        await lineage.models.remove(base.uid)
        bug = await lineage.bugs.report(make_bug("b", ModelSubject(base.uid)))
        fixed = await lineage.bugs.fix(bug.id, base.uid)
        assert [model.ref for model in fixed.fixed_in] == ["base@1"]

    async def test_a_tensor_of_a_bug_outlives_its_holders(self, lineage: Lineage) -> None:
        commit = make_commit("m", content="same")
        first = (await lineage.models.commit(commit)).model
        tensor = TensorSubject(commit.tensors[0].digest)
        bug = await lineage.bugs.report(make_bug("b", tensor))
        await lineage.models.remove(first.uid)
        assert (await lineage.content.counts()).tensors == 0, "only tensors of present models are counted"
        assert (await lineage.bugs.find(bug.id))[0].affects == (tensor,)
        assert await lineage.bugs.count(ReachQuery(bug_id=bug.id)) == 0
        with refused(NotFoundError, ErrorReason.TENSOR_NOT_FOUND):
            await lineage.bugs.report(make_bug("c", tensor))
        await add(lineage, "again", content="same")
        assert await lineage.bugs.count(ReachQuery(bug_id=bug.id)) == 1
        assert (await lineage.content.counts()).tensors == 2
