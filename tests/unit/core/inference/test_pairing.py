from __future__ import annotations

import numpy as np
from tests.unit.core.inference.blocks import body, manifest_of, moved

from mgit_core.inference.pairing import pair


def test_a_model_is_paired_with_itself_bit_by_bit() -> None:
    tensors = body(1)
    pairing = pair(manifest_of(tensors), manifest_of(tensors))
    assert pairing.equal == tensors.keys() == pairing.counterparts.keys()
    assert not pairing.has_other_head


def test_tensors_that_moved_are_counterparts_and_not_equal() -> None:
    tensors = body(1)
    pairing = pair(manifest_of(moved(tensors, 2)), manifest_of(tensors))
    assert pairing.counterparts.keys() == tensors.keys()
    assert pairing.equal == frozenset()


def test_a_head_of_another_shape_a_new_one_and_one_that_went_are_told_apart() -> None:
    base = body(1) | {
        "head.weight": np.ones((4, 48), np.float32),
        "pooler.weight": np.ones((3, 5), np.float32),
    }
    child = body(1) | {
        "head.weight": np.ones((9, 48), np.float32),
        "extra.weight": np.ones((2, 7), np.float32),
    }
    pairing = pair(manifest_of(child), manifest_of(base))
    assert pairing.reshaped == ("head.weight",)
    assert pairing.added == ("extra.weight",)
    assert pairing.dropped == ("pooler.weight",)
    assert pairing.has_other_head


def test_names_behind_a_prefix_are_found() -> None:
    base = body(1)
    wrapped = {f"model.{name}": array for name, array in base.items()}
    pairing = pair(manifest_of(wrapped), manifest_of(base))
    assert {pairing.counterparts[name].name for name in wrapped} == base.keys()


def test_integers_do_not_count() -> None:
    one = body(1) | {"positions": np.arange(64).reshape(8, 8)}
    pairing = pair(manifest_of(one), manifest_of(body(2)))
    assert "positions" not in pairing.counterparts
    assert not pairing.has_other_head


def test_no_tensor_stands_for_two() -> None:
    base = {"only.weight": np.ones((5, 5), np.float32)}
    child = {"one.weight": np.ones((5, 5), np.float32), "two.weight": np.ones((5, 5), np.float32)}
    pairing = pair(manifest_of(child), manifest_of(base))
    assert len(pairing.counterparts) == 1
    assert pairing.has_other_head
