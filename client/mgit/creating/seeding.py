"""Lets the generators that a function may use without knowing it begin alike every time."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import random
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["seed_generators"]


def seed_generators(seed: int) -> None:
    """Seed the generators of Python, numpy and torch; that of torch when it is imported, if it is not yet."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the generator that old code uses
    torch: Any = sys.modules.get("torch")
    if torch is None:
        sys.meta_path.insert(0, _TorchSeeder(seed))
    else:
        torch.manual_seed(seed)


class _TorchSeeder(importlib.abc.MetaPathFinder):
    """Seeds torch at the end of its import: a function that imports it itself would else begin anywhere."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - as of any finder
        target: ModuleType | None = None,  # noqa: ARG002 - as of any finder
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _SeedingLoader(spec.loader, self._seed)
        return spec


class _SeedingLoader(importlib.abc.Loader):
    """Another loader, and a seed at the end."""

    def __init__(self, loader: Any, seed: int) -> None:
        self._loader = loader
        self._seed = seed

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.manual_seed(self._seed)

    def __getattr__(self, name: str) -> Any:
        """What else is asked of a loader, such as for the source of a module."""
        return getattr(self._loader, name)
