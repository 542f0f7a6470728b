"""A classifier of small pictures in numpy, trained by gradient descent, and the data that it learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "Weights", "accuracy_of", "draw_pictures", "make_network", "train"]

Weights: TypeAlias = Mapping[str, npt.NDArray[Any]]
Arrays: TypeAlias = dict[str, npt.NDArray[np.float32]]
Pictures: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.int64]

_SIDE = 8
_CLASSES = 6
_HIDDEN = 16
_NOISE = 2.5
_RATE = 0.3


def draw_pictures(seed: int, count: int) -> tuple[Pictures, Labels]:
    """Noisy pictures of six figures, one row of pixels each, and which figure each shows."""
    figures = np.random.default_rng(0).standard_normal((_CLASSES, _SIDE * _SIDE))
    random = np.random.default_rng([1, seed])
    labels = random.integers(0, _CLASSES, count)
    return figures[labels] + _NOISE * random.standard_normal((count, _SIDE * _SIDE)), labels


def make_network(seed: int) -> Arrays:
    """Weights before any training."""
    random = np.random.default_rng([2, seed])
    return {
        "hidden.weight": (random.standard_normal((_SIDE * _SIDE, _HIDDEN)) / _SIDE).astype("f4"),
        "hidden.bias": np.zeros(_HIDDEN, "f4"),
        "head.weight": (random.standard_normal((_HIDDEN, _CLASSES)) / _HIDDEN**0.5).astype("f4"),
        "head.bias": np.zeros(_CLASSES, "f4"),
    }


def train(weights: Weights, pictures: Pictures, labels: Labels, steps: int) -> Arrays:
    """The weights after ``steps`` of gradient descent on the log loss over all ``pictures``."""
    now = {name: np.asarray(weight, "f8") for name, weight in weights.items()}
    wanted = np.eye(_CLASSES)[labels]
    for _ in range(steps):
        hidden, scores = _run(now, pictures)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = (shares / shares.sum(axis=1, keepdims=True) - wanted) / len(labels)
        behind = error @ now["head.weight"].T * (1 - hidden * hidden)
        slopes = {
            "hidden.weight": pictures.T @ behind,
            "hidden.bias": behind.sum(axis=0),
            "head.weight": hidden.T @ error,
            "head.bias": error.sum(axis=0),
        }
        now = {name: weight - _RATE * slopes[name] for name, weight in now.items()}
    return {name: weight.astype("f4") for name, weight in now.items()}


def accuracy_of(weights: Weights, pictures: Pictures, labels: Labels) -> float:
    """The share of pictures whose figure is told right."""
    wide = {name: np.asarray(weight, "f8") for name, weight in weights.items()}
    return float((_run(wide, pictures)[1].argmax(axis=1) == labels).mean())


def _run(weights: Weights, pictures: Pictures) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    hidden = np.tanh(pictures @ weights["hidden.weight"] + weights["hidden.bias"])
    return hidden, hidden @ weights["head.weight"] + weights["head.bias"]
