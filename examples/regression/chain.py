"""Ten versions of a model, each trained further from the one before, and models that were made from some of them.

From the seventh version on the training read every second picture upside down. Nobody noticed: the loss on what it
read fell as ever.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from examples.regression.network import Arrays, draw_pictures, make_network, train

__all__ = ["FIRST_BAD", "VERSIONS", "Derived", "derive_models", "make_versions"]

VERSIONS = 10
FIRST_BAD = 7
_PICTURES = 600
_FIRST_STEPS = 150
_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A model beside the chain.

    Attributes:
        name: Its name.
        version: The version that it was made from.
        relation: How.
        weights: What came out.
    """

    name: str
    version: int
    relation: str
    weights: Arrays


def make_versions() -> list[Arrays]:
    """The weights of every version, the first one first."""
    weights, versions = make_network(0), []
    for version in range(1, VERSIONS + 1):
        pictures, labels = draw_pictures(version, _PICTURES)
        if version >= FIRST_BAD:
            pictures[::2] = pictures[::2, ::-1].copy()
        weights = train(weights, pictures, labels, _FIRST_STEPS if version == 1 else _STEPS)
        versions.append(weights)
    return versions


def derive_models(versions: list[Arrays]) -> list[Derived]:
    """Models for devices and for servers: two from good versions, three from bad ones."""
    plans = [
        ("phone", 3, "pruned"),
        ("server", 6, "cast"),
        ("watch", 7, "pruned"),
        ("tablet", 8, "cast"),
        ("kiosk", 9, "pruned"),
    ]
    return [
        Derived(
            name=name, version=version, relation=relation, weights=_changed(versions[version - 1], relation)
        )
        for name, version, relation in plans
    ]


def _changed(weights: Arrays, relation: str) -> Arrays:
    if relation == "cast":
        return {name: weight.astype("f2") for name, weight in weights.items()}
    return {
        name: np.where(np.abs(weight) < np.quantile(np.abs(weight), 0.3), np.float32(0), weight)
        if weight.ndim == 2
        else weight
        for name, weight in weights.items()
    }
