"""Sketches that models lack, made when asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.memory_world import World, open_world
from tests.unit.service.inference.related_models import encoder

from mgit_core.errors import NotFoundError
from mgit_core.ports.graph import Page
from mgit_service.use_cases.inference.backfill import backfill_sketches


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


async def lacking(world: World) -> int:
    return len(await world.backend.lineage.sketches.lacking(Page()))


async def test_every_lacking_sketch_is_made_and_counted(world: World) -> None:
    for seed in range(3):
        await world.add(f"model-{seed}", encoder(seed))
    assert [step async for step in backfill_sketches(world.backend)] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert await lacking(world) == 0
    assert [step async for step in backfill_sketches(world.backend)] == [(0, 0)]


async def test_what_was_interrupted_goes_on_where_it_was(world: World) -> None:
    for seed in range(4):
        await world.add(f"model-{seed}", encoder(seed))
    steps = backfill_sketches(world.backend)
    while (await anext(steps))[0] < 2:
        pass
    await steps.aclose()
    assert await lacking(world) == 2
    assert [step async for step in backfill_sketches(world.backend)] == [(0, 2), (1, 2), (2, 2)]


async def test_what_cannot_be_read_is_told_after_all_others_were_made(world: World) -> None:
    models = [await world.add(f"model-{seed}", encoder(seed)) for seed in range(3)]
    assert models[1].parameters is not None
    world.store.parameters.maintenance.delete(models[1].parameters.manifest_key, lambda: None)
    steps = backfill_sketches(world.backend)
    assert [await anext(steps) for _ in range(4)] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    with pytest.raises(NotFoundError):
        await anext(steps)
    assert await lacking(world) == 1
