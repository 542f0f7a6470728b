"""Every relation is found by its sample, and what is chosen gives the tensor back, bit for bit."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.prediction.shelf import Shelf, changed, choose_for, normal, stored_share

from mgit_core.coding.encoded import EncodedChunk, Encoding, Predictor
from mgit_core.coding.plans import Effort
from mgit_core.lineage import Relation
from mgit_core.prediction.choosing import Adapter, Candidate
from mgit_core.tensor import AnyArray, dtype_named

# Two chunks of float32, the second shorter.
SHAPE = (400, 1000)
EFFORTS = pytest.mark.parametrize("effort", Effort)


def encoded(
    shelf: Shelf,
    array: AnyArray,
    candidates: list[Candidate],
    effort: Effort,
    adapters: tuple[Adapter, ...] = (),
) -> tuple[list[EncodedChunk], float]:
    """The frames, and their share of the tensor's size."""
    choice = choose_for(array, candidates, adapters, effort)
    frames = shelf.encode(array, choice.hypotheses, choice.factors, effort)
    used = {base.digest for frame in frames for base in frame.bases}
    factors = {digest: content for digest, content in choice.factors.items() if digest in used}
    return frames, stored_share(frames, factors)


def predictors(frames: list[EncodedChunk]) -> set[int]:
    return {frame.predictor for frame in frames}


def is_exact(frames: list[EncodedChunk]) -> bool:
    return all(frame.encoding == Encoding.EXACT for frame in frames)


@EFFORTS
def test_a_finetuned_tensor_is_its_parent_and_a_difference(effort: Effort) -> None:
    shelf, parent = Shelf(), normal(SHAPE, 1)
    frames, share = encoded(shelf, changed(parent, 2), [shelf.candidate(parent, Relation.FINETUNED)], effort)
    assert predictors(frames) == {Predictor.BASE}
    assert share < 0.6


def test_a_finetuned_tensor_is_predicted_without_reading_its_parent() -> None:
    """An upload must be as fast as the disk: the writer reads the parent once, and that is all."""
    shelf, parent = Shelf(), normal(SHAPE, 1)
    candidate = shelf.candidate(parent, Relation.FINETUNED)
    shelf.chunks.clear()
    assert choose_for(changed(parent, 2), [candidate]).hypotheses[0].predictor == Predictor.BASE


@EFFORTS
@pytest.mark.parametrize("sign", ["kept", "lost"])
def test_a_pruned_tensor_is_its_parent_and_a_mask(effort: Effort, sign: str) -> None:
    shelf, parent = Shelf(), normal(SHAPE, 3)
    mask = np.abs(parent) > 0.7
    child = parent * mask if sign == "kept" else np.where(mask, parent, np.float32(0))
    frames, share = encoded(shelf, child, [shelf.candidate(parent, Relation.PRUNED)], effort)
    assert predictors(frames) == {Predictor.MASK}
    assert is_exact(frames)
    assert share < 0.001


def test_a_random_mask_costs_a_bit_for_each_weight() -> None:
    shelf, parent = Shelf(), normal(SHAPE, 3)
    child = parent * (normal(SHAPE, 4) > 0)
    frames, share = encoded(shelf, child, [shelf.candidate(parent, Relation.PRUNED)], Effort.FAST)
    assert is_exact(frames)
    assert share == pytest.approx(1 / 32, rel=0.05)


@EFFORTS
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_a_mean_of_two_needs_nothing_but_its_parents(effort: Effort, dtype: str) -> None:
    shelf, base = Shelf(), normal((100, 1000), 5, dtype=dtype)
    ours, theirs = changed(base, 6, 0.01), changed(base, 7, 0.01)
    mean = ((ours + theirs) / 2).astype(base.dtype)
    parents = [shelf.candidate(each, Relation.MERGED) for each in (ours, theirs)]
    frames, _ = encoded(shelf, mean, parents, effort)
    assert is_exact(frames)
    assert predictors(frames) == {Predictor.COMBINATION}


@EFFORTS
def test_behind_an_exact_mean_stand_its_parents_in_case_that_reading_all_of_them_costs_too_much(
    effort: Effort,
) -> None:
    shelf, base = Shelf(), normal((100, 1000), 5)
    parents = [changed(base, seed, 0.01) for seed in range(4)]
    mean = (((parents[0] + parents[1]) + parents[2]) + parents[3]) / np.float32(4)
    choice = choose_for(mean, [shelf.candidate(each, Relation.AGGREGATED) for each in parents], (), effort)
    found = [hypothesis.predictor for hypothesis in choice.hypotheses]
    assert found == [Predictor.COMBINATION, *[Predictor.BASE] * 4]


