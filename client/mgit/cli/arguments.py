"""Texts of options as values."""

from __future__ import annotations

import json
from collections.abc import Iterable

from mgit.lossy import Lossy
from mgit.values import Dataset, Parent
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import MetadataValue, Relation, check_metadata, parse_relation

__all__ = ["parse_dataset", "parse_lossy", "parse_metadata", "parse_parent", "parse_relations"]


def parse_parent(text: str) -> Parent:
    """The parent that ``REF[:RELATION[:WEIGHT]]`` writes; the relation is ``derived`` by default.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE, INVALID_RELATION or INVALID_ARGUMENT.
    """
    reference, *rest = text.split(":")
    if not reference or len(rest) > 2:
        raise InvalidArgumentError(
            ErrorReason.INVALID_REFERENCE, f"A parent is REF[:RELATION[:WEIGHT]]; found {text[:80]!r}."
        )
    relation = parse_relation(rest[0]) if rest and rest[0] else Relation.DERIVED
    return Parent(reference, relation, _parse_weight(rest[1]) if len(rest) == 2 else None)


def _parse_weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"The weight of a parent is a number; found {text[:80]!r}."
        ) from None


def parse_metadata(texts: Iterable[str]) -> dict[str, MetadataValue]:
    """The metadata that ``K=V`` texts write: a V that is a JSON number, string or truth value is one.

    Raises:
        InvalidArgumentError: INVALID_METADATA.
    """
    metadata: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InvalidArgumentError(
                ErrorReason.INVALID_METADATA, f"Metadata is written KEY=VALUE; found {text[:80]!r}."
            )
        if key in metadata:
            raise InvalidArgumentError(
                ErrorReason.INVALID_METADATA, f"Metadata {key!r} is given twice; give it once."
            )
        metadata[key] = _scalar(value)
    return check_metadata(metadata)


def _scalar(text: str) -> object:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _refuse_constant(name: str) -> object:
    """NaN and infinities are no JSON; such a word stays text."""
    raise ValueError(name)


def parse_dataset(text: str) -> Dataset:
    """The data set that ``NAME[@VERSION]`` writes.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    name, at, version = text.partition("@")
    if not name or (at and not version):
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"A data set is NAME or NAME@VERSION; found {text[:80]!r}."
        )
    return Dataset(name=name, version=version)


def parse_lossy(text: str) -> Lossy:
    """The loss that ``k=NUMBER`` or ``eps=NUMBER`` allows.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    name, _, number = text.partition("=")
    try:
        if name not in {"k", "eps"}:
            raise ValueError(name)  # noqa: TRY301 - told below, with numbers that are none
        return Lossy(k=float(number)) if name == "k" else Lossy(eps=float(number))
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"Loss is written k=NUMBER or eps=NUMBER; found {text[:80]!r}.",
            field="lossy",
        ) from None


def parse_relations(texts: Iterable[str]) -> tuple[Relation, ...]:
    """The relations, each once, in the order given.

    Raises:
        InvalidArgumentError: INVALID_RELATION.
    """
    return tuple(dict.fromkeys(parse_relation(text) for text in texts))
