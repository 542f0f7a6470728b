"""What a walk is asked: order, direction, edges."""

from __future__ import annotations

import enum
from typing import TypeVar

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["WalkDirection", "WalkEdges", "WalkOrder", "parse_choice"]

Choice = TypeVar("Choice", bound=enum.StrEnum)


class WalkOrder(enum.StrEnum):
    """In which order a walk gives its models; ties go to the older model, then to the smaller uid."""

    BREADTH_FIRST = "breadth-first"
    DEPTH_FIRST = "depth-first"
    PARENTS_FIRST = "parents-first"
    CHILDREN_FIRST = "children-first"


class WalkDirection(enum.StrEnum):
    """Which way a walk goes over its edges."""

    ANCESTORS = "ancestors"
    DESCENDANTS = "descendants"
    BOTH = "both"


class WalkEdges(enum.StrEnum):
    """Which edges a walk follows."""

    PROVENANCE = "provenance"
    VERSION = "version"
    ALL = "all"


def parse_choice(kind: type[Choice], name: str, text: str) -> Choice:
    """The member of ``kind`` that is called ``text``.

    Args:
        kind: One of the enumerations of this module.
        name: What the caller calls it, for the message.
        text: In any case.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    try:
        return kind(text.lower())
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"{name} is one of {', '.join(kind)}; found {text[:80]!r}.",
            field=name,
        ) from None