@EFFORTS
def test_declared_weights_are_tried_as_they_are(effort: Effort) -> None:
    shelf = Shelf()
    parents = [normal(SHAPE, seed) for seed in (8, 9, 10)]
    weights = [0.123456789, 0.7, 0.176543211]
    merged = np.zeros(SHAPE, np.float32)
    for weight, parent in zip(weights, parents, strict=True):
        merged = merged + np.float32(weight) * parent
    candidates = [
        shelf.candidate(parent, Relation.AGGREGATED, weight=weight)
        for parent, weight in zip(parents, weights, strict=True)
    ]
    assert is_exact(encoded(shelf, merged, candidates, effort)[0])


def test_counts_as_weights_are_shares() -> None:
    """A federated average weighs by the rows that each party has."""
    shelf, ours, theirs = Shelf(), normal(SHAPE, 11), normal(SHAPE, 12)
    merged = np.float32(300 / 400) * ours + np.float32(100 / 400) * theirs
    candidates = [
        shelf.candidate(ours, Relation.AGGREGATED, weight=300),
        shelf.candidate(theirs, Relation.AGGREGATED, weight=100),
    ]
    assert is_exact(encoded(shelf, merged, candidates, Effort.FAST)[0])


@EFFORTS
def test_weights_that_nobody_declared_are_found(effort: Effort) -> None:
    shelf, ours, theirs = Shelf(), normal(SHAPE, 11), normal(SHAPE, 12)
    merged = np.float32(0.3) * ours + np.float32(0.7) * theirs
    candidates = [shelf.candidate(each, Relation.MERGED) for each in (ours, theirs)]
    assert is_exact(encoded(shelf, merged, candidates, effort)[0])


@EFFORTS
def test_an_interpolation_is_found(effort: Effort) -> None:
    shelf, ours, theirs = Shelf(), normal(SHAPE, 11), normal(SHAPE, 12)
    merged = ours + np.float32(0.35) * (theirs - ours)
    candidates = [shelf.candidate(each, Relation.MERGED) for each in (ours, theirs)]
    assert is_exact(encoded(shelf, merged, candidates, effort)[0])


@EFFORTS
def test_task_arithmetic_starts_from_the_common_ancestor(effort: Effort) -> None:
    shelf, base = Shelf(), normal(SHAPE, 13)
    ours, theirs = changed(base, 14, 0.02), changed(base, 15, 0.02)
    merged = base + np.float32(0.8) * (ours - base) + np.float32(0.5) * (theirs - base)
    candidates = [shelf.candidate(each, Relation.MERGED) for each in (ours, theirs)]
    candidates.append(shelf.candidate(base, None, hops=2))
    frames, _ = encoded(shelf, merged, candidates, effort)
    assert is_exact(frames)
    assert all(len(frame.bases) == 3 for frame in frames)


