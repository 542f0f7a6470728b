"""Parents of stored models, found from their weights."""

from __future__ import annotations

from collections.abc import AsyncIterator

import ml_dtypes
import numpy as np
import pytest
from tests.unit.service.inference.related_models import (
    RelatedWorld,
    Tensors,
    adapted,
    cast,
    encoder,
    head,
    mixed,
    pruned,
    related_world,
    tuned,
)

from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError
from mgit_core.inference.kinship import Claim, Kinship
from mgit_core.lineage import Relation
from mgit_service.use_cases.inference.inferring import (
    MAX_REFERENCES,
    Inference,
    InferenceJob,
    infer_lineage,
    infer_parents,
)


@pytest.fixture
async def world() -> AsyncIterator[RelatedWorld]:
    async with related_world() as opened:
        yield opened


async def infer(world: RelatedWorld, reference: str, **job: object) -> Inference:
    return await infer_parents(world.backend, reference, InferenceJob(**job))  # type: ignore[arg-type]


def told(claims: tuple[Claim, ...]) -> set[tuple[str, str]]:
    return {(claim.parent.ref, claim.kinship.value) for claim in claims}


MADE = {
    Kinship.FINETUNED: lambda base: tuned(base, 9),
    Kinship.ADAPTED: lambda base: adapted(base, 9),
    Kinship.PRUNED: lambda base: pruned(base, 0.5),
    Kinship.CAST: lambda base: cast(base, np.dtype(ml_dtypes.bfloat16)),
    Kinship.HEAD_REPLACED: lambda base: {**base, **head(9, 3)},
    Kinship.DUPLICATE: dict,
}


@pytest.mark.parametrize("kinship", MADE)
async def test_every_kinship_is_recognized_and_its_parent_found(
    world: RelatedWorld, kinship: Kinship
) -> None:
    base: Tensors = encoder(1)
    await world.add("base", base)
    await world.add("other", encoder(2))
    await world.add("sibling", tuned(base, 3))
    await world.add("child", MADE[kinship](base))
    found = await infer(world, "child")
    assert told(found.claims) == {("base@1", kinship.value)}
    claim = found.claims[0]
    assert claim.child.ref == "child@1"
    assert claim.confidence >= 0.6
    assert all(claim.evidence)


async def test_a_merge_has_all_its_members_with_their_shares(world: RelatedWorld) -> None:
    base = encoder(1)
    await world.add("base", base)
    members = [tuned(base, seed) for seed in (2, 3, 4)]
    for number, member in enumerate(members):
        await world.add(f"member-{number}", member)
    await world.add("soup", mixed((0.5, members[0]), (0.3, members[1]), (0.2, members[2])))
    found = await infer(world, "soup")
    shares = {claim.parent.name: claim.weight for claim in found.claims}
    assert {claim.kinship for claim in found.claims} == {Kinship.MERGED}
    assert shares == pytest.approx({"member-0": 0.5, "member-1": 0.3, "member-2": 0.2}, abs=1e-3)


async def test_models_from_scratch_are_roots_whatever_their_shapes(world: RelatedWorld) -> None:
    for seed in range(4):
        await world.add(f"scratch-{seed}", encoder(seed))
        found = await infer(world, f"scratch-{seed}")
        assert found.claims == ()
        assert found.note


async def test_a_chain_leads_to_the_last_link_and_siblings_to_what_they_share(world: RelatedWorld) -> None:
    base = encoder(1)
    first = tuned(base, 2)
    second = tuned(first, 3)
    for name, tensors in (("base", base), ("first", first), ("beside", tuned(base, 5)), ("second", second)):
        await world.add(name, tensors)
    assert told((await infer(world, "second")).claims) == {("first@1", "finetuned")}
    assert told((await infer(world, "beside")).claims) == {("base@1", "finetuned")}


async def test_two_trainings_on_the_same_data_are_siblings_though_they_are_near_each_other(
    world: RelatedWorld,
) -> None:
    base = encoder(1)
    learned = tuned(base, 2, 0.02)
    await world.add("base", base)
    await world.add("one", tuned(learned, 3, 0.003))
    await world.add("again", tuned(learned, 4, 0.003))
    assert told((await infer(world, "again")).claims) == {("base@1", "finetuned")}


