"""Values of Neo4j as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import neo4j.graph
import neo4j.spatial
import neo4j.time

from mgit_core.ports.audit import JsonValue

__all__ = ["json_value"]

# Beyond, a number of JSON is not exact.
_EXACT = 2**53
_TIMES = (neo4j.time.DateTime, neo4j.time.Date, neo4j.time.Time, neo4j.time.Duration)
_UNLIKE_JSON = {math.inf: "Infinity", -math.inf: "-Infinity"}


def json_value(value: Any) -> JsonValue:
    """``value`` in a form that JSON has.

    A node is an object with its properties and ``_labels``, an edge one with its properties and ``_type``, a path
    the list of both in turn; times and durations are ISO 8601 text; a point is an object with ``_srid`` and its
    coordinates; bytes are hexadecimal text; a whole number beyond 2^53 is text, and so are NaN, Infinity and -Infinity.
    """
    match value:
        case None | bool() | str():
            return value
        case int() | float():
            return _number(value)
        case neo4j.graph.Node() | neo4j.graph.Relationship() | neo4j.graph.Path():
            return _entity(value)
        case neo4j.spatial.Point():
            return {"_srid": value.srid, **dict(zip("xyz", map(float, value), strict=False))}
        case Mapping():
            return _properties(value)
        case _:
            return _lengthy(value)


def _number(value: float) -> JsonValue:
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else str(value)
    return value if math.isfinite(value) else _UNLIKE_JSON.get(value, "NaN")


def _entity(value: Any) -> JsonValue:
    if isinstance(value, neo4j.graph.Node):
        return {"_labels": sorted(value.labels), **_properties(value)}
    if isinstance(value, neo4j.graph.Relationship):
        return {"_type": value.type, **_properties(value)}
    return _in_turn(value)


def _lengthy(value: Any) -> JsonValue:
    """What the driver gives as some sort of sequence; a duration is one, too."""
    if isinstance(value, _TIMES):
        return str(value.iso_format())
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Sequence):
        return [json_value(each) for each in value]
    raise TypeError(f"{type(value).__name__} is no value that a question is answered with")


def _properties(entity: Any) -> dict[str, JsonValue]:
    return {key: json_value(each) for key, each in entity.items()}


def _in_turn(path: neo4j.graph.Path) -> list[JsonValue]:
    found = [json_value(path.nodes[0])]
    for edge, node in zip(path.relationships, path.nodes[1:], strict=True):
        found += [json_value(edge), json_value(node)]
    return found