@EFFORTS
@pytest.mark.parametrize("narrow", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
def test_a_cast_needs_nothing_but_its_wider_parent(effort: Effort, narrow: str) -> None:
    shelf, parent = Shelf(), normal((700, 1000), 16)
    child = parent.astype(np.dtype(getattr(ml_dtypes, narrow, narrow)))
    frames, share = encoded(shelf, child, [shelf.candidate(parent, Relation.CAST)], effort)
    assert is_exact(frames)
    assert predictors(frames) == {Predictor.CAST}
    assert share < 0.001


def test_a_truncating_cast_is_found() -> None:
    shelf, parent = Shelf(), normal(SHAPE, 17)
    child = (parent.view(np.uint32) >> 16).astype(np.uint16).view(ml_dtypes.bfloat16)
    assert is_exact(encoded(shelf, child, [shelf.candidate(parent, Relation.CAST)], Effort.FAST)[0])


def test_a_widened_tensor_is_its_narrow_parent() -> None:
    shelf, parent = Shelf(), normal(SHAPE, 18, dtype="bfloat16")
    child = parent.astype(np.float32)
    assert is_exact(encoded(shelf, child, [shelf.candidate(parent, Relation.FINETUNED)], Effort.FAST)[0])


@EFFORTS
@pytest.mark.parametrize("relation", [Relation.ADAPTED, Relation.MERGED])
def test_factors_of_a_low_rank_difference_are_found(effort: Effort, relation: Relation) -> None:
    shelf, parent = Shelf(), normal(SHAPE, 19, 0.05)
    product = normal((SHAPE[0], 8), 20, 0.03) @ normal((8, SHAPE[1]), 21, 0.03)
    frames, share = encoded(shelf, parent + product, [shelf.candidate(parent, relation)], effort)
    assert predictors(frames) == {Predictor.LOW_RANK}
    assert share < 0.11


@EFFORTS
def test_factors_of_a_registered_adapter_are_used(effort: Effort) -> None:
    shelf, parent = Shelf(), normal(SHAPE, 22, 0.05)
    left, right = normal((SHAPE[0], 8), 23, 0.03), normal((8, SHAPE[1]), 24, 0.03)
    child = parent + np.float32(2.0) * (left @ right)
    adapter = Adapter(shelf.source(left), shelf.source(right))
    candidates = [shelf.candidate(parent, Relation.ADAPTED)]
    frames, share = encoded(shelf, child, candidates, effort, (adapter,))
    assert predictors(frames) == {Predictor.LOW_RANK}
    assert {shelf.source(left).chunks[0], shelf.source(right).chunks[0]} < {
        base.digest for frame in frames for base in frame.bases
    }
    assert share < 0.05


def test_factors_in_bfloat16_are_widened() -> None:
    shelf, parent = Shelf(), normal(SHAPE, 22, 0.05)
    left, right = normal((SHAPE[0], 4), 23, 0.03, "bfloat16"), normal((4, SHAPE[1]), 24, 0.03, "bfloat16")
    child = parent + left.astype(np.float32) @ right.astype(np.float32)
    adapter = Adapter(shelf.source(left), shelf.source(right))
    frames, share = encoded(
        shelf, child, [shelf.candidate(parent, Relation.ADAPTED)], Effort.FAST, (adapter,)
    )
    assert predictors(frames) == {Predictor.LOW_RANK}
    assert share < 0.11


def test_rows_that_training_left_alone_are_no_low_rank() -> None:
    shelf, parent = Shelf(), normal(SHAPE, 25)
    child = parent.copy()
    child[::40] += normal(child[::40].shape, 26, 0.01)
    choice = choose_for(child, [shelf.candidate(parent, Relation.ADAPTED)], (), Effort.DENSE)
    assert Predictor.LOW_RANK not in {each.predictor for each in choice.hypotheses}


def test_a_repack_finds_a_factor() -> None:
    shelf, parent = Shelf(), normal(SHAPE, 27)
    frames, _ = encoded(
        shelf, parent * np.float32(0.9987), [shelf.candidate(parent, Relation.FINETUNED)], Effort.DENSE
    )
    assert is_exact(frames)
    assert predictors(frames) == {Predictor.SCALE}


@EFFORTS
@pytest.mark.parametrize("rows", [300, 500])
def test_a_resized_vocabulary_keeps_its_common_rows(effort: Effort, rows: int) -> None:
    shelf, parent = Shelf(), normal(SHAPE, 28)
    child = normal((rows, SHAPE[1]), 29)
    common = min(rows, SHAPE[0])
    child[:common] = parent[:common]
    frames, share = encoded(shelf, child, [shelf.candidate(parent, Relation.FINETUNED)], effort)
    assert Predictor.BASE in predictors(frames)
    assert share < 1.1 * (rows - common) / rows + 0.001


@EFFORTS
def test_a_head_with_shorter_rows_begins_as_the_longer_ones(effort: Effort) -> None:
    shelf, parent = Shelf(), normal((40, 500), 30)
    child = np.ascontiguousarray(parent[:30, :400])
    frames, share = encoded(shelf, child, [shelf.candidate(parent, Relation.FINETUNED)], effort)
    assert is_exact(frames)
    assert share < 0.05


@EFFORTS
@pytest.mark.parametrize("relation", [*Relation, None])
def test_a_wrong_declaration_costs_bytes_only(effort: Effort, relation: Relation | None) -> None:
    """The parents are unrelated: what is stored is hardly more than without them, and comes back."""
    shelf, child = Shelf(), normal(SHAPE, 31)
    alone = stored_share(shelf.encode(child, (), {}, effort))
    parents = [shelf.candidate(normal(SHAPE, seed), relation) for seed in (32, 33)]
    assert encoded(shelf, child, parents, effort)[1] <= alone * 1.001


@EFFORTS
@pytest.mark.parametrize("relation", [Relation.FINETUNED, Relation.MERGED, Relation.PRUNED])
def test_a_repack_sees_through_a_wrong_relation(effort: Effort, relation: Relation) -> None:
    """A cast that was declared as something else."""
    shelf, parent = Shelf(), normal(SHAPE, 34)
    child = parent.astype(ml_dtypes.bfloat16)
    assert is_exact(encoded(shelf, child, [shelf.candidate(parent, relation)], effort)[0])


def test_a_repack_finds_a_merge_that_nobody_declared() -> None:
    shelf, ours, theirs = Shelf(), normal(SHAPE, 35), normal(SHAPE, 36)
    merged = (ours + theirs) / 2
    others = [shelf.candidate(each, None, hops=100) for each in (ours, theirs)]
    assert is_exact(encoded(shelf, merged, others, Effort.DENSE)[0])


def test_a_repack_finds_a_cast_of_a_stranger() -> None:
    shelf, wide = Shelf(), normal(SHAPE, 37)
    child = wide.astype(ml_dtypes.bfloat16)
    base = changed(wide, 38, 0.01).astype(ml_dtypes.bfloat16)
    candidates = [shelf.candidate(base, Relation.FINETUNED), shelf.candidate(wide, None, hops=100)]
    frames, _ = encoded(shelf, child, candidates, Effort.DENSE)
    assert is_exact(frames)
    assert predictors(frames) == {Predictor.CAST}


def test_an_ancestor_helps_where_the_parent_does_not() -> None:
    shelf, grandparent = Shelf(), normal(SHAPE, 39)
    candidates = [
        shelf.candidate(normal(SHAPE, 40), Relation.PRUNED),
        shelf.candidate(grandparent, None, hops=2),
    ]
    frames, share = encoded(shelf, changed(grandparent, 41), candidates, Effort.FAST)
    assert predictors(frames) == {Predictor.BASE}
    assert share < 0.6


@EFFORTS
@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0])
def test_numbers_that_are_none_come_back(effort: Effort, value: float) -> None:
    shelf, parent = Shelf(), normal((100, 100), 42)
    child = changed(parent, 43)
    child[::3, ::7] = value
    for relation in Relation:
        candidates = [shelf.candidate(parent, relation), shelf.candidate(child * 2, relation)]
        encoded(shelf, child, candidates, effort)