async def test_time_decides_where_weights_do_not(world: RelatedWorld) -> None:
    base = encoder(1)
    await world.add("first", tuned(base, 2))
    await world.add("second", base)
    assert (await infer(world, "first")).claims == ()
    assert told((await infer(world, "second")).claims) == {("first@1", "finetuned")}


@pytest.mark.parametrize("kinship", [Kinship.PRUNED, Kinship.CAST])
async def test_weights_decide_though_the_child_was_added_first(world: RelatedWorld, kinship: Kinship) -> None:
    base = encoder(1)
    await world.add("child", MADE[kinship](base))
    await world.add("base", base)
    assert (await infer(world, "base")).claims == ()
    assert (await infer(world, "child")).claims == ()
    later = await infer(world, "child", any_time=True)
    assert told(later.claims) == {("base@1", kinship.value)}


async def test_a_finetune_of_a_pruned_model_comes_from_that_and_not_from_the_dense_one(
    world: RelatedWorld,
) -> None:
    base = encoder(1)
    sparse = pruned(base, 0.5)
    masked = {
        name: np.where(sparse[name] == 0, 0, array).astype(array.dtype)
        for name, array in tuned(sparse, 4).items()
    }
    await world.add("base", base)
    await world.add("sparse", sparse)
    await world.add("sparse-tuned", masked)
    assert told((await infer(world, "sparse-tuned")).claims) == {("sparse@1", "finetuned")}


async def test_models_from_the_same_first_values_are_no_kin(world: RelatedWorld) -> None:
    random = np.random.default_rng(1)
    start = random.normal(0, 0.1, (6, 64, 64))
    for name, seed in (("one", 2), ("other", 3)):
        own = np.random.default_rng(seed)
        learned = own.normal(0, 0.24, (6, 64, 2)) @ own.normal(0, 0.24, (6, 2, 64))
        learned += own.normal(0, 0.03, learned.shape)
        tensors = {f"body.{at}.weight": (start[at] + learned[at]).astype(np.float32) for at in range(6)}
        await world.add(name, tensors)
    found = await infer(world, "other")
    assert found.claims == ()
    assert "first values" in found.note


async def test_an_embedding_alone_that_was_taken_over_makes_no_kin(world: RelatedWorld) -> None:
    await world.add("one", encoder(1))
    await world.add("other", {**encoder(2), "body.0.weight": encoder(1)["body.0.weight"]})
    assert (await infer(world, "other")).claims == ()


async def test_an_adapter_alone_is_placed_at_the_one_origin_that_it_fits(world: RelatedWorld) -> None:
    base = encoder(1)
    stored = await world.add("base", base)
    await world.add("child", tuned(base, 2), based_on=stored)
    await world.add("wide", encoder(3, width=96))
    random = np.random.default_rng(5)
    factors = {
        f"base_model.model.body.{layer}.lora_{side}.weight": random.normal(0, 0.1, shape).astype(np.float32)
        for layer in range(4)
        for side, shape in (("A", (4, 64)), ("B", (64, 4)))
    }
    await world.add("adapter", factors)
    found = await infer(world, "adapter")
    assert told(found.claims) == {("base@1", "adapted")}
    await world.add("stranger", encoder(6))
    await world.add("adapter-2", tuned(factors, 1))
    doubtful = await infer(world, "adapter-2")
    assert doubtful.claims == ()
    assert "0.30" in doubtful.note


async def test_an_adapter_that_fits_nothing_says_so(world: RelatedWorld) -> None:
    await world.add("adapter", {"x.lora_A.weight": np.ones((2, 9)), "x.lora_B.weight": np.ones((9, 2))})
    found = await infer(world, "adapter")
    assert found.claims == ()
    assert "fits" in found.note


async def test_below_the_threshold_nothing_is_claimed_and_the_note_says_what_might_be(
    world: RelatedWorld,
) -> None:
    base = encoder(1)
    await world.add("base", base)
    await world.add("child", tuned(base, 2))
    found = await infer(world, "child", min_confidence=1.0)
    assert found.claims == ()
    assert "base@1" in found.note


