"""The model test of the example: whether both heads still tell their topics apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.merging.network import accuracies, set_weights

__all__ = ["worst_head"]


def worst_head(model: Mapping[str, Any]) -> float:
    """The share of held-out texts that the worse of the two heads gets right."""
    return min(accuracies(set_weights({name: model[name] for name in model})).values())
