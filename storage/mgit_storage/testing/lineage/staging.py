"""Laws of staged models."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mgit_core.bugs import TensorSubject
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from mgit_core.lineage import (
    Dataset,
    Direction,
    Model,
    ModelCommit,
    ModelState,
    ParentLink,
    Previous,
    Relation,
    RequestKey,
)
from mgit_core.ports.graph import Lineage, Page, TraversalQuery
from mgit_core.ports.model_tests import ResultQuery
from mgit_storage.testing.lineage.cascade_moves import family, start_and_stage
from mgit_storage.testing.lineage.steps import add, child_of, find, refs, refused, uids
from mgit_storage.testing.values import (
    fresh_uid,
    make_bug,
    make_commit,
    make_creation,
    make_loss,
    make_model_test,
    make_result,
)

__all__ = ["StagingLaws"]


async def _stage(lineage: Lineage, name: str, *parents: Model, content: str | None = None) -> Model:
    """A new staged model, fine-tuned from ``parents``."""
    return await lineage.staging.stage(make_commit(name, *child_of(*parents), content=content))


def _full_commit(base: Model) -> ModelCommit:
    """A commit with something in every field."""
    return replace(
        make_commit("child", ParentLink(parent_uid=base.uid, relation=Relation.PRUNED, weight=0.25)),
        type="bert",
        metadata={"text": "é", "whole": 3, "yes": True},
        datasets=(Dataset(name="z"), Dataset(name="a", version="2")),
        files=b"\7" * 32,
        files_key="files/key",
        files_bytes=7,
        loss=make_loss(base.uid),
        layer_graph=b"\1" * 32,
        layer_graph_key="layers/key",
        creation=make_creation(),
        previous=Previous(uid=base.uid, automatic=False),
    )


class StagingLaws:
    """A staged model is whole and in no list; published it is what a commit would have made of it."""

    async def test_a_staged_model_reads_back_as_it_was_answered(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        commit = _full_commit(base)
        staged = await lineage.staging.stage(commit)
        assert await lineage.staging.get(commit.uid) == staged
        assert (staged.state, staged.version, staged.ref) == (ModelState.STAGED, 0, f"@{commit.uid}")
        assert (staged.type, staged.metadata, staged.creation) == ("bert", commit.metadata, commit.creation)
        assert (staged.parent_refs, staged.previous and staged.previous.ref) == (("base@1",), "base@1")
        assert (staged.parameters, staged.loss, staged.files) == (
            commit.parameters,
            commit.loss,
            commit.files,
        )

    async def test_it_is_in_no_list_and_no_walk(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        staged = await _stage(lineage, "base", base)
        for reference in (f"@{staged.uid}", "base@2"):
            with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
                await find(lineage, reference)
        assert refs(await lineage.models.list_latest(Page())) == ["base@1"]
        assert refs(await lineage.models.list_versions("base", Page())) == ["base@1"]
        below = TraversalQuery(uid=base.uid, direction=Direction.DESCENDANTS)
        assert await uids(lineage, below) == set()
        models, edges, revisions, _ = await lineage.traversal.lineage([], max_models=10)
        assert ([model.uid for model in models], edges, revisions) == ([base.uid], [], [])

    async def test_it_counts_for_nothing_and_duplicates_nothing(self, lineage: Lineage) -> None:
        base = await add(lineage, "base", content="x")
        await _stage(lineage, "same", base, content="x")
        other = await _stage(lineage, "other", base)
        counts = await lineage.content.counts()
        assert (counts.models, counts.edges, counts.tensors) == (1, 0, 2)
        assert await lineage.content.duplicates(Page()) == []
        assert [model.uid for model in await lineage.content.parameter_sets(Page())] == [base.uid]
        assert other.parameters is not None
        assert [each.digest for each in await lineage.sketches.lacking(Page())] == [
            base.parameters.digest if base.parameters else b""
        ]
        again = await lineage.models.commit(make_commit("again", content="x"))
        assert again.same_as == ("base@1",)

    async def test_publishing_makes_what_a_commit_would_have_made(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        commit = _full_commit(base)
        await lineage.staging.stage(commit)
        [published] = await lineage.staging.publish([commit.uid])
        assert published.model == await find(lineage, "child@1")
        twin = replace(commit, uid=fresh_uid())
        committed = (await lineage.models.commit(twin)).model
        same = replace(published.model, uid=twin.uid, version=2, parents=committed.parents)
        assert replace(same, previous=committed.previous) == committed
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.staging.get(commit.uid)
        assert await lineage.staging.list_page(Page()) == []
        below = TraversalQuery(uid=base.uid, direction=Direction.DESCENDANTS)
        assert await uids(lineage, below) == {commit.uid, twin.uid}

    async def test_several_are_numbered_in_order(self, lineage: Lineage) -> None:
        base = await add(lineage, "m")
        first = await _stage(lineage, "m", base)
        second = await lineage.staging.stage(make_commit("m", ParentLink(parent_uid=first.uid)))
        assert second.parent_refs == (f"@{first.uid}",)
        done = await lineage.staging.publish([first.uid, second.uid])
        assert [each.model.ref for each in done] == ["m@2", "m@3"]
        assert (done[1].model.parent_refs, done[1].model.previous and done[1].model.previous.ref) == (
            ("m@2",),
            "m@2",
        )

    async def test_a_parent_stands_before_its_child(self, lineage: Lineage) -> None:
        parent = await _stage(lineage, "m")
        child = await lineage.staging.stage(make_commit("n", ParentLink(parent_uid=parent.uid)))
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.staging.publish([child.uid, parent.uid])
        assert await lineage.models.list_latest(Page()) == []

    async def test_who_lists_meanwhile_sees_all_that_is_published_or_nothing(self, lineage: Lineage) -> None:
        names = [f"m{number}" for number in range(60)]
        await lineage.models.commit_batch([make_commit(name, content=name) for name in names])
        staged = [await _stage(lineage, name) for name in names]
        publishing = asyncio.create_task(lineage.staging.publish([model.uid for model in staged]))
        looks: list[set[int]] = []
        while not publishing.done():
            listed = await lineage.models.list_latest(Page(size=len(names)))
            looks.append({model.version for model in listed})
            await asyncio.sleep(0)  # A twin that never waits lets nobody else on.
        await publishing
        assert all(len(versions) == 1 for versions in looks), looks
        assert {model.version for model in await lineage.models.list_latest(Page(size=len(names)))} == {2}

    async def test_a_parent_is_published_before_its_child(self, lineage: Lineage) -> None:
        parent = await _stage(lineage, "m")
        child = await lineage.staging.stage(make_commit("n", ParentLink(parent_uid=parent.uid)))
        with refused(FailedPreconditionError, ErrorReason.MODEL_STAGED):
            await lineage.staging.publish([child.uid])
        await lineage.staging.publish([parent.uid])
        assert (await lineage.staging.get(child.uid)).parent_refs == ("m@1",)
        [done] = await lineage.staging.publish([child.uid])
        assert done.model.parent_refs == ("m@1",)

    async def test_publishing_again_gives_the_same_model(self, lineage: Lineage) -> None:
        staged = await _stage(lineage, "m")
        [first] = await lineage.staging.publish([staged.uid])
        [again] = await lineage.staging.publish([staged.uid])
        assert (again.model, first.repeated, again.repeated) == (first.model, False, True)
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.staging.publish([fresh_uid()])

    async def test_results_stay_with_a_published_model(self, lineage: Lineage) -> None:
        test = await lineage.model_tests.register(make_model_test("t"))
        staged = await _stage(lineage, "m")
        [applicable] = await lineage.model_tests.applicable([staged.uid])
        assert [each.name for each in applicable.tests] == ["t"]
        await lineage.model_tests.record([make_result(test, staged, 1.0)])
        [before] = await lineage.model_tests.results(ResultQuery(model_uid=staged.uid), Page())
        assert before.model is not None
        assert before.model.state is ModelState.STAGED
        await lineage.staging.publish([staged.uid])
        [after] = await lineage.model_tests.results(ResultQuery(model_uid=staged.uid), Page())
        assert (after.uid, after.model and after.model.ref) == (before.uid, "m@1")
        assert await lineage.model_tests.results(ResultQuery(test_uid=test.uid), Page()) == [after]

    async def test_results_of_staged_models_are_in_no_list_of_others(self, lineage: Lineage) -> None:
        test = await lineage.model_tests.register(make_model_test("t"))
        model, staged = await add(lineage, "m"), await _stage(lineage, "m")
        await lineage.model_tests.record(
            [make_result(test, model, 1.0), make_result(test, staged, 0.5, at=1)]
        )
        for query in (ResultQuery(), ResultQuery(test_uid=test.uid)):
            [listed] = await lineage.model_tests.results(query, Page(size=1))
            assert listed.model_uid == model.uid
        both = ResultQuery(test_uid=test.uid, model_uid=staged.uid)
        assert len(await lineage.model_tests.results(both, Page())) == 1

    async def test_tests_of_its_type_apply(self, lineage: Lineage) -> None:
        await lineage.model_tests.register(make_model_test("t", type_name="bert"))
        staged = await lineage.staging.stage(replace(make_commit("m"), type="bert"))
        [applicable] = await lineage.model_tests.applicable([staged.uid])
        assert ([test.name for test in applicable.tests], applicable.model.uid) == (["t"], staged.uid)

    async def test_discarding_leaves_nothing(self, lineage: Lineage) -> None:
        base = await add(lineage, "base", content="x")
        test = await lineage.model_tests.register(make_model_test("t"))
        commit = replace(make_commit("m", *child_of(base)), creation=make_creation())
        staged = await lineage.staging.stage(commit)
        await lineage.model_tests.record([make_result(test, staged, 1.0)])
        await lineage.staging.discard([staged.uid])
        await lineage.staging.discard([staged.uid])
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.staging.get(staged.uid)
        assert await lineage.model_tests.results(ResultQuery(), Page()) == []
        assert await lineage.models.remove(base.uid) == base
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await find(lineage, f"@{base.uid}")
        with refused(NotFoundError, ErrorReason.TENSOR_NOT_FOUND):
            await lineage.bugs.report(make_bug("gone", TensorSubject(commit.tensors[0].digest)))

    async def test_what_has_a_staged_child_is_not_discarded_before_it(self, lineage: Lineage) -> None:
        parent = await _stage(lineage, "m")
        child = await lineage.staging.stage(make_commit("n", ParentLink(parent_uid=parent.uid)))
        with refused(FailedPreconditionError, ErrorReason.MODEL_STAGED):
            await lineage.staging.discard([parent.uid])
        await lineage.staging.discard([parent.uid, child.uid])
        assert await lineage.staging.list_page(Page()) == []

    async def test_it_keeps_its_parameters_when_their_last_model_goes(self, lineage: Lineage) -> None:
        model = await add(lineage, "m", content="x")
        staged = await _stage(lineage, "n", content="x")
        await lineage.models.remove(model.uid)
        assert (await lineage.staging.get(staged.uid)).parameters == staged.parameters
        [done] = await lineage.staging.publish([staged.uid])
        assert (done.model.parameters, (await lineage.content.counts()).tensors) == (staged.parameters, 2)

    async def test_a_parent_that_is_removed_stays_as_a_tombstone(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        staged = await _stage(lineage, "m", base)
        await lineage.models.remove(base.uid)
        assert (await find(lineage, "base@1")).state is ModelState.REMOVED
        [done] = await lineage.staging.publish([staged.uid])
        assert done.model.parent_refs == ("base@1",)

    async def test_a_version_before_that_was_removed_stops_the_publication(self, lineage: Lineage) -> None:
        older = await add(lineage, "m")
        await add(lineage, "child", older)
        commit = make_commit("m", previous=Previous(uid=older.uid, automatic=False))
        await lineage.staging.stage(commit)
        await lineage.models.remove(older.uid)
        with refused(FailedPreconditionError, ErrorReason.MODEL_REMOVED):
            await lineage.staging.publish([commit.uid])
        assert (await lineage.staging.get(commit.uid)).uid == commit.uid

    async def test_what_a_commit_refuses_is_not_staged(self, lineage: Lineage) -> None:
        await add(lineage, "Base")
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.staging.stage(make_commit("m", ParentLink(parent_uid=fresh_uid())))
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.staging.stage(make_commit("m", previous=Previous(uid=fresh_uid(), automatic=False)))
        with refused(InvalidArgumentError, ErrorReason.INVALID_NAME):
            await lineage.staging.stage(make_commit("base"))
        with refused(UnavailableError, ErrorReason.UPLOAD_STALE):
            await lineage.staging.stage(make_commit("m", epoch=0))
        assert await lineage.staging.list_page(Page()) == []
        assert (await lineage.content.counts()).tensors == 2

    async def test_a_staged_model_is_no_parent_of_a_published_one(self, lineage: Lineage) -> None:
        staged = await _stage(lineage, "m")
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await add(lineage, "n", staged)

    async def test_a_repeated_request_stages_and_publishes_once(self, lineage: Lineage) -> None:
        key = RequestKey(id="stage", arguments_digest=b"1" * 32)
        commit = make_commit("m")
        first = await lineage.staging.stage(commit, request=key)
        again = await lineage.staging.stage(replace(make_commit("m"), name="m"), request=key)
        assert (again, len(await lineage.staging.list_page(Page()))) == (first, 1)
        other = RequestKey(id="publish", arguments_digest=b"2" * 32)
        done = await lineage.staging.publish([commit.uid], other)
        repeated = await lineage.staging.publish([commit.uid], other)
        assert ([each.model for each in repeated], repeated[0].repeated) == ([done[0].model], True)

    async def test_all_are_listed_by_uid_in_pages(self, lineage: Lineage) -> None:
        made = sorted([(await _stage(lineage, "m")).uid for _ in range(3)])
        first = await lineage.staging.list_page(Page(size=2))
        rest = await lineage.staging.list_page(Page(size=2, after=first[-1].uid))
        assert [model.uid for model in (*first, *rest)] == made

    async def test_those_of_no_cascade_are_listed_by_uid_in_pages(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        made = [(await _stage(lineage, "m", old)).uid]
        await start_and_stage(lineage, old, new)
        made += [(await _stage(lineage, "m", old)).uid for _ in range(2)]
        assert len(await lineage.staging.list_page(Page())) == len(made) + 1
        first = await lineage.staging.list_undecided(Page(size=2))
        rest = await lineage.staging.list_undecided(Page(size=2, after=first[-1].uid))
        assert [model.uid for model in (*first, *rest)] == sorted(made)
        assert first[0] == await lineage.staging.get(first[0].uid)
        await lineage.staging.discard(made)
        assert await lineage.staging.list_undecided(Page()) == []
