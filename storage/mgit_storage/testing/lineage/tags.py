"""Laws of tags."""

from __future__ import annotations

import asyncio

from mgit_core.errors import ConflictError, ErrorReason, FailedPreconditionError, MGitError, NotFoundError
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.steps import add, find, refused
from mgit_storage.testing.values import fresh_uid

__all__ = ["TagLaws"]


class TagLaws:
    """A tag points to one version of its model name, until somebody moves it by force."""

    async def test_tags_move_only_by_force(self, lineage: Lineage) -> None:
        first, second = await add(lineage, "m"), await add(lineage, "m")
        await lineage.tags.put(first.uid, "prod")
        await lineage.tags.put(first.uid, "prod")
        with refused(ConflictError, ErrorReason.TAG_MOVED):
            await lineage.tags.put(second.uid, "prod")
        moved = await lineage.tags.put(second.uid, "prod", force=True)
        assert await lineage.tags.list("m") == [moved]
        assert (moved.model_name, moved.tag, moved.model.ref) == ("m", "prod", "m@2")

    async def test_a_deleted_tag_is_gone(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        put = await lineage.tags.put(model.uid, "prod")
        assert await lineage.tags.delete("m", "prod") == put
        assert await lineage.tags.list("m") == []
        for name in ("m", "M", "nobody"):
            with refused(NotFoundError, ErrorReason.TAG_NOT_FOUND):
                await lineage.tags.delete(name, "prod")

    async def test_tags_are_sorted_and_heed_case(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        for tag in ("b", "B", "a"):
            await lineage.tags.put(model.uid, tag)
        assert [tag.tag for tag in await lineage.tags.list("m")] == ["B", "a", "b"]
        assert (await find(lineage, "m")).tags == ("B", "a", "b")
        assert await lineage.tags.list("M") == await lineage.tags.list("nobody") == []

    async def test_names_have_tags_of_their_own(self, lineage: Lineage) -> None:
        one, two = await add(lineage, "one"), await add(lineage, "two")
        for model in (one, two):
            await lineage.tags.put(model.uid, "prod")
        assert (await find(lineage, "one@prod")).uid == one.uid
        assert (await find(lineage, "two@prod")).uid == two.uid

    async def test_a_model_that_is_not_there_takes_no_tag(self, lineage: Lineage) -> None:
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.tags.put(fresh_uid(), "prod")

    async def test_a_removed_model_takes_no_tag(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        await add(lineage, "child", base)
        await lineage.models.remove(base.uid)
        with refused(FailedPreconditionError, ErrorReason.MODEL_REMOVED):
            await lineage.tags.put(base.uid, "prod")

    async def test_of_rivals_for_a_tag_one_gets_it(self, lineage: Lineage) -> None:
        models = [await add(lineage, "m") for _ in range(4)]
        results = await asyncio.gather(
            *(lineage.tags.put(model.uid, "prod") for model in models), return_exceptions=True
        )
        refused_ones = [result for result in results if isinstance(result, MGitError)]
        assert [error.reason for error in refused_ones] == [ErrorReason.TAG_MOVED] * 3
        assert len(await lineage.tags.list("m")) == 1
