"""Laws of removing models."""

from __future__ import annotations

from dataclasses import replace

from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.lineage import Direction, ModelState
from mgit_core.ports.graph import Lineage, Page, TraversalQuery
from mgit_storage.testing.lineage.steps import add, find, hops, refused
from mgit_storage.testing.values import fresh_uid, make_commit

__all__ = ["RemovalLaws"]


class RemovalLaws:
    """What is removed is gone where nothing needs it, and a tombstone elsewhere."""

    async def test_a_removed_number_is_never_given_again(self, lineage: Lineage) -> None:
        await add(lineage, "m")
        second = await add(lineage, "m")
        await lineage.models.remove(second.uid)
        assert (await find(lineage, "m")).version == 1
        third = await add(lineage, "m")
        await lineage.models.remove(third.uid)
        assert (await add(lineage, "m")).version == 4

    async def test_the_number_of_a_model_that_is_gone_is_not_given_again(self, lineage: Lineage) -> None:
        only = await add(lineage, "m")
        await lineage.models.remove(only.uid)
        assert (await add(lineage, "m")).ref == "m@2"

    async def test_a_removed_model_without_edges_is_gone(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        assert await lineage.models.remove(model.uid) == model
        for reference in ("m", "m@1", f"@{model.uid}"):
            with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
                await find(lineage, reference)
        counts = await lineage.content.counts()
        assert (counts.models, counts.tensors, counts.logical_bytes) == (0, 0, 0)

    async def test_a_removed_parent_stays_as_a_tombstone(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        child = await add(lineage, "child", base)
        before = await lineage.models.remove(base.uid)
        after = await find(lineage, "base@1")
        assert before == base
        assert (after.state, after.parameters, after.files) == (ModelState.REMOVED, None, None)
        query = TraversalQuery(uid=child.uid, direction=Direction.ANCESTORS)
        assert await hops(lineage, query) == [("base@1", 1)]
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await find(lineage, "base")

    async def test_a_tombstone_has_no_documents(self, lineage: Lineage) -> None:
        commit = replace(
            make_commit("base"),
            files=b"\1" * 32,
            files_key="files/key",
            layer_graph=b"\2" * 32,
            layer_graph_key="layers/key",
        )
        base = (await lineage.models.commit(commit)).model
        [listed] = await lineage.content.parameter_sets(Page(size=2))
        assert (listed.files_key, listed.layer_graph_key) == ("files/key", "layers/key")
        await add(lineage, "child", base)
        await lineage.models.remove(base.uid)
        after = await find(lineage, "base@1")
        assert (after.files, after.files_key, after.layer_graph, after.layer_graph_key) == (None,) * 4

    async def test_a_removed_child_stays_as_a_tombstone(self, lineage: Lineage) -> None:
        child = await add(lineage, "child", await add(lineage, "base"))
        await lineage.models.remove(child.uid)
        assert (await find(lineage, "child@1")).parent_refs == ("base@1",)

    async def test_removing_twice_returns_the_tombstone(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        await add(lineage, "child", base)
        await lineage.models.remove(base.uid)
        assert (await lineage.models.remove(base.uid)).state is ModelState.REMOVED

    async def test_a_tagged_model_leaves_a_tombstone_without_tags(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        await lineage.tags.put(model.uid, "prod")
        assert (await lineage.models.remove(model.uid)).tags == ("prod",)
        assert (await find(lineage, "m@1")).tags == ()
        assert await lineage.tags.list("m") == []
        with refused(NotFoundError, ErrorReason.TAG_NOT_FOUND):
            await find(lineage, "m@prod")

    async def test_removing_keeps_what_others_use(self, lineage: Lineage) -> None:
        first = await add(lineage, "a", content="same")
        await add(lineage, "b", content="same")
        await lineage.models.remove(first.uid)
        assert (await lineage.content.counts()).tensors == 2
        assert await lineage.content.duplicates(Page()) == []
        assert (await find(lineage, "b")).parameters == first.parameters

    async def test_removing_keeps_tensors_of_other_sets(self, lineage: Lineage) -> None:
        small = make_commit("small", content="same", tensors=2)
        large = make_commit("large", content="same", tensors=3)
        await lineage.models.commit_batch([small, large])
        await lineage.models.remove(large.uid)
        assert (await lineage.content.counts()).tensors == 2
        assert await lineage.content.models_with_tensor(large.tensors[2].digest, Page()) == []

    async def test_a_model_that_is_not_there_is_not_removed(self, lineage: Lineage) -> None:
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.models.remove(fresh_uid())

    async def test_what_was_removed_can_be_committed_again(self, lineage: Lineage) -> None:
        first = await add(lineage, "m", content="same")
        await lineage.models.remove(first.uid)
        again = await add(lineage, "m", content="same")
        assert (again.ref, (await lineage.content.counts()).tensors) == ("m@2", 2)
