"""Conflicts resolved by numbers: right, the same for swapped sides, and stored for nearly nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.unit.service.merging.merge_world import NAMES, World, changed, tensors

from mgit_core.errors import NotFoundError
from mgit_core.lineage import Model
from mgit_core.merge.values import ConflictChoice, MergeOptions
from mgit_core.names import Reference
from mgit_core.tensor import AnyArray, dtype_named
from mgit_service.use_cases.merging.merging import merge_models
from mgit_service.use_cases.merging.request import MergeOrder, MergeOutcome, MergeProgress

COMPUTED = [ConflictChoice.AVERAGE, ConflictChoice.TASK_ARITHMETIC, ConflictChoice.TIES]
# Two chunks and a bit for each tensor, so that pieces have seams.
LARGE = (600, 1_000)


async def sides(
    world: World, kind: str = "float32", shape: tuple[int, ...] = (64, 64)
) -> tuple[Model, Model, Model]:
    """A base, and two models that changed all of it."""
    content = tensors(kind=kind, shape=shape)
    base = await world.add("start", content)
    ours = await world.add("ours", changed(content, *NAMES, seed=1), parents=[base])
    theirs = await world.add("theirs", changed(content, *NAMES, seed=2), parents=[base])
    return base, ours, theirs


def mean(old: AnyArray, mine: AnyArray, other: AnyArray) -> AnyArray:
    del old
    return (mine + other) / mine.dtype.type(2)


def tasks(old: AnyArray, mine: AnyArray, other: AnyArray) -> AnyArray:
    return old + ((mine - old) + (other - old))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    ("choice", "compute"), [(ConflictChoice.AVERAGE, mean), (ConflictChoice.TASK_ARITHMETIC, tasks)]
)
async def test_the_numbers_are_those_of_plain_arithmetic(
    world: World,
    kind: str,
    choice: ConflictChoice,
    compute: Callable[[AnyArray, AnyArray, AnyArray], AnyArray],
) -> None:
    models = await sides(world, kind)
    wide = np.float64 if kind == "float64" else np.float32
    merge = await world.merge(*models[1:], choice)
    assert merge.end.outcome is MergeOutcome.MERGED
    three = [world.read(model) for model in models]
    for name, found in world.read(merge.model).items():
        wanted = compute(*(each[name].astype(wide) for each in three)).astype(dtype_named(kind))
        assert wanted.tobytes() == found.tobytes()


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("choice", COMPUTED)
async def test_what_is_computed_from_the_sides_is_stored_as_that(
    world: World, kind: str, choice: ConflictChoice
) -> None:
    """No residue is left."""
    base, ours, theirs = await sides(world, kind, LARGE)
    before = world.pack_bytes
    merge = await world.merge(ours, theirs, choice)
    assert base.parameters is not None
    assert world.pack_bytes - before <= 0.01 * base.parameters.size_bytes
    assert 0 < merge.end.stored_bytes <= 0.01 * base.parameters.size_bytes + 4_096


@pytest.mark.parametrize("choice", COMPUTED)
@pytest.mark.parametrize("kind", ["float32", "float16"])
async def test_swapped_sides_give_the_same_parameters(
    world: World, choice: ConflictChoice, kind: str
) -> None:
    _, ours, theirs = await sides(world, kind)
    one, other = await world.merge(ours, theirs, choice), await world.merge(theirs, ours, choice)
    assert one.model.parameters is not None
    assert other.model.parameters is not None
    assert one.model.parameters.digest == other.model.parameters.digest


async def test_ties_takes_its_threshold_over_all_chunks_of_a_tensor(world: World) -> None:
    """The largest fifth of a tensor's changes counts, wherever they stand."""
    base, ours, theirs = await sides(world, "float32", LARGE)
    options = MergeOptions(on_conflict=ConflictChoice.TIES, density=0.1)
    merged = world.read((await world.merge(ours, theirs, options=options)).model)
    old, mine, other = (world.read(model) for model in (base, ours, theirs))
    for name, found in merged.items():
        changes = [side[name] - old[name] for side in (mine, other)]
        for change in changes:
            change[np.abs(change) < np.sort(np.abs(change), axis=None)[-change.size // 10]] = 0
        both = (changes[0] != 0) & (changes[1] != 0)
        one = ((changes[0] != 0) | (changes[1] != 0)) & ~both
        np.testing.assert_array_equal(np.where(changes[0] != 0, mine[name], other[name])[one], found[one])
        np.testing.assert_array_equal(old[name][~one & ~both], found[~one & ~both])


async def test_only_conflicts_are_computed(world: World, base: Model) -> None:
    """What one side alone changed is its own, bit for bit, whatever was chosen."""
    ours = await world.add("ours", changed(tensors(), "head_a.weight", "body.bias", seed=1), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_a.weight", seed=2), parents=[base])
    merge = await world.merge(ours, theirs, ConflictChoice.AVERAGE, accept=True)
    found = world.read(merge.model)
    np.testing.assert_array_equal(world.read(ours)["body.bias"], found["body.bias"])
    progress = [step for step in merge.steps if isinstance(step, MergeProgress)]
    assert [step.total_bytes for step in progress] == [16_384]
    assert progress[-1].done_bytes == progress[-1].total_bytes


async def test_a_merge_that_is_cut_off_leaves_no_model_and_can_be_repeated(world: World) -> None:
    _, ours, theirs = await sides(world, "float32", LARGE)
    order = MergeOrder(
        ours=f"@{ours.uid}",
        theirs=f"@{theirs.uid}",
        name="merged",
        options=MergeOptions(on_conflict=ConflictChoice.AVERAGE),
    )
    steps = merge_models(world.backend, order)
    async for step in steps:
        if isinstance(step, MergeProgress):
            break
    await steps.aclose()
    with pytest.raises(NotFoundError):
        await world.backend.lineage.models.get(Reference(name="merged"))
    assert (await world.merge(ours, theirs, ConflictChoice.AVERAGE)).model.ref == "merged@1"
