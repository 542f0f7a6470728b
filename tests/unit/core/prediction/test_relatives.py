"""Which tensor of a relative stands for a tensor of a model."""

from __future__ import annotations

import pytest
from tests.unit.core.prediction.shelf import Shelf, normal

from mgit_core.prediction.relatives import Relative
from mgit_core.tensor import TensorSpec

SPEC = TensorSpec("float32", (3, 2))


def relative(*names: str, **shapes: tuple[int, ...]) -> Relative:
    arrays = {name: normal((3, 2), at) for at, name in enumerate(names)}
    arrays |= {name.replace("_", "."): normal(shape, 9) for name, shape in shapes.items()}
    return Relative(parameters=Shelf().manifest(arrays))


def found(of: Relative, name: str, spec: TensorSpec = SPEC) -> str | None:
    parameter = of.find(name, spec)
    return parameter.name if parameter else None


def test_the_same_name_comes_first() -> None:
    assert found(relative("model.a.weight", "a.weight"), "a.weight") == "a.weight"


@pytest.mark.parametrize(
    ("theirs", "ours"), [("bert.a.weight", "a.weight"), ("a.weight", "bert.a.weight"), ("x.y.a.b", "a.b")]
)
def test_a_prefix_more_or_less_does_not_matter(theirs: str, ours: str) -> None:
    assert found(relative(theirs, "other.weight"), ours) == theirs


def test_the_last_component_alone_is_no_name() -> None:
    assert found(relative("a.weight", "b.weight"), "c.weight") is None


def test_two_names_with_one_end_are_none() -> None:
    assert found(relative("x.a.weight", "y.a.weight"), "a.weight") is None


def test_the_only_one_of_a_shape_stands_for_another_name() -> None:
    assert found(relative("encoder.bias", q=(4, 4)), "other.name", TensorSpec("bfloat16", (4, 4))) == "q"


def test_a_name_decides_where_a_head_was_resized() -> None:
    assert found(relative(head_weight=(7, 2)), "head.weight") == "head.weight"


def test_a_name_with_another_number_of_axes_is_another_tensor() -> None:
    assert found(relative("other", a=(6,)), "a") == "other"


@pytest.mark.parametrize("prefix", ["", "base_model.model.", "bert."])
def test_an_adapter_is_found_by_the_module_that_it_adapts(prefix: str) -> None:
    adapter = relative(f"{prefix}layer.query.lora_A.weight", f"{prefix}layer.query.lora_B.default.weight")
    pair = adapter.adapter_of("layer.query.weight")
    assert pair is not None
    assert [side.name for side in pair] == [
        f"{prefix}layer.query.lora_B.default.weight",
        f"{prefix}layer.query.lora_A.weight",
    ]


def test_half_an_adapter_is_none() -> None:
    assert relative("layer.query.lora_A.weight").adapter_of("layer.query.weight") is None
