"""Models whose kinship is known, in a store and a graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import numpy as np
from tests.memory_world import World, open_world

from mgit_core.lineage import Model
from mgit_core.tensor import AnyArray
from mgit_service.use_cases.maintenance.sketching import keep_sketch

Tensors = Mapping[str, AnyArray]


def encoder(seed: int, width: int = 64, layers: int = 4) -> dict[str, AnyArray]:
    """A body of some matrices with biases, norms that begin at one, and a head."""
    random = np.random.default_rng(seed)
    tensors: dict[str, AnyArray] = {"positions": np.arange(32)}
    for layer in range(layers):
        # A few strong directions, as training leaves them.
        strong = random.normal(0, 0.3, (width, 3)) @ random.normal(0, 0.3, (3, width))
        tensors[f"body.{layer}.weight"] = (strong + random.normal(0, 0.05, (width, width))).astype(np.float32)
        tensors[f"body.{layer}.bias"] = random.normal(0, 0.05, width).astype(np.float32)
        tensors[f"norm.{layer}.weight"] = np.ones(width, np.float32)
    return {**tensors, **head(seed, 10, width)}


def head(seed: int, outputs: int, width: int = 64) -> dict[str, AnyArray]:
    random = np.random.default_rng((seed, outputs))
    return {"head.weight": random.normal(0, 0.1, (outputs, width)).astype(np.float32)}


def tuned(tensors: Tensors, seed: int, size: float = 0.005) -> dict[str, AnyArray]:
    """Every float moved a little, in no direction of its own."""
    random = np.random.default_rng(seed)
    return {
        name: (array + size * random.standard_normal(array.shape)).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in tensors.items()
    }


def pruned(tensors: Tensors, share: float) -> dict[str, AnyArray]:
    """The smallest weights of each matrix set to zero."""
    return {
        name: np.where(np.abs(array) > np.quantile(np.abs(array), share), array, 0).astype(array.dtype)
        if array.ndim == 2
        else array
        for name, array in tensors.items()
    }


def cast(tensors: Tensors, dtype: str | np.dtype[np.generic]) -> dict[str, AnyArray]:
    return {
        name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in tensors.items()
    }


def adapted(tensors: Tensors, seed: int, rank: int = 4) -> dict[str, AnyArray]:
    """A product of thin matrices added to each matrix of the body, all else left."""
    random = np.random.default_rng(seed)
    changed = dict(tensors)
    for name, array in tensors.items():
        if name.startswith("body") and array.ndim == 2:
            left, right = (
                random.normal(0, 0.05, shape) for shape in ((array.shape[0], rank), (rank, array.shape[1]))
            )
            changed[name] = (array + left @ right).astype(array.dtype)
    return changed


def mixed(*shares: tuple[float, Tensors]) -> dict[str, AnyArray]:
    return {
        name: sum((share * each[name] for share, each in shares), np.zeros(())).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in shares[0][1].items()
    }


class RelatedWorld:
    """A world whose models have their sketches."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.backend = world.backend

    async def add(self, name: str, tensors: Tensors, **more: object) -> Model:
        model = await self.world.add(name, tensors, **more)  # type: ignore[arg-type]
        assert model.parameters is not None
        await keep_sketch(self.backend, model.parameters)
        return model


@asynccontextmanager
async def related_world() -> AsyncIterator[RelatedWorld]:
    async with open_world() as world:
        yield RelatedWorld(world)
