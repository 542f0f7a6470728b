"""Laws of a batch of commits."""

from __future__ import annotations

from dataclasses import replace

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError, UnavailableError
from mgit_core.lineage import ParentLink, Previous
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, child_of, find, refs, refused
from mgit_storage.testing.values import fresh_uid, make_commit

__all__ = ["BatchLaws"]


class BatchLaws:
    """A batch is as good as its commits one by one, but all or none."""

    async def test_a_batch_may_hold_its_own_parents(self, lineage: Lineage) -> None:
        base = make_commit("base")
        child = make_commit("child", ParentLink(parent_uid=base.uid))
        done = await lineage.models.commit_batch([base, child])
        assert [each.model.ref for each in done] == ["base@1", "child@1"]
        assert (await find(lineage, "child")).parent_refs == ("base@1",)

    async def test_a_batch_counts_versions_and_links_them(self, lineage: Lineage) -> None:
        first = await add(lineage, "m")
        commits = [make_commit("m"), make_commit("n"), make_commit("m")]
        commits.append(make_commit("n", previous=Previous(uid=commits[1].uid)))
        done = [each.model for each in await lineage.models.commit_batch(commits)]
        assert refs(done) == ["m@2", "n@1", "m@3", "n@2"]
        previous = [None if model.previous is None else model.previous.ref for model in done]
        assert previous == ["m@1", None, "m@2", "n@1"]
        assert [await find(lineage, model.ref) for model in done] == done
        assert (await add(lineage, "m")).version == first.version + 3

    async def test_a_batch_says_what_is_the_same_within_it(self, lineage: Lineage) -> None:
        await add(lineage, "old", content="same")
        commits = [make_commit(name, content="same") for name in ("b", "a", "c")]
        done = await lineage.models.commit_batch(commits)
        assert [each.same_as for each in done] == [("old@1",), ("b@1", "old@1"), ("a@1", "b@1", "old@1")]
        assert (await lineage.content.counts()).tensors == 2

    async def test_a_batch_is_all_or_nothing(self, lineage: Lineage) -> None:
        child = make_commit("child", ParentLink(parent_uid=fresh_uid()))
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.models.commit_batch([make_commit("base"), child])
        with refused(UnavailableError, ErrorReason.UPLOAD_STALE):
            await lineage.models.commit_batch([make_commit("base"), make_commit("child", epoch=7)])
        with refused(InvalidArgumentError, ErrorReason.INVALID_NAME):
            await lineage.models.commit_batch([make_commit("base"), make_commit("Base")])
        assert await lineage.models.list_latest(Page()) == []

    async def test_a_parent_stands_earlier_in_a_batch(self, lineage: Lineage) -> None:
        later = make_commit("later")
        early = make_commit("early", ParentLink(parent_uid=later.uid))
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.models.commit_batch([early, later])
        early = make_commit("early", previous=Previous(uid=later.uid))
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.models.commit_batch([early, later])

    async def test_a_batch_has_at_most_a_thousand_models(self, lineage: Lineage) -> None:
        commit = make_commit("m")
        with refused(InvalidArgumentError, ErrorReason.INVALID_ARGUMENT):
            await lineage.models.commit_batch([replace(commit, uid=fresh_uid()) for _ in range(1_001)])
        assert await lineage.models.commit_batch([]) == []

    async def test_a_parent_named_twice_in_a_batch_is_refused(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        with refused(InvalidArgumentError, ErrorReason.INVALID_ARGUMENT):
            await lineage.models.commit_batch([make_commit("m", *child_of(base, base))])
