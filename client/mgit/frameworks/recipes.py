"""Recipes from files: the configuration of a merge in YAML, or a model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import yaml

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.recipes import Recipe, recipe_of_card, recipe_of_merge

__all__ = ["read_recipe"]

_MOST_BYTES = 1 << 20
_FENCE = "---"


def read_recipe(path: Path) -> Recipe:
    """The recipe that a file holds: a model card (``*.md``, the YAML between its first two ``---``), or a merge.

    No tag of YAML makes anything but plain values.

    Raises:
        NotFoundError: PATH_NOT_FOUND.
        InvalidArgumentError: UNREADABLE_INPUT.
    """
    text = _read(path)
    is_card = path.suffix.lower() == ".md"
    try:
        document: object = yaml.safe_load(_front_matter(text, path) if is_card else text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _unreadable(path, f"it is no YAML: {error}") from error
    if not isinstance(document, Mapping):
        raise _unreadable(path, "it holds no names with values")
    fields = cast("Mapping[str, object]", document)
    return recipe_of_card(fields) if is_card or "merge_method" not in fields else recipe_of_merge(fields)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(ErrorReason.PATH_NOT_FOUND, f"There is no recipe {path}.") from error
    except OSError as error:
        raise _unreadable(path, f"it cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise _unreadable(path, f"a recipe has at most {_MOST_BYTES:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is no text in UTF-8") from error


def _front_matter(text: str, path: Path) -> str:
    lines = text.splitlines()
    if lines and lines[0].strip() == _FENCE:
        for number, line in enumerate(lines[1:], start=1):
            if line.strip() == _FENCE:
                return "\n".join(lines[1:number])
    raise _unreadable(path, "a model card begins with YAML between two lines ---")


def _unreadable(path: Path, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, f"Recipe {path} cannot be used: {what}.")
