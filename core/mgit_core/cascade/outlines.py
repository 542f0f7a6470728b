"""Names, types and shapes of a model's parameters, values aside: what a model that is made anew has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mgit_core.manifest import Manifest
from mgit_core.tensor import TensorSpec

__all__ = ["Outline", "outline_of", "tell_difference", "tell_spec"]

Outline: TypeAlias = Mapping[str, TensorSpec]

_MOST_NAMED = 5


def outline_of(manifest: Manifest) -> Outline:
    """The outline of a model."""
    return {parameter.name: parameter.spec for parameter in manifest.parameters}


def tell_difference(wanted: Outline, found: Outline) -> str:
    """In which parameters two models differ, values aside, as a clause about ``found``; empty if in none."""
    parts = [
        _named("lacks", wanted.keys() - found.keys()),
        _named("adds", found.keys() - wanted.keys()),
        _named(
            "has in another type or shape",
            {
                f"{name} ({tell_spec(wanted[name])} became {tell_spec(found[name])})"
                for name in wanted.keys() & found.keys()
                if wanted[name] != found[name]
            },
        ),
    ]
    return "; ".join(part for part in parts if part)


def tell_spec(spec: TensorSpec) -> str:
    """Type and shape, for people to read."""
    return f"{spec.dtype} {list(spec.shape)}"


def _named(verb: str, names: set[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"it {verb} {shown}{f' and {more} more' if more > 0 else ''}"