async def test_a_relative_that_cannot_be_read_is_passed_over(world: RelatedWorld) -> None:
    base = encoder(1)
    stored = await world.add("base", base)
    await world.add("child", tuned(base, 2))
    assert stored.parameters is not None
    world.world.store.parameters.maintenance.delete(stored.parameters.manifest_key, lambda: None)
    found = await infer(world, "child")
    assert found.claims == ()


async def test_a_model_without_matrices_is_a_root(world: RelatedWorld) -> None:
    await world.add("one", {"bias": np.arange(9, dtype=np.float32), "count": np.arange(3)})
    await world.add("two", {"bias": np.arange(9, dtype=np.float32) + 1, "count": np.arange(3)})
    assert (
        await infer(world, "two")
    ).note == "It has no matrix of floating-point numbers that could be compared."


async def test_weights_that_are_no_numbers_do_no_harm(world: RelatedWorld) -> None:
    base = encoder(1)
    broken = tuned(base, 2)
    broken["body.0.weight"][:5] = np.nan
    broken["body.1.weight"][0, 0] = np.inf
    await world.add("base", base)
    await world.add("broken", broken)
    assert told((await infer(world, "broken")).claims) == {("base@1", "finetuned")}
    await world.add(
        "all-nan",
        {name: np.full_like(array, np.nan) for name, array in base.items() if array.dtype.kind == "f"},
    )
    assert (await infer(world, "all-nan")).claims == ()


async def test_a_whole_lineage_comes_by_time_with_progress(world: RelatedWorld) -> None:
    base = encoder(1)
    stored = await world.add("base", base)
    await world.add("declared", tuned(base, 2), based_on=stored)
    await world.add("orphan", tuned(base, 3))
    steps = [step async for step in infer_lineage(world.backend, (), InferenceJob())]
    assert [(step.model.name, step.done, step.total) for step in steps] == [
        ("base", 1, 3),
        ("declared", 2, 3),
        ("orphan", 3, 3),
    ]
    orphans = [step async for step in infer_lineage(world.backend, (), InferenceJob(only_orphans=True))]
    assert [step.model.name for step in orphans] == ["base", "orphan"]
    assert told(orphans[1].claims) == {("base@1", "finetuned")}
    named = [
        step async for step in infer_lineage(world.backend, ("orphan", "base", "orphan"), InferenceJob())
    ]
    assert [step.model.name for step in named] == ["base", "orphan"]


async def test_a_damaged_model_of_many_gives_a_note_and_the_others_go_on(world: RelatedWorld) -> None:
    base = encoder(1)
    await world.add("base", base)
    damaged = await world.add("damaged", tuned(base, 2))
    await world.add("child", tuned(base, 3))
    assert damaged.parameters is not None
    world.world.store.parameters.maintenance.delete(damaged.parameters.manifest_key, lambda: None)
    steps = [step async for step in infer_lineage(world.backend, (), InferenceJob())]
    assert "cannot be read" in steps[1].note
    assert told(steps[2].claims) == {("base@1", "finetuned")}


async def test_what_cannot_be_asked_is_refused(world: RelatedWorld) -> None:
    with pytest.raises(NotFoundError):
        await infer(world, "nobody")
    with pytest.raises(InvalidArgumentError) as error:
        InferenceJob(min_confidence=1.5)
    assert error.value.reason is ErrorReason.INVALID_ARGUMENT
    with pytest.raises(InvalidArgumentError):
        await anext(infer_lineage(world.backend, ["x"] * (MAX_REFERENCES + 1), InferenceJob()))
    model = await world.add("gone", encoder(1))
    await world.add("child-of-gone", tuned(encoder(1), 2), based_on=model)
    await world.backend.lineage.models.remove(model.uid)
    with pytest.raises(FailedPreconditionError):
        await infer(world, f"@{model.uid}")


async def test_a_claim_says_the_relation_of_its_edge(world: RelatedWorld) -> None:
    base = encoder(1)
    await world.add("base", base)
    await world.add("child", {**base, **head(2, 3)})
    await world.add("twin", base)
    assert [claim.relation for claim in (await infer(world, "child")).claims] == [Relation.FINETUNED]
    assert [claim.relation for claim in (await infer(world, "twin")).claims] == [None]
