"""Model folders in Hugging Face's form, and the operations on weights that need no training."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from examples.minilm.recipe import Base
from safetensors.torch import load_file, save_file

__all__ = [
    "HEAD",
    "Model",
    "Tensors",
    "aggregate",
    "average",
    "cast",
    "is_encoder_matrix",
    "prune",
    "read_model",
    "write_model",
]

Tensors = dict[str, torch.Tensor]

HEAD = "classifier"
"""The head's module; its tensors are added to those of the base, whose names stay as they are."""

_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


@dataclass(frozen=True, slots=True)
class Model:
    """A whole model: its tensors by name and its ``config.json``."""

    weights: Tensors
    config: dict[str, object]


def read_model(folder: Path) -> Model:
    """A model folder's tensors and configuration."""
    config: dict[str, object] = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    return Model(load_file(folder / _WEIGHTS), config)


def write_model(folder: Path, model: Model) -> None:
    """Writes a whole model with the base's tokenizer; the same model gives the same bytes."""
    folder.mkdir(parents=True)
    for name in _TOKENIZER:
        shutil.copyfile(Base.folder() / name, folder / name)
    text = json.dumps(model.config, indent=2, sort_keys=True) + "\n"
    (folder / _CONFIG).write_text(text, encoding="utf-8")
    contiguous = {name: tensor.contiguous() for name, tensor in model.weights.items()}
    save_file(contiguous, folder / _WEIGHTS, metadata={"format": "pt"})


def is_encoder_matrix(name: str, tensor: torch.Tensor) -> bool:
    """Whether pruning touches the tensor: the encoder layers' 2-D weights."""
    return name.startswith("encoder.layer.") and tensor.ndim == 2


def prune(model: Model, share: float) -> Model:
    """The model with ``share`` of each encoder matrix zeroed: all up to one magnitude, so ties may add some.

    A zero keeps its weight's sign, as in any product with a mask.
    """
    weights = {
        name: _prune_matrix(tensor, share) if is_encoder_matrix(name, tensor) else tensor
        for name, tensor in model.weights.items()
    }
    return Model(weights, model.config)


def _prune_matrix(matrix: torch.Tensor, share: float) -> torch.Tensor:
    magnitude = matrix.abs()
    threshold = magnitude.flatten().kthvalue(max(1, int(share * matrix.numel()))).values
    return matrix * (magnitude > threshold).to(matrix.dtype)


def average(first: Model, second: Model) -> Model:
    """(first + second) / 2, summed first; the head and the integers are the first's."""
    weights = {
        name: tensor
        if name.startswith(f"{HEAD}.") or not tensor.is_floating_point()
        else (tensor + second.weights[name]) / 2
        for name, tensor in first.weights.items()
    }
    return Model(weights, first.config)


def aggregate(models: Sequence[Model]) -> Model:
    """The mean, heads included: summed in order in the models' number type, then divided by how many they are."""
    first, *others = models
    weights = {
        name: functools.reduce(torch.add, [other.weights[name] for other in others], tensor) / len(models)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.weights.items()
    }
    return Model(weights, first.config)


def cast(model: Model, dtype: str) -> Model:
    """Floats in another type (a torch name), rounded to nearest even; integers as they are."""
    target: torch.dtype = getattr(torch, dtype)
    weights = {
        name: tensor.to(target) if tensor.is_floating_point() else tensor
        for name, tensor in model.weights.items()
    }
    return Model(weights, model.config | {"dtype": dtype})
