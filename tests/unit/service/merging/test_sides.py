"""Which models may be merged, and against which base."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from tests.unit.core.merge.models import manifest
from tests.unit.service.merging.merge_world import NAMES, World, changed, tensors

from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)
from mgit_core.lineage import Model, ModelCommit, ParameterSet, ParentLink, Promise
from mgit_core.merge.values import ConflictChoice
from mgit_core.tensor import AnyArray
from mgit_service.use_cases.merging.request import MergeOutcome
from mgit_service.use_cases.transfer.commit import tensor_records
from mgit_storage.testing.values import fresh_uid


async def refusal(world: World, ours: Model | str, theirs: Model | str, **how: str) -> MGitError:
    with pytest.raises(MGitError) as caught:
        await world.merge(ours, theirs, **how)
    return caught.value


async def strangers(world: World) -> tuple[Model, Model]:
    ours = await world.add("ours", changed(tensors(), "head_a.weight"))
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"))
    return ours, theirs


async def test_models_without_a_common_ancestor_need_a_base(world: World, base: Model) -> None:
    """Even versions of one name: a version edge does not say what a model was made from."""
    ours, theirs = await strangers(world)
    error = await refusal(world, ours, theirs)
    assert error.reason is ErrorReason.NO_MERGE_BASE
    assert "--base REF" in error.message
    merge = await world.merge(ours, theirs, base="base")
    assert merge.end.outcome is MergeOutcome.MERGED
    assert "no common ancestor" in merge.findings.notes[0]
    assert merge.findings.base.uid == base.uid


async def test_several_merge_bases_are_named(world: World) -> None:
    content = tensors()
    roots = [await world.add(name, content) for name in ("one", "two")]
    ours = await world.add("ours", changed(content, "head_a.weight"), parents=roots)
    theirs = await world.add("theirs", changed(content, "head_b.weight"), parents=roots)
    error = await refusal(world, ours, theirs)
    assert error.reason is ErrorReason.MERGE_BASE_AMBIGUOUS
    assert {"one@1", "two@1"} == set(error.details["candidates"].split(", "))
    merge = await world.merge(ours, theirs, base="two")
    assert merge.findings.notes == ()


async def test_an_older_common_ancestor_may_be_named(world: World, base: Model) -> None:
    middle = await world.add("middle", changed(tensors(), "body.weight"), parents=[base])
    content = world.read(middle)
    ours = await world.add("ours", changed(content, "head_a.weight"), parents=[middle])
    theirs = await world.add("theirs", changed(content, "head_b.weight"), parents=[middle])
    merge = await world.merge(ours, theirs, base="base")
    assert merge.findings.notes == ()
    assert (merge.findings.counts.same, merge.end.outcome) == (1, MergeOutcome.MERGED)


async def test_one_model_as_both_sides_is_refused(world: World, base: Model) -> None:
    error = await refusal(world, "base", base)
    assert error.reason is ErrorReason.INVALID_ARGUMENT
    assert isinstance(error, InvalidArgumentError)


async def test_what_is_not_there_is_refused(world: World, base: Model) -> None:
    with pytest.raises(NotFoundError):
        await world.merge("nobody", "base")
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "head_b.weight"), parents=[base])
    await world.backend.lineage.models.remove(base.uid)
    error = await refusal(world, ours, theirs)
    assert error.reason is ErrorReason.MODEL_REMOVED
    assert "'--base REF'" in error.message
    await world.backend.lineage.models.remove(theirs.uid)
    assert (await refusal(world, ours, theirs)).reason is ErrorReason.MODEL_REMOVED


async def test_models_of_unlike_parameters_are_refused(world: World, base: Model) -> None:
    other = await world.add("other", {"adapter": tensors()["body.weight"]}, parents=[base])
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base])
    assert (await refusal(world, ours, other)).reason is ErrorReason.MODELS_UNLIKE


async def test_a_cast_side_conflicts_with_every_change_of_the_other(world: World, base: Model) -> None:
    """Of two data types no mean is taken; either side may be chosen."""
    cast = await world.add(
        "cast", {name: array.astype("float16") for name, array in tensors().items()}, parents=[base]
    )
    tuned = await world.add("tuned", changed(tensors(), *NAMES), parents=[base])
    merge = await world.merge(cast, tuned, ConflictChoice.AVERAGE)
    assert merge.end.outcome is MergeOutcome.CONFLICTED
    assert {(ConflictChoice.OURS, ConflictChoice.THEIRS)} == {
        each.choices for each in merge.findings.conflicts
    }
    chosen = await world.merge(cast, tuned, ConflictChoice.OURS)
    assert chosen.model.parameters is not None
    assert cast.parameters is not None
    assert chosen.model.parameters.digest == cast.parameters.digest


async def test_a_staged_model_is_merged_only_when_it_is_published(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "body.weight"), parents=[base])
    theirs = await world.add("theirs", changed(tensors(), "body.bias"), parents=[base])
    staged = (await world.merge(ours, theirs)).model
    error = await refusal(world, f"@{staged.uid}", ours)
    assert error.reason in {ErrorReason.MODEL_STAGED, ErrorReason.MODEL_NOT_FOUND}


async def promised(
    world: World, name: str, content: Mapping[str, AnyArray], parent: Model | None = None
) -> Model:
    """A model whose manifest is here and whose chunks are at a remote."""
    parameters = manifest(content)
    commit = ModelCommit(
        uid=fresh_uid(),
        name=name,
        created_at=datetime.now(UTC),
        parameters=ParameterSet(
            digest=parameters.digest,
            manifest_key=world.backend.parameters.write_manifest(parameters),
            size_bytes=parameters.size_bytes,
            tensor_count=len(parameters.parameters),
            promised_by=Promise(store_id="1", remote="team"),
        ),
        tensors=tensor_records(parameters),
        epoch=await world.backend.lineage.binding.epoch(),
        parents=() if parent is None else (ParentLink(parent_uid=parent.uid),),
    )
    return (await world.backend.lineage.models.commit(commit)).model


async def test_a_side_whose_chunks_are_elsewhere_says_where(world: World, base: Model) -> None:
    ours = await world.add("ours", changed(tensors(), "head_a.weight"), parents=[base])
    theirs = await promised(world, "theirs", changed(tensors(), "head_b.weight"), base)
    for one, other in ((ours, theirs), (theirs, ours)):
        error = await refusal(world, one, other)
        assert error.reason is ErrorReason.PARAMETERS_PROMISED
        assert (error.details["remote"], error.details["model"]) == ("team", "theirs@1")


async def test_of_a_base_chunks_are_needed_only_to_compute_with(world: World) -> None:
    """Its manifest says what changed; a mean takes the sides alone."""
    start = tensors(seed=7)
    base = await promised(world, "far", start)
    ours = await world.add("ours", changed(start, *NAMES, seed=1), parents=[base])
    theirs = await world.add("theirs", changed(start, *NAMES, seed=2), parents=[base])
    for choice in (ConflictChoice.OURS, ConflictChoice.AVERAGE):
        assert (await world.merge(ours, theirs, choice)).end.outcome is MergeOutcome.MERGED
    for choice in (ConflictChoice.TASK_ARITHMETIC, ConflictChoice.TIES):
        with pytest.raises(FailedPreconditionError) as caught:
            await world.merge(ours, theirs, choice)
        assert caught.value.reason is ErrorReason.PARAMETERS_PROMISED
