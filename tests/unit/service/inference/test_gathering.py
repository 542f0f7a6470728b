"""Which models are looked at: near ones, their lineage, holders of equal tensors, recent ones; never many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import numpy as np
import pytest
from tests.unit.service.inference.related_models import RelatedWorld, encoder, pruned, related_world, tuned

from mgit_core.lineage import Model
from mgit_core.manifest import Manifest
from mgit_service.use_cases.inference import gathering
from mgit_service.use_cases.inference.gathering import find_candidates, is_before
from mgit_service.use_cases.inference.sampling import BlockReader


@pytest.fixture
async def world() -> AsyncIterator[RelatedWorld]:
    async with related_world() as opened:
        yield opened


@pytest.fixture
def no_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of a test are all recent; without those only the other ways lead to them."""
    monkeypatch.setattr(gathering, "_RECENT_MS", -3_600_000)


def manifest_of(world: RelatedWorld, model: Model) -> Manifest:
    assert model.parameters is not None
    return world.backend.parameters.read_manifest(model.parameters.manifest_key)


async def found(world: RelatedWorld, model: Model) -> list[str]:
    return [each.name for each in await find_candidates(world.backend, model, manifest_of(world, model))]


@pytest.mark.usefixtures("no_recent_ones")
async def test_near_models_come_best_first_without_the_model_itself(world: RelatedWorld) -> None:
    base = encoder(1)
    await world.add("far", tuned(base, 2, 0.05))
    await world.add("near", tuned(base, 3, 0.001))
    model = await world.add("model", base)
    assert await found(world, model) == ["near", "far"]


@pytest.mark.usefixtures("no_recent_ones")
async def test_lineage_of_near_models_comes_too(world: RelatedWorld) -> None:
    """A root whose sketch tells nothing, found through the one that was made from it."""
    base = encoder(1)
    root = await world.world.add("root", encoder(5))
    await world.add("near", tuned(base, 3), based_on=root)
    await world.world.add("sibling", encoder(6), based_on=root)
    model = await world.add("model", base)
    assert await found(world, model) == ["near", "root", "sibling"]


@pytest.mark.usefixtures("no_recent_ones")
async def test_holders_of_an_equal_matrix_come_without_any_sketch(world: RelatedWorld) -> None:
    base = encoder(1)
    await world.world.add("holder", {**encoder(2), "body.0.weight": base["body.0.weight"]})
    model = await world.add("model", base)
    assert await found(world, model) == ["holder"]


async def test_models_that_were_just_added_come_without_any_sketch(world: RelatedWorld) -> None:
    await world.world.add("recent", tuned(encoder(1), 2))
    model = await world.add("model", encoder(1))
    assert await found(world, model) == ["recent"]


async def test_of_models_with_the_same_parameters_one_comes_unless_they_are_the_models_own(
    world: RelatedWorld,
) -> None:
    base = encoder(1)
    for name in ("twin-1", "twin-2"):
        await world.add(name, tuned(base, 2))
    model = await world.add("model", base)
    await world.add("own-twin", base)
    names = await found(world, model)
    assert len([name for name in names if name.startswith("twin")]) == 1
    assert "own-twin" in names


async def test_never_more_than_a_few_come(world: RelatedWorld) -> None:
    tensors = {"weight": np.random.default_rng(1).normal(0, 1, (16, 16)).astype(np.float32)}
    for seed in range(50):
        await world.add(f"model-{seed}", tuned(tensors, seed))
    model = await world.add("model", tensors)
    assert 20 <= len(await found(world, model)) <= 40


@pytest.mark.usefixtures("no_recent_ones")
async def test_a_models_many_children_leave_room_for_its_parent(world: RelatedWorld) -> None:
    tensors = {"weight": np.random.default_rng(1).normal(0, 1, (32, 32)).astype(np.float32)}
    await world.add("parent", tensors)
    model = await world.add("model", tuned(tensors, 77, 0.3))
    own = world.world.store.parameters.read_manifest(model.parameters.manifest_key)  # type: ignore[union-attr]
    for seed in range(25):
        await world.add(f"child-{seed}", tuned(tuned(tensors, 77, 0.3), 100 + seed, 0.01))
    earlier = await find_candidates(world.backend, model, own, any_time=False)
    assert [each.name for each in earlier] == ["parent"]
    assert "parent" not in [each.name for each in await find_candidates(world.backend, model, own)]


async def test_removed_models_do_not_come(world: RelatedWorld) -> None:
    base = encoder(1)
    gone = await world.add("gone", tuned(base, 2))
    await world.add("child", tuned(base, 3), based_on=gone)
    await world.backend.lineage.models.remove(gone.uid)
    model = await world.add("model", base)
    assert await found(world, model) == ["child"]


async def test_the_older_one_is_before_and_of_one_moment_the_smaller_uid(world: RelatedWorld) -> None:
    one, other = await world.add("one", encoder(1)), await world.add("other", encoder(2))
    assert is_before(one, other)
    assert not is_before(other, one)
    assert other.created_at - one.created_at < timedelta(minutes=1)


async def test_equal_tensors_are_read_once(world: RelatedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    base = encoder(1)
    model = await world.add("model", base)
    compared = [each for each in manifest_of(world, model).parameters if each.name.startswith("body")]
    compared = [each for each in compared if len(each.spec.shape) == 2]
    read: list[bytes] = []
    whole = world.backend.chunks.read
    monkeypatch.setattr(world.backend.chunks, "read", lambda digest: (read.append(digest), whole(digest))[1])
    reader = BlockReader(world.backend)
    counterparts = {each.name: each for each in compared}
    first = await reader.sample(compared, counterparts)
    again = await reader.sample(compared, counterparts)
    assert len(read) == len(compared)
    for name in counterparts:
        np.testing.assert_array_equal(first.blocks[name], base[name].reshape(-1))
        assert first.blocks[name] is again.blocks[name]


async def test_a_block_of_a_large_matrix_touches_two_chunks_at_most(
    world: RelatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {"weight": np.random.default_rng(1).normal(0, 1, (1_500, 1_024)).astype(np.float32)}
    model = await world.add("model", pruned(large, 0.1))
    parameter = manifest_of(world, model).parameters[0]
    read: list[bytes] = []
    whole = world.backend.chunks.read
    monkeypatch.setattr(world.backend.chunks, "read", lambda digest: (read.append(digest), whole(digest))[1])
    sample = await BlockReader(world.backend).sample([parameter], {"weight": parameter})
    assert len(parameter.chunks) == 6
    assert len(read) <= 2
    assert sample.blocks["weight"].size == 64 * 1_024
    assert sample.blocks["weight"].dtype == np.float32
    assert sample.blocks["weight"].base is None
