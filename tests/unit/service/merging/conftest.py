"""A world with a base for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.unit.service.merging.merge_world import World, open_world, tensors

from mgit_core.lineage import Model


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


@pytest.fixture
async def base(world: World) -> Model:
    return await world.add("base", tensors(), type="net")
