"""The laws of merges through a store: what comes out is what the plan says, bit for bit, and nothing else is stored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.service.merging.merge_world import NAMES, World, changed, open_world, tensors

from mgit_core.lineage import Model
from mgit_core.merge.values import ConflictChoice, MergeOptions
from mgit_service.use_cases.merging.recipe import RECIPE_KEY
from mgit_service.use_cases.merging.request import MergeOutcome

SOME = st.lists(st.sampled_from(NAMES), unique=True, min_size=1)


def digest(model: Model) -> bytes:
    assert model.parameters is not None
    return model.parameters.digest


@settings(max_examples=12, deadline=None)
@given(names=SOME, kind=st.sampled_from(("float32", "float16", "bfloat16")))
async def test_what_one_side_left_alone_is_the_other_side(names: list[str], kind: str) -> None:
    """Digests of parameters and of files, and no byte of a chunk is written."""
    async with open_world() as world:
        start = tensors(kind=kind, shape=(8, 8))
        base = await world.add("base", start, notes={"config.json": "1"}, has_weights_file=True)
        one = await world.add(
            "one", changed(start, *names), parents=[base], notes={"config.json": "2"}, has_weights_file=True
        )
        other = await world.add(
            "other", start, parents=[base], notes={"config.json": "1"}, has_weights_file=True
        )
        before = world.pack_bytes
        for pair in ((one, base), (base, one), (one, other), (other, one)):
            merge = await world.merge(*pair)
            assert (digest(one), one.files) == (digest(merge.model), merge.model.files)
        assert before == world.pack_bytes


@settings(max_examples=12, deadline=None)
@given(
    ours=SOME, theirs=SOME, choice=st.sampled_from(list(ConflictChoice)), density=st.sampled_from((0.1, 1.0))
)
async def test_swapped_sides_give_the_same_model(
    ours: list[str], theirs: list[str], choice: ConflictChoice, density: float
) -> None:
    mirrored = {ConflictChoice.OURS: ConflictChoice.THEIRS, ConflictChoice.THEIRS: ConflictChoice.OURS}
    async with open_world() as world:
        start = tensors(shape=(8, 8))
        base = await world.add("base", start)
        one = await world.add("one", changed(start, *ours, seed=1), parents=[base])
        two = await world.add("two", changed(start, *theirs, seed=2), parents=[base])
        straight = MergeOptions(on_conflict=choice, density=density)
        swapped = MergeOptions(on_conflict=mirrored.get(choice, choice), density=density)
        found = await world.merge(one, two, options=straight, accept=True)
        mirror = await world.merge(two, one, options=swapped, accept=True)
        assert digest(found.model) == digest(mirror.model)
        assert found.findings.counts.conflict == mirror.findings.counts.conflict == len({*ours} & {*theirs})


@pytest.mark.parametrize(
    "choice", [ConflictChoice.AVERAGE, ConflictChoice.TASK_ARITHMETIC, ConflictChoice.TIES]
)
async def test_a_computed_merge_of_merges_is_read_back(world: World, choice: ConflictChoice) -> None:
    """A merge of merges rests on differences of differences; what is read is what was computed."""
    start = tensors()
    base = await world.add("start", start)
    tips = [await world.add(f"tip-{at}", changed(start, *NAMES, seed=at), parents=[base]) for at in range(4)]
    halves = [(await world.merge(*tips[at : at + 2], choice, name=f"half-{at}")).model for at in (0, 2)]
    whole = await world.merge(*halves, choice, base="start")
    assert whole.end.outcome is MergeOutcome.MERGED
    values = [world.read(model) for model in (base, *halves)]
    for name, found in world.read(whole.model).items():
        old, mine, other = (each[name] for each in values)
        if choice is ConflictChoice.AVERAGE:
            np.testing.assert_array_equal((mine + other) / np.float32(2), found)
        elif choice is ConflictChoice.TASK_ARITHMETIC:
            np.testing.assert_array_equal(old + ((mine - old) + (other - old)), found)
        else:
            assert np.isfinite(found).all()
            assert not np.array_equal(old, found)


async def test_a_recipe_stays_small_whatever_is_chosen(world: World, base: Model) -> None:
    """A thousand long patterns would be more than metadata may take."""
    ours = await world.add("ours", changed(tensors(), *NAMES, seed=1), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), *NAMES, seed=2), parents=[base])
    patterns = tuple((f"{number}" * 500, ConflictChoice.OURS) for number in range(999))
    merge = await world.merge(
        ours, theirs, options=MergeOptions(choices=(*patterns, ("*", ConflictChoice.THEIRS)))
    )
    recipe = json.loads(str(merge.model.metadata[RECIPE_KEY]))
    assert (recipe["class"], recipe["outcome"]) == ("no-conflict", "merged")
    assert "scale" not in recipe
    assert len(str(merge.model.metadata[RECIPE_KEY])) < 64 * 1024
