"""Models that one call of a creation function made, as the catalog lists them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.ports.graph import Lineage, Page
from mgit_service.use_cases.lineage.catalog import list_created_together
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.values import fresh_uid, make_commit, make_creation


@pytest.fixture
async def lineage() -> AsyncIterator[Lineage]:
    graph = open_memory_graph()
    await graph.binding.bind("00000000-0000-4000-8000-000000000001", store_is_empty=True)
    yield graph
    await graph.binding.close()


async def test_models_of_one_call_are_listed_without_the_source_of_its_function(lineage: Lineage) -> None:
    group = fresh_uid()
    for name, member in (("b", "mnli"), ("a", "sst")):
        creation = make_creation(group=group, member=member)
        await lineage.models.commit(replace(make_commit(name), creation=creation))
    found = await list_created_together(lineage, group, Page())
    assert [model.ref for model in found] == ["b@1", "a@1"]
    assert {model.creation.source for model in found if model.creation} == {""}


async def test_models_that_were_made_alone_have_no_group_in_common(lineage: Lineage) -> None:
    await lineage.models.commit(replace(make_commit("alone"), creation=make_creation()))
    with pytest.raises(InvalidArgumentError) as caught:
        await list_created_together(lineage, "", Page())
    assert caught.value.reason is ErrorReason.INVALID_CREATION
