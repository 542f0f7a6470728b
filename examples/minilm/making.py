"""Makes one member from its parents' folders."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from examples.minilm.joint import take_head, train_jointly
from examples.minilm.optimizing import OnStep
from examples.minilm.recipe import (
    Adapter,
    Aggregate,
    Average,
    Base,
    Cast,
    Finetune,
    Judge,
    MergeAdapter,
    Multitask,
    Prune,
    Recipe,
    TaskHead,
)
from examples.minilm.training import Trained, accuracy, finetune, merge_adapter, train_adapter
from examples.minilm.variation import varied
from examples.minilm.weights import Model, aggregate, average, cast, prune, read_model, write_model

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["Metadata", "make"]

Metadata = dict[str, str | int | float]


def make(
    recipe: Recipe, parents: Sequence[Path], judge: Judge | None, folder: Path, on_step: OnStep
) -> Metadata:
    """Writes the member to ``folder``, which must not exist, and gives what is known about it.

    Args:
        recipe: What to do with the parents.
        parents: Their folders, in the recipe's order.
        judge: The member's text, or none for one without a head.
        folder: Where the model or adapter goes.
        on_step: Told of each training step.
    """
    started = time.monotonic()
    metadata: Metadata = {"operation": type(recipe).__name__.lower()}
    if isinstance(recipe, Multitask):
        joint = train_jointly(read_model(parents[0]), recipe, on_step)
        model = joint.model
        metadata |= {"tasks": len(recipe.tasks), "accuracy": round(joint.accuracy, 4)}
        metadata |= {"first_loss": round(joint.first_loss, 4), "last_loss": round(joint.last_loss, 4)}
    elif isinstance(recipe, Finetune | Adapter):
        trained = _train(recipe, read_model(parents[0]), folder, on_step, judge)
        model = trained.model
        metadata |= _training_metadata(recipe, trained)
    else:
        model = _derive(recipe, parents, judge)
    if not isinstance(recipe, Adapter):
        write_model(folder, model)
    if judge is not None:
        right, majority = accuracy(model, judge)
        metadata |= {
            "label_set": judge.training.label_set,
            "accuracy": round(right, 4),
            "majority": round(majority, 4),
        }
    metadata["seconds"] = round(time.monotonic() - started, 3)
    return metadata


def _train(
    recipe: Finetune | Adapter, model: Model, folder: Path, on_step: OnStep, judge: Judge | None
) -> Trained:
    if judge is None:
        raise InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, "Training was wanted without any text.")
    text = varied(judge.text, recipe.training)
    if isinstance(recipe, Adapter):
        return train_adapter(model, recipe, text, on_step, folder)
    return finetune(model, recipe, text, on_step)


def _derive(
    recipe: Base | MergeAdapter | Prune | Average | Aggregate | TaskHead | Cast,
    parents: Sequence[Path],
    judge: Judge | None,
) -> Model:
    match recipe:
        case Prune(share):
            return prune(read_model(parents[0]), share)
        case Average():
            return average(read_model(parents[0]), read_model(parents[1]))
        case Aggregate():
            return aggregate([read_model(parent) for parent in parents])
        case TaskHead(task):
            return take_head(read_model(parents[0]), task)
        case Cast(dtype):
            return cast(read_model(parents[0]), dtype)
        case MergeAdapter() if judge is not None:
            return merge_adapter(read_model(parents[0]), parents[1], judge.text)
        case _:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"A recipe with the parents it needs was wanted; found {recipe}.",
            )


def _training_metadata(recipe: Finetune | Adapter, trained: Trained) -> Metadata:
    training = recipe.training
    metadata: Metadata = {
        "steps": training.steps,
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay,
        "seed": training.seed,
        "first_loss": round(trained.first_loss, 4),
        "last_loss": round(trained.last_loss, 4),
    }
    if isinstance(recipe, Adapter):
        metadata |= {"targets": recipe.targets, "rank": recipe.rank, "alpha": recipe.alpha}
    else:
        metadata["scope"] = recipe.scope
    return metadata
