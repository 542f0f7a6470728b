"""Helpers of creation functions on small networks: the same bits every time, and what they promise of weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mgit.frameworks.torch.creation import (
    LoraLinear,
    Training,
    add_lora,
    average,
    deterministic,
    distill,
    finetune,
    freeze,
    initialize_from,
    lora_state,
    merge_lora,
    prune,
    quantize,
    tie,
    train_together,
)
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)


class Net(nn.Module):
    def __init__(self, seed: int = 0, classes: int = 2) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 8))
            self.norm = nn.BatchNorm1d(8)
            self.head = nn.Linear(8, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.norm(self.encoder(inputs)))
        return found


def batches(seed: int = 0, classes: int = 2, count: int = 6) -> list[tuple[torch.Tensor, torch.Tensor]]:
    drawn = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 16, 4, generator=drawn)
    labels = (inputs.sum(-1) > 0).long() % classes
    return list(zip(inputs, labels, strict=True))


def loss(module: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(module(batch[0]), batch[1])


def total_loss(module: nn.Module) -> float:
    with torch.no_grad():
        return sum(float(loss(module.eval(), each)) for each in batches())


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def bits(state: Any) -> dict[str, bytes]:
    state = state.state_dict() if isinstance(state, nn.Module) else state
    return {name: tensor.detach().contiguous().numpy().tobytes() for name, tensor in state.items()}


def reason_of(caught: pytest.ExceptionInfo[MGitError]) -> ErrorReason:
    return caught.value.reason


@pytest.mark.slow
def test_finetuning_lowers_the_loss_and_gives_the_same_bits_for_the_same_seed() -> None:
    training = Training(epochs=10, learning_rate=1e-2, seed=3)
    trained = [finetune(Net(), batches(), loss, training) for _ in range(2)]
    other = finetune(Net(), batches(), loss, Training(epochs=10, learning_rate=1e-2, seed=4))
    assert bits(trained[0]) == bits(trained[1])
    assert bits(trained[0]) != bits(other)
    assert total_loss(trained[0]) < total_loss(Net()) / 2


def test_training_leaves_torch_as_it_was() -> None:
    torch.manual_seed(7)
    wanted = torch.rand(1)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    finetune(Net(), batches(count=1), loss, Training(threads=1))
    assert torch.equal(torch.rand(1), wanted)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(ZeroDivisionError), deterministic(0):
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_optimizer_may_train() -> None:
    one, other = Net(), Net()
    finetune(one, batches(), loss, Training(optimizer=lambda found: torch.optim.SGD(found, lr=0.1)))
    finetune(other, batches(), loss, Training())
    assert bits(one) != bits(other)


def test_training_wants_batches_a_loss_and_something_to_train() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        finetune(Net(), [], loss)
    assert reason_of(caught) is ErrorReason.INVALID_CREATION
    with pytest.raises(InvalidArgumentError, match="for task 'a'"):
        train_together({"a": Net()}, {"a": batches()}, {})
    with pytest.raises(InvalidArgumentError, match="all are frozen"):
        finetune(Net().requires_grad_(requires_grad=False), batches(), loss)


def test_frozen_tensors_stay_bit_for_bit_and_the_others_move() -> None:
    module = Net()
    before = bits(module)
    with freeze(module, "encoder.*") as frozen:
        finetune(module, batches(), loss, Training(learning_rate=0.1))
    after = bits(module)
    assert frozen.names == tuple(name for name in before if name.startswith("encoder."))
    assert {name for name in before if before[name] != after[name]} == set(before) - set(frozen.names)


def test_a_frozen_tensor_that_changed_is_an_error() -> None:
    module = Net()
    with (
        pytest.raises(FailedPreconditionError, match=r"'norm.running_mean' was frozen") as caught,
        freeze(module, "norm.*"),
    ):
        finetune(module, batches(), loss)
    assert reason_of(caught) is ErrorReason.CREATION_FAILED
    frozen = freeze(module, "head.bias")
    frozen.check()
    module.head.bias.data += 1
    with pytest.raises(FailedPreconditionError):
        frozen.check()


def test_what_fails_while_tensors_are_frozen_is_told_as_it_is() -> None:
    module = Net()

    def change_and_fail() -> None:
        with freeze(module, "head.*"):
            module.head.bias.data += 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()


def test_a_pattern_that_fits_nothing_is_an_error() -> None:
    for ask in (
        lambda: freeze(Net(), "decoder.*"),
        lambda: tie({"a": Net(), "b": Net()}, "decoder.*"),
        lambda: initialize_from(Net(), Net(), "decoder.*"),
        lambda: add_lora(Net(), "decoder.*"),
        lambda: add_lora(Net(), "norm"),
    ):
        with pytest.raises(NotFoundError) as caught:
            ask()
        assert reason_of(caught) is ErrorReason.TENSOR_NOT_FOUND


def test_tied_models_learn_together_and_share_their_bytes() -> None:
    modules: dict[str, nn.Module] = {"sst": Net(1), "mnli": Net(2, classes=3), "cola": Net(3)}
    data = {"sst": batches(1), "mnli": batches(2, classes=3), "cola": batches(3, count=2)}
    names = tie(modules, "encoder.*", "norm.*")
    before = bits(modules["sst"])
    train_together(modules, data, dict.fromkeys(modules, loss), Training(epochs=2, seed=1))
    found = {task: bits(module) for task, module in modules.items()}
    assert "norm.num_batches_tracked" in names
    for name in names:
        assert found["sst"][name] == found["mnli"][name] == found["cola"][name]
        assert found["sst"][name] != before[name]
    assert found["sst"]["head.weight"] != found["cola"]["head.weight"]
    # Fourteen batches an epoch went through the one norm that they share.
    assert int(modules["cola"].state_dict()["norm.num_batches_tracked"]) == 2 * (6 + 6 + 2)


def test_turns_go_round_and_each_batch_is_seen_once_an_epoch() -> None:
    seen: list[tuple[str, int]] = []

    def noting(task: str) -> Any:
        def note(module: Any, batch: int) -> torch.Tensor:
            seen.append((task, batch))
            total: torch.Tensor = module.weight.sum()
            return total

        return note

    modules = {task: nn.Linear(1, 1) for task in "ab"}
    train_together(
        modules, {"a": [0, 1, 2], "b": [7]}, {task: noting(task) for task in "ab"}, Training(epochs=2)
    )
    assert [task for task, _ in seen] == ["a", "b", "a", "a"] * 2
    assert sorted(batch for task, batch in seen[:4] if task == "a") == [0, 1, 2]


def test_a_tie_inside_a_model_lasts() -> None:
    one, other = Net(1), Net(2)
    one.encoder[3].weight = one.encoder[0].weight = nn.Parameter(torch.zeros(8, 8))
    other.encoder[0].weight = nn.Parameter(torch.ones(8, 8))
    tie({"one": one, "other": other}, "encoder.*")
    assert other.encoder[0].weight is one.encoder[0].weight is other.encoder[3].weight


def test_models_that_do_not_fit_are_not_tied() -> None:
    one = Net()
    with pytest.raises(
        InvalidArgumentError, match=r"'head.weight' is torch.float32 \[2, 8\], and torch.float32 \[3, 8\]"
    ) as caught:
        tie({"one": one, "other": Net(classes=3)}, "head.*")
    assert reason_of(caught) is ErrorReason.SHAPE_MISMATCH
    with pytest.raises(NotFoundError, match=r"Model other has no tensor 'head\.weight'"):
        tie({"one": one, "other": nn.Linear(1, 1)}, "head.*")


def test_a_child_takes_over_what_agrees_and_says_what() -> None:
    child, parent = Net(1, classes=3), Net(2)
    own_head = bits(child)["head.weight"]
    found = initialize_from(child, parent)
    assert found.kept == ("head.weight", "head.bias")
    assert bits(child)["encoder.0.weight"] == bits(parent)["encoder.0.weight"]
    assert bits(child)["head.weight"] == own_head
    assert set(found.copied) | set(found.kept) == set(bits(child))
    assert child.encoder[0].weight is not parent.encoder[0].weight
    again = initialize_from(Net(3), parent.state_dict(), "head.*")
    assert again.copied == ("head.weight", "head.bias")


def test_what_must_be_taken_over_has_to_agree() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        initialize_from(Net(classes=3), Net(), "head.*")
    assert reason_of(caught) is ErrorReason.SHAPE_MISMATCH
    with pytest.raises(NotFoundError, match=r"The parent has no tensor 'head\.weight'"):
        initialize_from(Net(), {}, "head.*")


def test_an_average_is_weighted_and_rounded_once() -> None:
    states = [
        {"w": torch.tensor([1.0, 3.0], dtype=dtype), "count": torch.tensor(count)}
        for dtype, count in ((torch.float16, 1), (torch.float16, 4))
    ]
    states[1]["w"] = torch.tensor([5.0, -1.0], dtype=torch.float16)
    found = average(states, [3, 1])
    assert found["w"].dtype == torch.float16
    assert found["w"].tolist() == [2.0, 2.0]
    assert (int(found["count"]), found["count"].dtype) == (2, torch.int64)
    assert bits(average([states[0]])) == bits(states[0])


def test_the_average_of_equal_models_is_that_model_bit_for_bit() -> None:
    state = Net().state_dict()
    assert bits(average([state] * 4)) == bits(state)


def test_an_average_wants_models_of_one_shape_and_weights() -> None:
    state = Net().state_dict()
    with pytest.raises(InvalidArgumentError) as caught:
        average([state, Net(classes=3).state_dict()])
    assert reason_of(caught) is ErrorReason.SHAPE_MISMATCH
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")], [1.0, float("inf")]):
        with pytest.raises(InvalidArgumentError) as caught:
            average([state, state], weights)
        assert reason_of(caught) is ErrorReason.INVALID_CREATION
    with pytest.raises(InvalidArgumentError):
        average([])


def test_pruning_takes_the_smallest_weights_of_matrices() -> None:
    weight = torch.tensor([[0.1, -3.0], [2.0, -0.2], [0.1, 1.0]])
    found = prune({"w": weight, "b": torch.tensor([0.1, 0.2])}, 0.5)
    assert found["w"].tolist() == [[0.0, -3.0], [2.0, 0.0], [0.0, 1.0]]
    assert found["b"].tolist() == pytest.approx([0.1, 0.2])
    assert float(weight[0, 0]) == pytest.approx(0.1)
    assert prune({"b": torch.tensor([0.1, 0.2])}, 0.5, "b")["b"].tolist() == pytest.approx([0.0, 0.2])
    assert int((prune(Net().state_dict(), 0.25)["encoder.3.weight"] == 0).sum()) == 16
    with pytest.raises(InvalidArgumentError):
        prune({"w": weight}, 1.5)


@pytest.mark.parametrize("bits_", [2, 4, 8])
def test_quantized_weights_have_few_values_near_the_old_ones(bits_: int) -> None:
    weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    found = quantize({"w": weight, "zero": torch.zeros(2, 2), "b": torch.ones(3)}, bits=bits_)
    step = float(weight.abs().max()) / (2 ** (bits_ - 1) - 1)
    assert len(found["w"].unique()) <= 2**bits_ - 1
    assert float((found["w"] - weight).abs().max()) <= step / 2 * 1.001
    assert not found["zero"].any()
    # Within rounding to the type; bit-equal it need not be, since the step is another.
    torch.testing.assert_close(quantize(found, bits=bits_)["w"], found["w"])


def test_what_cannot_be_quantized_is_refused() -> None:
    for state, width in (({"w": torch.ones(2, 2)}, 1), ({"w": torch.full((2, 2), float("inf"))}, 8)):
        with pytest.raises(InvalidArgumentError) as caught:
            quantize(state, bits=width)
        assert reason_of(caught) is ErrorReason.INVALID_CREATION


def test_a_tie_lasts_through_pruning_and_quantizing() -> None:
    weight = torch.randn(4, 4)
    for change in (lambda state: prune(state, 0.5), lambda state: quantize(state, bits=4)):
        found = change({"in": weight, "out": weight, "steps": torch.tensor([[1, 2]])})
        assert found["in"] is found["out"]
        assert found["steps"].tolist() == [[1, 2]]


def test_an_adapter_changes_nothing_at_first_trains_alone_and_merges() -> None:
    module = Net().eval()
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    before, shown = bits(module), module(inputs)
    names = add_lora(module, "encoder.*", rank=2, alpha=4.0, seed=1)
    assert names == ("encoder.0", "encoder.3")
    torch.testing.assert_close(module(inputs), shown)
    finetune(module, batches(), loss, Training(learning_rate=0.05))
    adapter = lora_state(module)
    trained = module(inputs)
    assert list(adapter) == [f"{name}.lora_{part}" for name in names for part in ("down", "up")]
    assert not torch.allclose(trained, shown)
    merge_lora(module)
    after = bits(module)
    assert list(after) == list(before)
    assert not any(isinstance(each, LoraLinear) for each in module.modules())
    torch.testing.assert_close(module(inputs), trained)
    assert after["head.weight"] == before["head.weight"]
    assert after["encoder.0.bias"] == before["encoder.0.bias"]
    assert after["encoder.0.weight"] != before["encoder.0.weight"]


def test_an_adapter_begins_alike_for_one_seed() -> None:
    made = []
    for seed in (1, 1, 2):
        module = Net()
        add_lora(module, "head", seed=seed)
        made.append(bits(lora_state(module)))
    assert made[0] == made[1] != made[2]
    with pytest.raises(InvalidArgumentError):
        add_lora(Net(), "head", rank=0)


@pytest.mark.slow
def test_a_student_comes_near_its_teacher_which_stays_as_it_is() -> None:
    teacher = finetune(Net(1), batches(), loss, Training(epochs=20, learning_rate=1e-2))
    student, before = Net(2), bits(teacher)

    def logits(module: nn.Module, batch: Any) -> torch.Tensor:
        found: torch.Tensor = module(batch[0])
        return found

    def gap() -> float:
        with torch.no_grad():
            return sum(
                float((logits(student.eval(), each) - logits(teacher, each)).abs().mean())
                for each in batches()
            )

    far = gap()
    distill(student, teacher, batches(), logits, Training(epochs=20, learning_rate=1e-2))
    assert gap() < far / 2
    assert bits(teacher) == before
    assert copied(student).keys() == copied(teacher).keys()
