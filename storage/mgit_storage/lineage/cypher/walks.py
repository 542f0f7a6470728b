"""What a walk goes over, as columns.

Rows are what an answer costs; a list of numbers costs next to nothing. So models and edges come as lists, in slices of
some thousands. Edges name their ends by the server's own ids, which hold for the length of one query and leave it with
that query: what is kept is uids.

Which edges are followed is a *choice*: ``provenance``, ``version``, ``all``, or ``some`` with the types in ``$types``.
"""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.models import TYPES

__all__ = ["CLOSURES", "COLUMNS", "COLUMNS_OF_ALL", "STEPS"]

_CHOICES: dict[str, tuple[LiteralString, LiteralString]] = {
    "provenance": (TYPES, ""),
    "version": ("REVISION_OF", ""),
    "all": ("REVISION_OF|" + TYPES, ""),
    "some": ("REVISION_OF|" + TYPES, "WHERE all(r IN relationships(p) WHERE type(r) IN $types)\n"),
}
_ENDS: dict[str, tuple[LiteralString, LiteralString]] = {
    "ancestors": ("(m)-[:", "]->(a:Model)\n"),
    "descendants": ("(m)<-[:", "]-(a:Model)\n"),
    "both": ("(m)-[:", "]-(a:Model)\n"),
}


def _columns(choice: str) -> LiteralString:
    types, _ = _CHOICES[choice]
    only: LiteralString = "  WHERE type(e) IN $types\n" if choice == "some" else ""
    return (
        """UNWIND range(0, size(models) - 1, $slice) AS at
CALL (models, at) {
  UNWIND models[at..at + $slice] AS m
  RETURN collect(m.created_at.epochSeconds * 1000000 + m.created_at.microsecond) AS created_us,
    collect(id(m)) AS ids, collect(m.uid) AS uids, collect(m.name) AS names, collect(m.version) AS versions,
    collect(m.state) AS states
}
CALL (models, at) {
  UNWIND models[at..at + $slice] AS m
  MATCH (m)-[e:"""
        + types
        + "]->(q:Model)\n"
        + only
        + """  RETURN collect(id(m)) AS newer, collect(id(q)) AS older
}
RETURN created_us, ids, uids, names, versions, states, newer, older
"""
    )


def _closure(direction: str, choice: str) -> LiteralString:
    types, only = _CHOICES[choice]
    left, right = _ENDS[direction]
    return (
        """MATCH (m:Model)
WHERE m.uid IN $uids
CALL (m) {
  MATCH p = """
        + left
        + types
        + "*0.."
        + right
        + only
        + """  RETURN DISTINCT a
}
WITH DISTINCT a
WITH collect(a) AS models
"""
        + _columns(choice)
    )


def _step(direction: str, choice: str) -> LiteralString:
    types, only = _CHOICES[choice]
    left, right = _ENDS[direction]
    return (
        "UNWIND $uids AS uid\nMATCH (m:Model {uid: uid})\nMATCH p = "
        + left
        + types
        + right
        + only
        + "RETURN collect(DISTINCT a.uid) AS uids\n"
    )


# Some models and all that a walk may reach from them, with the edges from them, by direction and choice of edges.
# Index: model_uid. No hop bound: each model is visited once for each start.
CLOSURES: dict[tuple[str, str], LiteralString] = {
    (direction, choice): _closure(direction, choice) for direction in _ENDS for choice in _CHOICES
}

# What lies one hop from some models, by direction and choice of edges. Index: model_uid.
STEPS: dict[tuple[str, str], LiteralString] = {
    (direction, choice): _step(direction, choice) for direction in _ENDS for choice in _CHOICES
}

# Some models with the edges from them, by choice of edges. Index: model_uid. One hop.
COLUMNS: dict[str, LiteralString] = {
    choice: "MATCH (m:Model)\nWHERE m.uid IN $uids\nWITH collect(m) AS models\n" + _columns(choice)
    for choice in _CHOICES
}

# All models with the edges from them, by choice of edges. Index: model_uid, read from end to end. One hop.
COLUMNS_OF_ALL: dict[str, LiteralString] = {
    choice: "MATCH (m:Model)\nWHERE m.uid > ''\nWITH collect(m) AS models\n" + _columns(choice)
    for choice in _CHOICES
}