@EFFORTS
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "complex64", "float8_e8m0fnu"])
def test_tensors_that_are_no_floats_come_back(effort: Effort, dtype: str) -> None:
    shelf, parent = Shelf(), normal((70, 30), 44, 20, dtype)
    child = normal((70, 30), 45, 20, dtype)
    child[10:] = parent[10:]
    for relation in Relation:
        candidates = [shelf.candidate(parent, relation), shelf.candidate(parent, relation)]
        encoded(shelf, child, candidates, effort)


@EFFORTS
def test_a_number_without_axes_is_predicted(effort: Effort) -> None:
    shelf, parent = Shelf(), normal((), 46)
    for relation in Relation:
        encoded(shelf, normal((), 47), [shelf.candidate(parent, relation)], effort)


def test_without_candidates_there_is_nothing_to_try() -> None:
    assert choose_for(normal(SHAPE, 48), []).hypotheses == ()


PATTERNS = [
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "float8_e4m3fn",
    "float8_e5m2fnuz",
    "int32",
]


@EFFORTS
@pytest.mark.parametrize("dtype", PATTERNS)
@given(
    seed=st.integers(0, 2**32 - 1),
    relations=st.lists(st.sampled_from([*Relation, None]), min_size=1, max_size=3),
)
@settings(max_examples=8)
def test_any_bit_patterns_come_back(
    effort: Effort, dtype: str, seed: int, relations: list[Relation | None]
) -> None:
    """NaN payloads, infinities, numbers that overflow when they are squared: nothing of it can fail an upload."""
    random, shelf, kind = np.random.default_rng(seed), Shelf(), dtype_named(dtype)
    arrays = [np.frombuffer(random.bytes(40 * 30 * kind.itemsize), kind).reshape(40, 30) for _ in range(4)]
    adapter = Adapter(shelf.source(arrays[0][:, :4].copy()), shelf.source(arrays[1][:4].copy()))
    candidates = [shelf.candidate(each, relation) for each, relation in zip(arrays, relations, strict=False)]
    encoded(shelf, arrays[3], candidates, effort, (adapter,))


@EFFORTS
@pytest.mark.parametrize(
    "relation", [Relation.ADAPTED, Relation.MERGED, Relation.AGGREGATED, Relation.PRUNED]
)
@pytest.mark.parametrize("scale", [1e300, 1e-300, 5e-324])
def test_numbers_at_the_ends_of_their_range_come_back(
    effort: Effort, relation: Relation, scale: float
) -> None:
    shelf = Shelf()
    arrays = [normal((64, 64), seed).astype(np.float64) * scale for seed in (60, 61)]
    product = (normal((64, 2), 62) @ normal((2, 64), 63)).astype(np.float64) * scale
    candidates = [shelf.candidate(each, relation) for each in arrays]
    encoded(shelf, arrays[0] + product, candidates, effort)
