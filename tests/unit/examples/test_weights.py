from __future__ import annotations

import torch
from examples.minilm.weights import Model, aggregate


def model(*values: float, head: float = 0.0, count: int = 0) -> Model:
    weights = {
        "weight": torch.tensor(values),
        "classifier.bias": torch.tensor([head]),
        "numbers": torch.tensor([count]),
    }
    return Model(weights, {"count": count})


def test_a_mean_of_several_is_their_sum_in_order_divided_by_how_many_they_are() -> None:
    first, second, third = model(1.0, 2**-24), model(2**-24, 1.0), model(2**-24, 2.0)

    expected = (first.weights["weight"] + second.weights["weight"] + third.weights["weight"]) / 3
    assert torch.equal(expected, aggregate([first, second, third]).weights["weight"])


def test_a_mean_of_several_takes_heads_too_and_the_firsts_integers_and_configuration() -> None:
    mean = aggregate([model(1.0, head=1.0, count=7), model(1.0, head=3.0, count=9)])

    assert mean.weights["classifier.bias"].item() == 2.0
    assert mean.weights["numbers"].item() == 7
    assert mean.config == {"count": 7}
