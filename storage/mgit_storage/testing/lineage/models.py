"""Laws of finding and listing models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, find, refs, refused
from mgit_storage.testing.values import UNKNOWN_UID, make_commit

__all__ = ["ModelLaws"]


class ModelLaws:
    """References lead to models; lists come in order, in pages, and whole."""

    async def test_every_kind_of_reference_finds_the_model(self, lineage: Lineage) -> None:
        first, second = await add(lineage, "m"), await add(lineage, "m")
        await lineage.tags.put(first.uid, "good")
        for text, uid in (
            ("m", second.uid),
            ("m@latest", second.uid),
            ("m@1", first.uid),
            ("m@good", first.uid),
            (f"@{first.uid}", first.uid),
        ):
            assert (await find(lineage, text)).uid == uid

    @pytest.mark.parametrize("text", ["nobody", "M", "m@7", f"@{UNKNOWN_UID}"])
    async def test_a_model_that_is_not_there_is_not_found(self, lineage: Lineage, text: str) -> None:
        await add(lineage, "m")
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await find(lineage, text)

    @pytest.mark.parametrize("text", ["m@nothing", "nobody@nothing", "m@Good"])
    async def test_a_tag_that_is_not_there_is_not_found(self, lineage: Lineage, text: str) -> None:
        await lineage.tags.put((await add(lineage, "m")).uid, "good")
        with refused(NotFoundError, ErrorReason.TAG_NOT_FOUND):
            await find(lineage, text)

    async def test_the_catalog_comes_in_pages_by_name(self, lineage: Lineage) -> None:
        for name in ("c", "a", "B", "a/x", "c"):
            await add(lineage, name)
        first = await lineage.models.list_latest(Page(size=3))
        rest = await lineage.models.list_latest(Page(size=3, after=first[-1].name))
        assert refs([*first, *rest]) == ["a@1", "a/x@1", "B@1", "c@2"]
        assert await lineage.models.list_latest(Page(after="c")) == []

    async def test_the_catalog_keeps_to_a_prefix_in_any_case(self, lineage: Lineage) -> None:
        for name in ("a", "A/x", "ab", "b"):
            await add(lineage, name)
        assert refs(await lineage.models.list_latest(Page(), prefix="A")) == ["a@1", "A/x@1", "ab@1"]
        assert refs(await lineage.models.list_latest(Page(size=1, after="a"), prefix="a")) == ["A/x@1"]
        assert await lineage.models.list_latest(Page(), prefix="a/x/") == []

    async def test_the_catalog_keeps_to_a_type(self, lineage: Lineage) -> None:
        for name, kind in (("a", "bert"), ("b", "vit"), ("c", "bert"), ("a", "vit"), ("d", None)):
            await lineage.models.commit(replace(make_commit(name), type=kind))
        assert refs(await lineage.models.list_latest(Page(), type_name="bert")) == ["c@1"]
        first = await lineage.models.list_latest(Page(size=1), type_name="vit")
        rest = await lineage.models.list_latest(Page(size=1, after=first[0].name), type_name="vit")
        assert refs([*first, *rest]) == ["a@2", "b@1"]
        assert await lineage.models.list_latest(Page(), type_name="gpt") == []

    async def test_versions_come_newest_first_removed_ones_too(self, lineage: Lineage) -> None:
        models = [await add(lineage, "m") for _ in range(4)]
        await lineage.models.remove(models[2].uid)
        first = await lineage.models.list_versions("m", Page(size=3))
        rest = await lineage.models.list_versions("m", Page(size=3, after=str(first[-1].version)))
        assert refs([*first, *rest]) == ["m@4", "m@3", "m@2", "m@1"]
        assert [model.state.value for model in first] == ["present", "removed", "present"]
        assert await lineage.models.list_versions("m", Page(after="1")) == []

    async def test_the_versions_of_a_name_never_used_are_not_found(self, lineage: Lineage) -> None:
        only = await add(lineage, "m")
        for name in ("nobody", "M"):
            with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
                await lineage.models.list_versions(name, Page())
        await lineage.models.remove(only.uid)
        assert await lineage.models.list_versions("m", Page()) == []

    @pytest.mark.parametrize("after", ["one", "-1", "", "²", "99999999999"])
    async def test_versions_go_on_after_a_number_only(self, lineage: Lineage, after: str) -> None:
        await add(lineage, "m")
        with refused(InvalidArgumentError, ErrorReason.INVALID_PAGE_TOKEN):
            await lineage.models.list_versions("m", Page(after=after))
