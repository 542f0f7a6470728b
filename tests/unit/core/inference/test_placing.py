from __future__ import annotations

import numpy as np
import pytest
from tests.unit.core.inference.blocks import Tensors, body, candidates_of, manifest_of, moved, sampled

from mgit_core.inference.kinship import Kinship
from mgit_core.inference.placing import Placement, place_model
from mgit_core.inference.relatives import screen

BASE = body(1)


def place(child: Tensors, *others: tuple[str, Tensors], younger: tuple[str, ...] = ()) -> Placement:
    return place_model(manifest_of(child), sampled(child), candidates_of(child, *others, younger=younger))


def told(placement: Placement) -> list[tuple[str, Kinship]]:
    return [(finding.key, finding.kinship) for finding in placement.findings]


def test_the_order_of_strangers_does_not_matter() -> None:
    child = moved(BASE, 2)
    others = [("base", BASE), ("stranger", body(3)), ("other", body(4))]
    for order in (others, others[::-1]):
        assert told(place(child, *order)) == [("base", Kinship.FINETUNED)]


@pytest.mark.parametrize("length", [2, 4, 7])
def test_every_link_of_a_chain_comes_from_the_one_before(length: int) -> None:
    chain = [BASE]
    for seed in range(length):
        chain.append(moved(chain[-1], 100 + seed))
    named = [(str(number), tensors) for number, tensors in enumerate(chain)]
    for number in range(1, len(chain)):
        assert told(place(chain[number], *named[:number])) == [(str(number - 1), Kinship.FINETUNED)]


def test_siblings_come_from_what_they_share() -> None:
    siblings = [(f"sibling-{seed}", moved(BASE, seed)) for seed in range(2, 7)]
    for number, (_, tensors) in enumerate(siblings):
        assert told(place(tensors, ("base", BASE), *siblings[:number])) == [("base", Kinship.FINETUNED)]


def test_of_equal_bodies_the_head_decides_and_else_the_older() -> None:
    head = body(8)["layer.0.weight"][:6]
    one, other = {**BASE, "head": head}, {**BASE, "head": body(9)["layer.0.weight"][:6]}
    child = {**BASE, "head": moved({"head": other["head"]}, 4)["head"]}
    assert told(place(child, ("one", one), ("other", other)))[0][0] == "other"
    assert (
        told(place({**BASE, "head": body(7)["layer.0.weight"][:6]}, ("one", one), ("other", other)))[0][0]
        == "one"
    )


def test_of_a_model_and_its_cast_the_one_of_the_same_type_is_the_parent() -> None:
    half = {name: array.astype(np.float16) for name, array in BASE.items()}
    tuned_half = {name: array.astype(np.float16) for name, array in moved(half, 3).items()}
    others = (("base", BASE), ("half", half))
    assert told(place(tuned_half, *others)) == [("half", Kinship.FINETUNED)]
    assert told(place(moved(BASE, 3), *others)) == [("base", Kinship.FINETUNED)]


def test_where_two_are_as_near_nothing_is_sure() -> None:
    """Half the way back from a child to its base: by weights nobody can tell."""
    far = moved(BASE, 2, 0.02)
    middle = {name: (0.5 * BASE[name] + 0.5 * far[name]).astype(np.float32) for name in BASE}
    placement = place(moved(middle, 3, 0.01), ("base", BASE), ("far", far))
    assert [finding.confidence < 0.6 for finding in placement.findings] == [True]


def test_an_adapter_comes_from_where_few_dimensions_changed_though_another_is_nearer() -> None:
    random = np.random.default_rng(1)
    change = {name: random.normal(0, 0.1, (48, 3)) @ random.normal(0, 0.1, (3, 48)) for name in BASE}
    child = {name: (BASE[name] + change[name]).astype(np.float32) for name in BASE}
    likewise = moved({name: (BASE[name] + 0.8 * change[name]).astype(np.float32) for name in BASE}, 4, 0.001)
    placement = place(child, ("base", BASE), ("likewise", likewise))
    assert told(placement) == [("base", Kinship.ADAPTED)]
    assert placement.findings[0].confidence > 0.9


def test_zeros_that_were_taken_over_decide_where_distance_does_not() -> None:
    sparse = {name: np.where(np.abs(array) > 0.05, array, 0) for name, array in moved(BASE, 2).items()}
    trained = moved(sparse, 5)
    child = {
        name: np.where((sparse[name] == 0) | (np.abs(sparse[name]) < 0.1), 0, array).astype(np.float32)
        for name, array in trained.items()
    }
    dense = moved(moved(BASE, 2), 6, 0.0001)
    assert told(place(child, ("dense", dense), ("sparse", sparse))) == [("sparse", Kinship.PRUNED)]


def test_equal_tensors_tell_a_training_that_went_on_from_one_that_was_done_twice() -> None:
    """The second one keeps a matrix of the first, which the base has not: it is a child and no sibling."""
    learned = moved(BASE, 2, 0.02)
    first = moved(learned, 3, 0.003)
    again = moved(learned, 4, 0.003)
    assert told(place(again, ("base", BASE), ("first", first))) == [("base", Kinship.FINETUNED)]
    frozen = {**again, "layer.0.weight": first["layer.0.weight"]}
    assert told(place(frozen, ("base", BASE), ("first", first))) == [("first", Kinship.FINETUNED)]


def test_younger_models_are_parents_only_where_weights_say_so() -> None:
    child = moved(BASE, 2)
    assert told(place(child, ("base", BASE), younger=("base",))) == []
    half = {name: array.astype(np.float16) for name, array in BASE.items()}
    assert told(place(half, ("base", BASE), younger=("base",))) == [("base", Kinship.CAST)]
    mean = {name: (BASE[name] + child[name]) / 2 for name in BASE}
    both = (("base", BASE), ("child", child))
    assert {key for key, _ in told(place(mean, *both, younger=("base", "child")))} == {"base", "child"}


def test_a_member_does_not_come_from_the_mean_that_was_made_of_it() -> None:
    one, other = moved(BASE, 2), moved(BASE, 3)
    mean = {name: (one[name] + other[name]) / 2 for name in BASE}
    placement = place(one, ("base", BASE), ("other", other), ("mean", mean), younger=("mean", "other"))
    assert told(placement) == [("base", Kinship.FINETUNED)]


def test_a_model_without_anybody_beside_it_is_a_root() -> None:
    assert place(BASE) == Placement(note="No other model is near enough to be compared.")


def test_a_screen_keeps_relatives_nearest_first_and_leaves_strangers_out() -> None:
    child = moved(BASE, 2)
    samples = [sampled(body(3)), sampled(moved(child, 4, 0.05)), sampled(BASE)]
    assert screen(sampled(child), samples) == [2, 1]
