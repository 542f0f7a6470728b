from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.lineage import Model, Relation, RequestKey
from mgit_core.ports.graph import Lineage, Page
from mgit_service.use_cases.lineage.catalog import list_models, remove_model
from mgit_service.use_cases.references import (
    ParentRequest,
    change_resolved,
    find_model,
    resolve_parent,
    resolve_uid,
    resolve_uids,
)
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.values import make_commit

REQUEST = RequestKey(id="r", arguments_digest=b"d" * 32)
STORE_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def graph() -> AsyncIterator[Lineage]:
    lineage = open_memory_graph()
    await lineage.binding.bind(STORE_ID, store_is_empty=True)
    yield lineage
    await lineage.binding.close()


@pytest.fixture
async def model(graph: Lineage) -> Model:
    return (await graph.models.commit(make_commit("base"))).model


async def test_a_model_is_found_by_any_reference(graph: Lineage, model: Model) -> None:
    for reference in ("base", "base@1", f"@{model.uid}", f"@{model.uid.upper()}"):
        assert await find_model(graph, reference) == model
        assert await resolve_uid(graph, reference) == model.uid


async def test_uids_come_once_in_order(graph: Lineage, model: Model) -> None:
    other = (await graph.models.commit(make_commit("other"))).model
    found = await resolve_uids(graph, ["other", "base", "other@1", f"@{model.uid}"])
    assert found == [other.uid, model.uid]


async def test_a_parent_is_pinned_with_all_that_it_says(graph: Lineage, model: Model) -> None:
    link = await resolve_parent(graph, ParentRequest(reference="base", relation=Relation.MERGED, weight=0.5))
    assert (link.parent_uid, link.relation, link.weight) == (model.uid, Relation.MERGED, 0.5)


@pytest.mark.parametrize("reference", ["none", "base@2", "base@prod"])
@pytest.mark.usefixtures("model")
async def test_a_parent_that_is_not_there_is_told_as_a_parent(graph: Lineage, reference: str) -> None:
    with pytest.raises(NotFoundError, match=reference) as caught:
        await resolve_parent(graph, ParentRequest(reference=reference))
    assert caught.value.reason is ErrorReason.PARENT_NOT_FOUND


async def test_a_bad_reference_of_a_parent_stays_a_bad_reference(graph: Lineage) -> None:
    with pytest.raises(InvalidArgumentError):
        await resolve_parent(graph, ParentRequest(reference="../x"))


async def test_a_repeated_removal_gets_the_first_answer(graph: Lineage, model: Model) -> None:
    assert await remove_model(graph, "base", REQUEST) == model
    assert await remove_model(graph, "base", REQUEST) == model


async def test_without_an_earlier_answer_the_reference_is_what_is_told(graph: Lineage) -> None:
    with pytest.raises(NotFoundError, match="none"):
        await remove_model(graph, "none", REQUEST)


async def test_other_errors_of_the_change_are_told() -> None:
    async def missing() -> str:
        raise NotFoundError(ErrorReason.MODEL_NOT_FOUND, "There is none.")

    async def change(uid: str) -> str:
        raise InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, uid)

    with pytest.raises(InvalidArgumentError, match="nothing"):
        await change_resolved(missing(), change, nothing="nothing", request=REQUEST)


async def test_a_prefix_that_no_name_can_have_finds_nothing(graph: Lineage) -> None:
    assert await list_models(graph, Page(), prefix="x" * 201, type_name="") == []
