"""Laws of questions from content to models, and of the binding."""

from __future__ import annotations

from dataclasses import replace

from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import Dataset
from mgit_core.ports.graph import GraphCounts, Lineage, Page
from mgit_storage.testing.lineage.steps import add, refs, refused
from mgit_storage.testing.values import fresh_uid, make_commit, make_creation

__all__ = ["BindingLaws", "ContentLaws"]


class ContentLaws:
    """Content leads to the present models that hold it."""

    async def test_a_tensor_leads_to_its_models(self, lineage: Lineage) -> None:
        commit = make_commit("a", content="same")
        await lineage.models.commit(commit)
        await add(lineage, "b", content="same")
        gone = await add(lineage, "c", content="same")
        await add(lineage, "child", gone)
        await lineage.models.remove(gone.uid)
        uses = await lineage.content.models_with_tensor(commit.tensors[1].digest, Page())
        assert [(use.model.ref, use.parameter) for use in uses] == [("a@1", "layer.1"), ("b@1", "layer.1")]
        assert await lineage.content.models_with_tensor(bytes(32), Page()) == []

    async def test_uses_of_a_tensor_come_in_pages(self, lineage: Lineage) -> None:
        commit = make_commit("a")
        tensor = commit.tensors[0]
        names = ("b/1", "a", "c")
        tensors = tuple(replace(tensor, name=name) for name in names)
        await lineage.models.commit(replace(commit, tensors=tensors))
        second = make_commit("b")
        await lineage.models.commit(replace(second, tensors=tensors[:1]))
        found: list[tuple[str, str]] = []
        after: str | None = None
        for _ in range(5):
            page = await lineage.content.models_with_tensor(tensor.digest, Page(size=1, after=after))
            found += [(use.model.name, use.parameter) for use in page]
            after = f"{page[-1].model.uid}/{page[-1].parameter}" if page else after
        assert found == [("a", "a"), ("a", "b/1"), ("a", "c"), ("b", "b/1")]

    async def test_duplicates_come_in_groups_and_pages(self, lineage: Lineage) -> None:
        for content in ("one", "two", "three"):
            await add(lineage, content, content=content)
        for content in ("two", "one"):
            await add(lineage, "again", content=content)
        groups = await lineage.content.duplicates(Page())
        assert {tuple(model.ref for model in group.models) for group in groups} == {
            ("one@1", "again@2"),
            ("two@1", "again@1"),
        }
        assert [group.digest for group in groups] == sorted(group.digest for group in groups)
        first = await lineage.content.duplicates(Page(size=1))
        rest = await lineage.content.duplicates(Page(size=1, after=first[0].digest.hex()))
        assert [*first, *rest] == groups
        assert await lineage.content.duplicates(Page(after=rest[0].digest.hex())) == []

    async def test_parameter_sets_come_by_uid_in_pages(self, lineage: Lineage) -> None:
        models = [await add(lineage, name) for name in ("c", "b", "a")]
        await add(lineage, "child", models[1])
        await lineage.models.remove(models[1].uid)
        first = await lineage.content.parameter_sets(Page(size=2))
        rest = await lineage.content.parameter_sets(Page(size=2, after=first[-1].uid))
        assert refs([*first, *rest]) == ["c@1", "a@1", "child@1"]
        assert first[0] == models[0]
        assert rest[0].parents == (), "edges are left out"
        assert rest[0].parameters is not None

    async def test_parameter_sets_come_without_what_only_tells_of_their_models(
        self, lineage: Lineage
    ) -> None:
        commit = replace(
            make_commit("m"),
            type="encoder",
            datasets=(Dataset(name="glue"),),
            creation=make_creation(),
            layer_graph=b"\1" * 32,
            layer_graph_key="layers/1",
        )
        made = (await lineage.models.commit(commit)).model
        [found] = await lineage.content.parameter_sets(Page())
        assert found == replace(made, type=None, datasets=(), creation=None)

    async def test_counts_add_up(self, lineage: Lineage) -> None:
        assert await lineage.content.counts() == GraphCounts(models=0, edges=0, tensors=0, logical_bytes=0)
        base = await add(lineage, "base", content="same")
        child = await add(lineage, "child", base, content="same")
        await lineage.models.commit(
            replace(make_commit("files"), files=b"\1" * 32, files_key="files/1", files_bytes=1_000)
        )
        assert await lineage.content.counts() == GraphCounts(
            models=3, edges=1, tensors=4, logical_bytes=3 * 64 + 1_000
        )
        await lineage.models.remove(child.uid)
        assert await lineage.content.counts() == GraphCounts(
            models=2, edges=1, tensors=4, logical_bytes=2 * 64 + 1_000
        )


class BindingLaws:
    """A graph belongs to one store."""

    async def test_a_bound_graph_may_be_bound_again_to_its_store_only(self, lineage: Lineage) -> None:
        await add(lineage, "m")
        with refused(FailedPreconditionError, ErrorReason.STORE_MISMATCH):
            await lineage.binding.bind(fresh_uid(), store_is_empty=True)
        assert (await lineage.content.counts()).models == 1

    async def test_a_new_graph_is_at_epoch_one(self, lineage: Lineage) -> None:
        assert await lineage.binding.epoch() == 1

    async def test_a_server_says_what_it_is(self, lineage: Lineage) -> None:
        version, edition = await lineage.binding.server()
        assert version
        assert edition
