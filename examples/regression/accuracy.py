"""The model test of the example: how many of some pictures, which lie in a file, a model tells right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from examples.regression.network import accuracy_of, draw_pictures

__all__ = ["THRESHOLD", "accuracy", "write_pictures"]

THRESHOLD = 0.88
_SEED = 99
_COUNT = 2000


def write_pictures(path: Path) -> Path:
    """Pictures that no version was trained on, the right way up, in a file of numpy."""
    pictures, labels = draw_pictures(_SEED, _COUNT)
    np.savez(path, pictures=pictures, labels=labels)
    return path


def accuracy(model: Mapping[str, Any], inputs: Path) -> float:
    """The share of the pictures in ``inputs`` that the model tells right."""
    with np.load(inputs) as file:
        return accuracy_of({name: model[name] for name in model}, file["pictures"], file["labels"])
