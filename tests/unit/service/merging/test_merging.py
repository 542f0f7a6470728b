"""Merges from end to end, without a server: what is made, with which parents, and what it says of itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.unit.service.merging.merge_world import BODY, NAMES, World, changed, tensors

from mgit_core.errors import ConflictError, ErrorReason, NotFoundError, UnavailableError
from mgit_core.lineage import Model, ModelState, Relation, RequestKey
from mgit_core.merge.values import ConflictChoice, MergeOptions
from mgit_core.names import Reference
from mgit_service.use_cases.merging.merging import decide_merge, merge_models
from mgit_service.use_cases.merging.request import MergeOrder, MergeOutcome, MergeProgress


async def test_two_heads_are_merged_at_once(world: World, base: Model) -> None:
    """No new chunk is stored, the result has both parents in order, and says how it was made."""
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base], type="net")
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base], type="net")
    before = world.pack_bytes
    merge = await world.merge(ours, theirs)
    assert merge.end.outcome is MergeOutcome.MERGED
    assert before == world.pack_bytes
    wanted = {**changed(tensors(), "head_a.weight"), "head_b.weight": world.read(theirs)["head_b.weight"]}
    for name, array in world.read(merge.model).items():
        np.testing.assert_array_equal(wanted[name], array)
    links = [(edge.parent_uid, edge.relation, edge.weight) for edge in merge.model.parents]
    assert links == [(ours.uid, Relation.MERGED, None), (theirs.uid, Relation.MERGED, None)]
    assert (merge.model.name, merge.model.version, merge.model.type) == ("merged", 1, "net")
    recipe = json.loads(str(merge.model.metadata["merge"]))
    assert recipe["base"] == {"ref": "base@1", "uid": base.uid}
    assert recipe["parameters"] == {
        "unchanged": 2,
        "ours": 1,
        "theirs": 1,
        "same": 0,
        "conflict": 0,
        "resolved": 0,
    }
    assert merge.model.layer_graph == ours.layer_graph


async def test_a_merge_under_a_used_name_is_its_next_version(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base])
    model = (await world.merge(ours, theirs, name="base")).model
    assert model.ref == "base@2"
    assert model.previous is not None
    assert model.previous.uid == base.uid


async def test_conflicts_make_nothing(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "body.weight", seed=1), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "body.weight", seed=2), parents=[base])
    merge = await world.merge(ours, theirs)
    assert merge.end.outcome is MergeOutcome.CONFLICTED
    assert merge.end.model is None
    assert [conflict.names for conflict in merge.findings.conflicts] == [("body.weight",)]
    with pytest.raises(NotFoundError):
        await world.backend.lineage.models.get(Reference(name="merged"))


@pytest.mark.parametrize("is_published", [True, False])
async def test_a_possible_conflict_is_staged_until_somebody_decides(
    world: World, base: Model, *, is_published: bool
) -> None:
    ours = await world.add("ours", changed(tensors(), "body.weight"), parents=[base], type="net")
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base], type="net")
    merge = await world.merge(ours, theirs)
    assert merge.end.outcome is MergeOutcome.STAGED
    assert merge.model.state is ModelState.STAGED
    with pytest.raises(NotFoundError):
        await world.backend.lineage.models.get(Reference(name="merged"))
    key = RequestKey(id="decide", arguments_digest=bytes(32))
    decided = await decide_merge(world.backend, merge.model.uid, is_published=is_published, request=key)
    if is_published:
        found = await world.backend.lineage.models.get(Reference(name="merged"))
        assert decided is not None
        assert (found.uid, found.ref) == (merge.model.uid, "merged@1")
        assert [edge.parent_uid for edge in found.parents] == [ours.uid, theirs.uid]
        again = await decide_merge(world.backend, merge.model.uid, is_published=True, request=key)
        assert again is not None
        assert again.ref == "merged@1"
    else:
        assert decided is None
        with pytest.raises(NotFoundError):
            await world.backend.lineage.staging.get(merge.model.uid)


async def test_a_possible_conflict_that_is_accepted_is_a_model(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "body.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "body.bias"), parents=[base])
    merge = await world.merge(ours, theirs, accept=True)
    assert merge.end.outcome is MergeOutcome.MERGED
    assert len(merge.findings.possible) == 1


@pytest.mark.parametrize("is_ours", [True, False])
async def test_what_was_made_from_the_other_side_is_the_result(
    world: World, base: Model, *, is_ours: bool
) -> None:
    """As in git a fast forward; but the result is a model of its own, with both parents."""
    newer = await world.add("newer", changed(tensors(), *NAMES), parents=[base])
    merge = await world.merge(newer, base) if is_ours else await world.merge(base, newer)
    assert merge.end.outcome is MergeOutcome.FAST_FORWARDED
    assert merge.model.parameters is not None
    assert newer.parameters is not None
    assert newer.parameters.digest == merge.model.parameters.digest
    assert len(merge.model.parents) == 2


async def test_models_that_were_changed_alike_are_merged_to_the_same(world: World, base: Model) -> None:
    both = [await world.add(name, changed(tensors(), *BODY), parents=[base]) for name in ("ours", "theirs")]
    merge = await world.merge(*both)
    assert merge.end.outcome is MergeOutcome.MERGED
    assert both[0].parameters is not None
    assert merge.model.parameters is not None
    assert both[0].parameters.digest == merge.model.parameters.digest


async def test_a_repeat_of_a_request_gives_the_first_answer(world: World, base: Model) -> None:
    """Also when a side was removed meanwhile; the same id for something else is refused."""
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base])
    key = RequestKey(id="once", arguments_digest=bytes(32))
    first = await world.merge(ours, theirs, request=key)
    await world.backend.lineage.models.remove(ours.uid)
    again = await world.merge(ours, theirs, request=key)
    assert first.model.uid == again.model.uid
    assert first.findings.counts == again.findings.counts
    assert (first.findings.base.uid, first.end.outcome) == (again.findings.base.uid, again.end.outcome)
    with pytest.raises(ConflictError) as caught:
        await world.merge(ours, theirs, request=RequestKey(id="once", arguments_digest=bytes([1] * 32)))
    assert caught.value.reason is ErrorReason.REQUEST_ID_REUSED


async def test_a_repeat_of_a_staged_merge_gives_the_same_staged_model(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "body.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "body.bias"), parents=[base])
    key = RequestKey(id="staged", arguments_digest=bytes(32))
    first = await world.merge(ours, theirs, request=key)
    again = await world.merge(ours, theirs, request=key)
    assert first.model.uid == again.model.uid


async def test_the_type_and_the_data_sets_come_from_both(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base], type="net")
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base], type="classifier")
    assert (await world.merge(ours, theirs)).model.type == "classifier"


async def test_what_was_chosen_is_in_the_recipe(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), *NAMES, seed=1), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), *NAMES, seed=2), parents=[base])
    options = MergeOptions(
        on_conflict=ConflictChoice.TASK_ARITHMETIC, choices=(("head_*", ConflictChoice.OURS),), scale=0.5
    )
    merge = await world.merge(ours, theirs, options=options)
    assert merge.end.outcome is MergeOutcome.MERGED
    recipe = json.loads(str(merge.model.metadata["merge"]))
    assert (recipe["on_conflict"], recipe["choices"]) == ("task-arithmetic", [["head_*", "ours"]])
    assert recipe["scale"] == 0.5
    assert [edge.weight for edge in merge.model.parents] == [0.5, 0.5]


async def test_a_collection_that_begins_meanwhile_refuses_the_merge_and_a_repeat_makes_it(
    world: World, base: Model
) -> None:
    """What was found to be there before it may be gone: nothing is committed on such a finding."""
    ours = await world.add("ours", changed(tensors(), "head_a.weight", seed=1), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_a.weight", seed=2), parents=[base])
    order = MergeOrder(
        ours="ours", theirs="theirs", name="merged", options=MergeOptions(on_conflict=ConflictChoice.AVERAGE)
    )

    async def merge_while_a_collection_begins() -> None:
        async for step in merge_models(world.backend, order):
            if isinstance(step, MergeProgress):
                lease = await world.backend.lineage.leases.acquire("gc", 60.0)
                await world.backend.lineage.binding.condemn(None, lease)

    with pytest.raises(UnavailableError) as caught:
        await merge_while_a_collection_begins()
    assert caught.value.reason is ErrorReason.UPLOAD_STALE
    merge = await world.merge(ours, theirs, ConflictChoice.AVERAGE)
    assert merge.model.ref == "merged@1"
