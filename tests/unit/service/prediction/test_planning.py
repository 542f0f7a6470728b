"""Plans of tensors: bases that can be read, at a bounded cost, and nothing that can fail an upload."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.unit.service.stored_models import ALGORITHM, opened, store_tensors

from mgit_core.chunking import chunk_ranges
from mgit_core.coding.encoded import Encoding, Predictor
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.plans import Effort
from mgit_core.digest import digest_of
from mgit_core.lineage import Relation
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.prediction.relatives import Relative
from mgit_core.tensor import AnyArray, TensorSpec
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.prediction.planning import LatticeBase, TensorPlan, TensorPlanner

SPEC = TensorSpec("float32", (500, 1000))
EFFORTS = pytest.mark.parametrize("effort", Effort)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with opened() as found:
        yield found


def weights(seed: int) -> AnyArray:
    return np.random.default_rng(seed).standard_normal(SPEC.shape).astype(np.float32)


def trained(array: AnyArray, seed: int) -> AnyArray:
    return array + np.float32(1e-4) * weights(seed)


def contents_of(array: AnyArray) -> dict[int, bytes]:
    content = array.tobytes()
    return {at: content[start:stop] for at, (start, stop) in enumerate(chunk_ranges(SPEC))}


def missing(array: AnyArray) -> Manifest:
    """A manifest whose chunks are not in the store."""
    digests = [digest_of(ALGORITHM, content) for content in contents_of(array).values()]
    return Manifest(ALGORITHM, (make_parameter(ALGORITHM, "weight", SPEC, digests),))


def planned(backend: Backend, array: AnyArray, relatives: list[Relative], effort: Effort) -> TensorPlan:
    return TensorPlanner(backend.chunks, relatives, effort).plan("weight", SPEC, contents_of(array))


def write(backend: Backend, array: AnyArray, relatives: list[Relative]) -> Manifest:
    """Store a tensor as an upload does; what it is."""
    plan = planned(backend, array, relatives, Effort.FAST)
    with backend.chunks.open_writer() as writer:
        digests = [
            writer.write(content, width=4, plan=plan.chunks[at]) for at, content in contents_of(array).items()
        ]
    return Manifest(ALGORITHM, (make_parameter(ALGORITHM, "weight", SPEC, digests),))


def bases(plan: TensorPlan) -> set[bytes]:
    predictions = [each for chunk in plan.chunks.values() for each in chunk.predictions]
    return {base.digest for prediction in predictions for base in prediction.bases}


@EFFORTS
def test_a_plan_says_what_the_bytes_mean_and_how_hard_to_try(backend: Backend, effort: Effort) -> None:
    plan = planned(backend, weights(1), [], effort)
    assert {(each.numbers, each.effort) for each in plan.chunks.values()} == {(NumberFormat.FLOAT32, effort)}
    assert bases(plan) == set()


@EFFORTS
@pytest.mark.parametrize("relation", [Relation.FINETUNED, Relation.MERGED, Relation.PRUNED, Relation.ADAPTED])
def test_a_relative_without_its_chunks_is_none(backend: Backend, effort: Effort, relation: Relation) -> None:
    parent = weights(2)
    there = Relative(parameters=store_tensors(backend, {"weight": parent}), relation=relation)
    gone = Relative(parameters=missing(weights(3)), relation=relation)
    plan = planned(backend, trained(parent, 4), [gone, there], effort)
    assert bases(plan) == set(there.parameters.parameters[0].chunks)


@EFFORTS
def test_only_the_chunks_at_hand_are_planned(backend: Backend, effort: Effort) -> None:
    parent = weights(5)
    relative = Relative(parameters=store_tensors(backend, {"weight": parent}), relation=Relation.PRUNED)
    contents = contents_of(trained(parent, 6))
    planner = TensorPlanner(backend.chunks, [relative], effort)
    assert list(planner.plan("weight", SPEC, {1: contents[1]}).chunks) == [1]
    assert planner.plan("weight", SPEC, {}).chunks == {}


def test_a_chain_that_is_long_enough_goes_on_from_an_ancestor(backend: Backend) -> None:
    """The parent is read through three others; a read of the child may decode four chunks in all."""
    array = weights(7)
    generations = [store_tensors(backend, {"weight": array})]
    for seed in range(3):
        array = trained(array, 10 + seed)
        parent = Relative(parameters=generations[-1], relation=Relation.FINETUNED)
        generations.append(write(backend, array, [parent]))
    chunks = [generation.parameters[0].chunks for generation in generations]
    costs = [backend.chunks.decode_costs(each)[0] for each in chunks]
    assert costs == [size * costs[0] for size in (1, 2, 3, 4)]
    relatives = [
        Relative(parameters=each, relation=Relation.FINETUNED if not at else None, hops=at + 1)
        for at, each in enumerate(reversed(generations))
    ]
    plan = planned(backend, trained(array, 20), relatives, Effort.FAST)
    assert bases(plan) == set(chunks[2])


@pytest.mark.parametrize("relation", [Relation.MERGED, Relation.FINETUNED])
def test_a_mean_of_deep_relatives_decodes_more_than_others_may(backend: Backend, relation: Relation) -> None:
    """Nothing is left of a mean. Where nobody says that it is one, the usual bound holds."""
    array = weights(30)
    ends = []
    for end in range(2):
        model, tuned = store_tensors(backend, {"weight": array}), array
        for seed in range(2):
            tuned = trained(tuned, 31 + 2 * end + seed)
            model = write(backend, tuned, [Relative(parameters=model, relation=Relation.FINETUNED)])
        ends.append((tuned, model))
    mean = (ends[0][0] + ends[1][0]) / np.float32(2)
    relatives = [Relative(parameters=model, relation=relation) for _, model in ends]
    chunks = write(backend, mean, relatives).parameters[0].chunks
    sizes = [len(content) for content in contents_of(mean).values()]
    forms = [backend.chunks.read_encoded(chunk) for chunk in chunks]
    costs = backend.chunks.decode_costs(chunks)
    assert [form.encoding == Encoding.EXACT for form in forms] == [relation is Relation.MERGED] * len(sizes)
    assert costs == [size * (6 if relation is Relation.MERGED else 4) for size in sizes]
    assert [backend.chunks.read(chunk) for chunk in chunks] == list(contents_of(mean).values())


def test_an_upload_tries_one_prediction_where_one_is_sure(backend: Backend) -> None:
    parent = weights(8)
    relatives = [
        Relative(parameters=store_tensors(backend, {"weight": each}), relation=Relation.FINETUNED)
        for each in (parent, trained(parent, 9))
    ]
    plan = planned(backend, trained(parent, 10), relatives, Effort.FAST)
    assert [len(each.predictions) for each in plan.chunks.values()] == [1, 1]


def test_factors_come_with_the_plans_that_need_them(backend: Backend) -> None:
    parent = weights(11)
    random = np.random.default_rng(12)
    product = random.standard_normal((500, 4)) @ random.standard_normal((4, 1000)) * 0.01
    relative = Relative(parameters=store_tensors(backend, {"weight": parent}), relation=Relation.ADAPTED)
    plan = planned(backend, parent + product.astype(np.float32), [relative], Effort.FAST)
    digests = {digest_of(ALGORITHM, factor) for factor in plan.factors}
    assert len(digests) == 2
    assert all(set(each.contents) == digests for each in plan.chunks.values())
    assert bases(plan) == digests | set(relative.parameters.parameters[0].chunks)


def test_two_relatives_with_one_tensor_count_once(backend: Backend) -> None:
    """Else a merge of a model with its own copy would look like a mean."""
    parent = store_tensors(backend, {"weight": weights(13)})
    relatives = [Relative(parameters=parent, relation=Relation.MERGED) for _ in range(2)]
    plan = planned(backend, trained(weights(13), 14), relatives, Effort.FAST)
    found = {each.predictor for chunk in plan.chunks.values() for each in chunk.predictions}
    assert found == {Predictor.BASE}


def test_a_lattice_is_tried_first(backend: Backend) -> None:
    base = store_tensors(backend, {"weight": weights(15)})
    lattices = {"weight": LatticeBase(base.parameters[0], 0.5)}
    planner = TensorPlanner(backend.chunks, [], Effort.FAST, lattices=lattices)
    plan = planner.plan("weight", SPEC, contents_of(weights(16)))
    assert {each.predictions[0].predictor for each in plan.chunks.values()} == {Predictor.LATTICE}
    assert planner.unused_lattices == ()


def test_a_lattice_whose_base_is_gone_is_told(backend: Backend) -> None:
    lattices = {"weight": LatticeBase(missing(weights(17)).parameters[0], 0.5)}
    planner = TensorPlanner(backend.chunks, [], Effort.FAST, lattices=lattices)
    plan = planner.plan("weight", SPEC, contents_of(weights(18)))
    assert bases(plan) == set()
    assert planner.unused_lattices == ("weight",)


def test_a_lattice_of_another_shape_is_told(backend: Backend) -> None:
    base = store_tensors(backend, {"weight": weights(19)[:10]})
    planner = TensorPlanner(
        backend.chunks, [], Effort.FAST, lattices={"weight": LatticeBase(base.parameters[0], 0.5)}
    )
    planner.plan("weight", SPEC, contents_of(weights(20)))
    assert planner.unused_lattices == ("weight",)
