"""Training that gives the same bits every time it is run on the same kind of machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import torch

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["Loss", "Training", "deterministic", "distill", "finetune", "train_together"]

Module = TypeVar("Module", bound=torch.nn.Module)
Loss: TypeAlias = Callable[[Any, Any], torch.Tensor]
"""Gets a module and a batch, and gives a number to be made small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and how fast is trained.

    Attributes:
        epochs: How often every batch is seen.
        learning_rate: Of AdamW.
        seed: Of the order of batches, and of whatever the module draws.
        threads: How many compute. Another number may give other bits, so it is one of the training's own.
        optimizer: Makes another optimizer for the parameters that are trained; None means AdamW.
    """

    epochs: int = 1
    learning_rate: float = 1e-3
    seed: int = 0
    threads: int = 1
    optimizer: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer] | None = None

    def make_optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """An optimizer for those parameters that are not frozen, each once.

        Raises:
            InvalidArgumentError: INVALID_CREATION, if all are frozen.
        """
        trained = list(dict.fromkeys(each for each in parameters if each.requires_grad))
        if not trained:
            raise InvalidArgumentError(
                ErrorReason.INVALID_CREATION, "Training changes at least one parameter; all are frozen."
            )
        if self.optimizer is not None:
            return self.optimizer(trained)
        return torch.optim.AdamW(trained, lr=self.learning_rate)


@contextlib.contextmanager
def deterministic(seed: int, *, threads: int = 1) -> Generator[None]:
    """Lets torch compute the same bits every time meanwhile: algorithms, threads and generators are fixed.

    An operation that has no such algorithm raises RuntimeError. What was set before is set again afterwards.
    """
    threads_before = torch.get_num_threads()
    was_strict = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)
            torch.use_deterministic_algorithms(was_strict)


def finetune(module: Module, batches: Sequence[Any], loss: Loss, training: Training | None = None) -> Module:
    """Train a module further, in place; gives it back.

    Args:
        module: What is trained; frozen parameters stay.
        batches: In an order that is drawn anew for every epoch.
        loss: Gets the module and a batch.
        training: How; None means the usual.

    Raises:
        InvalidArgumentError: INVALID_CREATION, without batches or parameters to train.
    """
    train_together({"": module}, {"": batches}, {"": loss}, training)
    return module


def train_together(
    modules: Mapping[str, torch.nn.Module],
    batches: Mapping[str, Sequence[Any]],
    losses: Mapping[str, Loss],
    training: Training | None = None,
) -> None:
    """Train several modules in turns, a batch each, in place; parameters that are tied learn from all of them.

    A module whose batches are used up waits for the next epoch.

    Args:
        modules: By task; the turns go in this order.
        batches: By task.
        losses: By task.
        training: How; None means the usual.

    Raises:
        InvalidArgumentError: INVALID_CREATION, for a task without batches or a loss, or nothing to train.
    """
    training = training or Training()
    for task in modules:
        if not batches.get(task) or task not in losses:
            raise InvalidArgumentError(
                ErrorReason.INVALID_CREATION, f"Training wants at least one batch and a loss{_of(task)}."
            )
    with deterministic(training.seed, threads=training.threads):
        optimizer = training.make_optimizer(p for module in modules.values() for p in module.parameters())
        order = torch.Generator().manual_seed(training.seed)
        for module in modules.values():
            module.train()
        for _ in range(training.epochs):
            for task, batch in _turns({task: batches[task] for task in modules}, order):
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(losses[task](modules[task], batch))
                optimizer.step()
        for module in modules.values():
            module.eval()


def distill(  # noqa: PLR0913 - two models, what they share, and how
    student: Module,
    teacher: torch.nn.Module,
    batches: Sequence[Any],
    logits: Callable[[Any, Any], torch.Tensor],
    training: Training | None = None,
    *,
    temperature: float = 2.0,
) -> Module:
    """Train a student to answer as a teacher does, in place; gives it back.

    Args:
        student: What is trained.
        teacher: Stays as it is.
        batches: As for ``finetune``.
        logits: Gets a module and a batch; the last axis of what it gives is the classes.
        training: How; None means the usual.
        temperature: Divides the logits of both: the higher, the more the teacher's second guesses count.

    Raises:
        InvalidArgumentError: As ``finetune``.
    """
    teacher.eval()

    def loss(module: Any, batch: Any) -> torch.Tensor:
        with torch.no_grad():
            wanted = torch.log_softmax(logits(teacher, batch) / temperature, dim=-1)
        found = torch.log_softmax(logits(module, batch) / temperature, dim=-1)
        gap = torch.nn.functional.kl_div(
            found.flatten(end_dim=-2), wanted.flatten(end_dim=-2), reduction="batchmean", log_target=True
        )
        return gap * temperature**2

    return finetune(student, batches, loss, training)


def _turns(batches: Mapping[str, Sequence[Any]], order: torch.Generator) -> Generator[tuple[str, Any]]:
    """One epoch: the tasks in turns, the batches of each in an order that is drawn."""
    drawn = {task: torch.randperm(len(each), generator=order).tolist() for task, each in batches.items()}
    for turn in range(max(map(len, drawn.values()))):
        for task, places in drawn.items():
            if turn < len(places):
                yield task, batches[task][places[turn]]


def _of(task: str) -> str:
    return f" for task {task!r}" if task else ""
