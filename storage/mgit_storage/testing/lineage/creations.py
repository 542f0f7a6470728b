"""Laws of creation records."""

from __future__ import annotations

from dataclasses import replace

from mgit_core.creation import CreationRecord
from mgit_core.lineage import Model, ModelState
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, child_of, find, refs
from mgit_storage.testing.values import fresh_uid, make_commit, make_creation

__all__ = ["CreationLaws"]


async def _create(lineage: Lineage, name: str, creation: CreationRecord, *parents: Model) -> Model:
    """A new model with a creation record."""
    commit = replace(make_commit(name, *child_of(*parents)), creation=creation)
    return (await lineage.models.commit(commit)).model


class CreationLaws:
    """How a model was created is kept to the letter, each model's own."""

    async def test_a_creation_record_reads_back_as_it_was_given(self, lineage: Lineage) -> None:
        creation = make_creation(group=fresh_uid(), member="head")
        answered = await _create(lineage, "m", creation)
        model = await find(lineage, "m")
        assert (model, model.creation) == (answered, creation)
        assert [type(value) for value in creation.arguments.values()] == [
            type((model.creation or creation).arguments[name]) for name in creation.arguments
        ]

    async def test_an_empty_creation_record_reads_back(self, lineage: Lineage) -> None:
        creation = make_creation(source="", arguments={}, seed=None, environment={})
        await _create(lineage, "m", creation)
        assert (await find(lineage, "m")).creation == creation
        assert (await add(lineage, "n")).creation is None

    async def test_a_seed_of_zero_is_a_seed(self, lineage: Lineage) -> None:
        model = await _create(lineage, "m", make_creation(seed=0))
        assert model.creation is not None
        assert model.creation.seed == 0

    async def test_models_of_one_function_keep_their_own_calls(self, lineage: Lineage) -> None:
        first, second = make_creation(seed=1), make_creation(seed=2, arguments={"rate": 0.2})
        await _create(lineage, "m", first)
        await _create(lineage, "n", second)
        assert [(await find(lineage, name)).creation for name in "mn"] == [first, second]

    async def test_nobodys_source_comes_to_stand_at_anothers_model(self, lineage: Lineage) -> None:
        """The digest is the client's word; a lie must not change what others see."""
        honest, liar = make_creation(), make_creation(source="something else")
        await _create(lineage, "liar", liar)
        await _create(lineage, "m", honest)
        assert [(await find(lineage, name)).creation for name in ("m", "liar")] == [honest, liar]

    async def test_lists_leave_out_the_source(self, lineage: Lineage) -> None:
        creation = make_creation()
        await _create(lineage, "m", creation)
        listed = [
            *await lineage.models.list_latest(Page()),
            *await lineage.models.list_versions("m", Page()),
        ]
        assert [model.creation for model in listed] == [replace(creation, source="")] * 2

    async def test_a_tombstone_tells_how_it_was_created(self, lineage: Lineage) -> None:
        model = await _create(lineage, "m", make_creation())
        await add(lineage, "child", model)
        assert await lineage.models.remove(model.uid) == model
        assert (await find(lineage, f"@{model.uid}")).creation == model.creation

    async def test_a_record_outlives_another_model_of_its_function(self, lineage: Lineage) -> None:
        model = await _create(lineage, "m", make_creation())
        other = await _create(lineage, "n", make_creation())
        await lineage.models.remove(model.uid)
        assert (await find(lineage, "n")).creation == other.creation

    async def test_models_of_one_call_are_listed_by_member_in_pages(self, lineage: Lineage) -> None:
        group, other = fresh_uid(), fresh_uid()
        for name, key, member in (
            ("z", group, "a"),
            ("y", group, "c"),
            ("x", group, "b"),
            ("w", other, "a"),
        ):
            await _create(lineage, name, make_creation(group=key, member=member))
        await _create(lineage, "alone", make_creation())
        first = await lineage.models.list_created_together(group, Page(size=2))
        rest = await lineage.models.list_created_together(group, Page(size=2, after="b"))
        assert refs([*first, *rest]) == ["z@1", "x@1", "y@1"]
        assert first[0].creation == make_creation(group=group, member="a", source="")
        assert await lineage.models.list_created_together(group, Page(after="c")) == []
        assert await lineage.models.list_created_together(fresh_uid(), Page()) == []

    async def test_a_removed_member_is_listed_as_long_as_it_is_known(self, lineage: Lineage) -> None:
        group = fresh_uid()
        parent = await add(lineage, "parent")
        kept = await _create(lineage, "kept", make_creation(group=group, member="a"), parent)
        await _create(lineage, "gone", make_creation(group=group, member="b"))
        await add(lineage, "child", kept)
        for name in ("kept", "gone"):
            await lineage.models.remove((await find(lineage, name)).uid)
        [found] = await lineage.models.list_created_together(group, Page())
        assert (found.uid, found.state) == (kept.uid, ModelState.REMOVED)
        assert [edge.parent_uid for edge in found.parents] == [parent.uid]
