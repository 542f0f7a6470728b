"""Accuracy of a member whose weights were changed on the way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from bench.compression.subjects import Subject
from examples.minilm.recipe import Judge, Training
from examples.minilm.text import read_label_set

__all__ = ["accuracy_of"]


def accuracy_of(subject: Subject, tensors: Mapping[str, npt.NDArray[np.generic]]) -> float:
    """Share of the member's held-out texts whose topic it finds with these weights, 0 to 1; 0 without a head."""
    if "label_set" not in subject.built.metadata:
        return 0.0
    import torch  # noqa: PLC0415 - takes seconds, and most schemes need none
    from examples.minilm.training import accuracy  # noqa: PLC0415
    from examples.minilm.weights import Model, read_model  # noqa: PLC0415

    number = int(subject.built.metadata["label_set"])
    judge = Judge(Training(label_set=number, steps=0, learning_rate=0.0), read_label_set(number))
    config = read_model(subject.built.path).config
    weights = {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}
    return accuracy(Model(weights, config), judge)[0]
