"""Merges done again from their records, and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.service.merging.merge_world import BODY, NAMES, World, changed, tensors

from mgit_core.creation import MERGE_ENTRY_POINT, CreationRecord
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import Model
from mgit_core.merge.recording import MergeCall, read_merge_call
from mgit_core.merge.values import ConflictChoice, MergeOptions
from mgit_service.use_cases.merging.rebuilding import MergeComparison, rebuild_merge
from mgit_service.use_cases.merging.request import MergeOutcome, MergeProgress


async def rebuilt(world: World, model: Model) -> MergeComparison:
    *before, last = [step async for step in rebuild_merge(world.backend, f"@{model.uid}")]
    assert all(isinstance(step, MergeProgress) for step in before)
    assert isinstance(last, MergeComparison)
    return last


@pytest.mark.parametrize("choice", ConflictChoice)
async def test_a_merge_is_made_again_bit_for_bit(world: World, base: Model, choice: ConflictChoice) -> None:
    """No chunk is new then, and no model is made."""
    ours = await world.add("ours", changed(tensors(), *BODY, seed=1), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), *NAMES, seed=2), parents=[base])
    merge = await world.merge(ours, theirs, choice, accept=True)
    counts, packs = await world.backend.lineage.content.counts(), world.pack_bytes

    found = await rebuilt(world, merge.model)

    assert found == MergeComparison(model=merge.model, parameter_count=len(NAMES))
    assert await world.backend.lineage.content.counts() == counts
    assert world.pack_bytes == packs


async def test_a_record_says_what_was_asked_for(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "body.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight", seed=2), parents=[base])
    options = MergeOptions(
        on_conflict=ConflictChoice.TIES,
        choices=(("body.*", ConflictChoice.OURS), ("é[!*]?", ConflictChoice.AVERAGE)),
        scale=0.1,
        density=1 / 3,
    )
    for is_accepted in (True, False):
        merge = await world.merge(ours, theirs, options=options, accept=is_accepted)
        assert merge.end.outcome is (MergeOutcome.MERGED if is_accepted else MergeOutcome.STAGED)
        record = merge.model.creation
        assert record is not None
        assert record.entry_point == MERGE_ENTRY_POINT
        assert read_merge_call(record) == MergeCall(
            base_uid=base.uid, options=options, is_accepted=is_accepted
        )


async def test_a_fast_forward_is_recorded_too(world: World, base: Model) -> None:
    newer = await world.add("newer", changed(tensors(), *NAMES), parents=[base])
    merge = await world.merge(newer, base)
    assert merge.model.creation is not None
    assert read_merge_call(merge.model.creation).base_uid == base.uid
    assert (await rebuilt(world, merge.model)).different == ()


async def test_choices_that_take_too_much_room_are_told_and_not_kept(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base])
    choices = tuple((f"{at:0100}", ConflictChoice.OURS) for at in range(1_000))
    merge = await world.merge(ours, theirs, options=MergeOptions(choices=choices))
    assert merge.end.outcome is MergeOutcome.MERGED
    assert merge.model.creation is None
    assert "leaves it out" in merge.findings.notes[-1]
    with pytest.raises(FailedPreconditionError) as refused:
        await rebuilt(world, merge.model)
    assert refused.value.reason is ErrorReason.NO_CREATION_FUNCTION


async def test_a_creation_function_is_not_merged(world: World) -> None:
    record = CreationRecord(entry_point="makers:tune", code_digest=bytes(32))
    made = await world.add("made", tensors(), creation=record)
    with pytest.raises(FailedPreconditionError) as refused:
        await rebuilt(world, made)
    assert refused.value.reason is ErrorReason.NO_CREATION_FUNCTION


async def test_what_is_another_is_named(world: World, base: Model) -> None:
    """A model that claims to be a merge, and has what no merge of its parents gives."""
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base])
    merge = await world.merge(ours, theirs)
    content = {
        **world.read(merge.model),
        "body.weight": np.zeros((64, 64), np.float32),
        "body.bias": np.zeros((2, 3), np.float32),
        "extra.weight": np.zeros(3, np.float32),
    }
    del content["head_a.weight"]
    claimed = await world.add("claimed", content, merged_from=(ours, theirs), creation=merge.model.creation)

    found = await rebuilt(world, claimed)

    assert replace(found, model=merge.model) == MergeComparison(
        model=merge.model,
        parameter_count=4,
        different=("body.weight",),
        missing=("extra.weight",),
        unexpected=("head_a.weight",),
        reshaped=(("body.bias", "float32 [2, 3]", "float32 [64, 64]"),),
    )


async def test_sides_that_conflict_now_are_refused(world: World, base: Model) -> None:
    """Of a claim: the same models merge to the same."""
    sides = [
        await world.add(name, changed(tensors(), "body.weight", seed=at), parents=[base])
        for at, name in enumerate(("ours", "theirs"), start=1)
    ]
    merge = await world.merge(*sides, ConflictChoice.OURS, accept=True)
    assert merge.model.creation is not None
    record = replace(
        merge.model.creation, arguments={**merge.model.creation.arguments, "on_conflict": "fail"}
    )
    claimed = await world.add("claimed", tensors(), merged_from=tuple(sides), creation=record)
    with pytest.raises(FailedPreconditionError) as refused:
        await rebuilt(world, claimed)
    assert refused.value.reason is ErrorReason.CREATION_FAILED
