"""Remembers where models come from and keeps their parameters, so that relatives share bytes.

``connect`` gives a repository on a service, ``local`` one on the local stack, which it starts if need be::

    import mgit

    repo = mgit.connect()
    base = repo.add("minilm", "model.safetensors")
    sst2 = repo.add("sst2", "finetuned/", parents=[mgit.finetuned(base)], metadata={"epochs": 3})
    weights = sst2.load()

Names are imported when they are first used: ``import mgit`` alone costs nearly nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

# The package of that name is bound first, since it would otherwise take the place of the function later.
import mgit.local  # noqa: F401 - for its effect # pyright: ignore[reportUnusedImport]
from mgit.starting import local

if TYPE_CHECKING:
    from mgit import errors
    from mgit.creating.functions import creation_function
    from mgit.lossy import Lossy, guard
    from mgit.model import Model
    from mgit.repository import Repository, connect
    from mgit.values import (
        Dataset,
        Parent,
        Relation,
        adapted,
        aggregated,
        cast,
        derived,
        distilled,
        finetuned,
        merged,
        pruned,
        quantized,
    )

    __version__: str

__all__ = [
    "Dataset",
    "Lossy",
    "Model",
    "Parent",
    "Relation",
    "Repository",
    "__version__",
    "adapted",
    "aggregated",
    "cast",
    "connect",
    "creation_function",
    "derived",
    "distilled",
    "errors",
    "finetuned",
    "guard",
    "local",
    "merged",
    "pruned",
    "quantized",
]

_MODULES = {
    **dict.fromkeys(("Repository", "connect"), "mgit.repository"),
    "Model": "mgit.model",
    "creation_function": "mgit.creating.functions",
    **dict.fromkeys(("Lossy", "guard"), "mgit.lossy"),
    **dict.fromkeys(
        (
            *("Dataset", "Parent", "Relation", "adapted", "aggregated", "cast", "derived", "distilled"),
            *("finetuned", "merged", "pruned", "quantized"),
        ),
        "mgit.values",
    ),
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow, and seldom asked for

        value: object = version("mgit-lineage")
    elif name == "errors":
        value = importlib.import_module("mgit.errors")
    elif name in _MODULES:
        value = getattr(importlib.import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
