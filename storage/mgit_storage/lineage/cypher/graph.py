"""Edges and traversals.

Lineage is full of diamonds: paths are exponentially many, models are not. Every unbounded pattern here has a
direction and types and ends in DISTINCT models or an aggregate of them, which the planner answers with
``VarLengthExpand(Pruning,BFS,All)``; a test asserts it for each of them. The walk stands in a subquery of its
own, so that the planner cannot begin at the wrong end.
"""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.models import TYPES

__all__ = [
    "ALL_UIDS",
    "CREATE_LINK",
    "CREATE_REVISION",
    "CYCLE_PATH",
    "EDGES_BETWEEN",
    "EDGES_OF",
    "LAST_POSITION",
    "NEAR_TRAVERSALS",
    "PARENTS_OF",
    "REACHES",
    "RELATIVES_OF_SOME",
    "REVISIONS_OF",
    "TRAVERSALS",
    "UNLINK",
    "UNLINK_REVISION",
]

_START: LiteralString = "MATCH (m:Model {uid: $uid})\nCALL (m) {\n"
_UP: LiteralString = _START + "  MATCH p = (m)-[:" + TYPES + "*1..]->(a:Model)\n"
_DOWN: LiteralString = _START + "  MATCH p = (m)<-[:" + TYPES + "*1..]-(a:Model)\n"
_ONLY: LiteralString = "  WHERE all(r IN relationships(p) WHERE type(r) IN $types)\n"
_HOPS: LiteralString = "  WITH a, min(length(p)) AS hops\n  WHERE hops <= $depth\n"

_UIDS: LiteralString = "  WITH DISTINCT a\n  LIMIT $limit\n  RETURN collect(a.uid) AS uids\n}\nRETURN uids\n"
_COUNT: LiteralString = "  RETURN count(DISTINCT a) AS models\n}\nRETURN models\n"
_UIDS_IN_DEPTH: LiteralString = (
    _HOPS + "  WITH a\n  LIMIT $limit\n  RETURN collect(a.uid) AS uids\n}\nRETURN uids\n"
)
_COUNT_IN_DEPTH: LiteralString = _HOPS + "  RETURN count(a) AS models\n}\nRETURN models\n"
_ROWS: LiteralString = (
    _HOPS
    + """  RETURN a, hops
  ORDER BY hops, a.uid
  LIMIT $limit
}
RETURN a.uid AS uid, a.name AS name, a.version AS version, a.state AS state,
  a.created_at.epochSeconds * 1000000 + a.created_at.microsecond AS created_at, hops
"""
)

# Relatives of a model, by direction and form. Index: model_uid. No hop bound: each model is visited once.
TRAVERSALS: dict[tuple[str, str], LiteralString] = {
    ("ancestors", "uids"): _UP + _ONLY + _UIDS,
    ("ancestors", "uids-all"): _UP + _UIDS,
    ("ancestors", "uids-depth"): _UP + _ONLY + _UIDS_IN_DEPTH,
    ("ancestors", "count"): _UP + _ONLY + _COUNT,
    ("ancestors", "count-all"): _UP + _COUNT,
    ("ancestors", "count-depth"): _UP + _ONLY + _COUNT_IN_DEPTH,
    ("ancestors", "rows"): _UP + _ONLY + _ROWS,
    ("ancestors", "rows-all"): _UP + _ROWS,
    ("descendants", "uids"): _DOWN + _ONLY + _UIDS,
    ("descendants", "uids-all"): _DOWN + _UIDS,
    ("descendants", "uids-depth"): _DOWN + _ONLY + _UIDS_IN_DEPTH,
    ("descendants", "count"): _DOWN + _ONLY + _COUNT,
    ("descendants", "count-all"): _DOWN + _COUNT,
    ("descendants", "count-depth"): _DOWN + _ONLY + _COUNT_IN_DEPTH,
    ("descendants", "rows"): _DOWN + _ONLY + _ROWS,
    ("descendants", "rows-all"): _DOWN + _ROWS,
}


def _near(hops: LiteralString) -> dict[tuple[str, str], LiteralString]:
    up = _START + "  MATCH p = (m)-[:" + TYPES + "*1.." + hops + "]->(a:Model)\n"
    down = _START + "  MATCH p = (m)<-[:" + TYPES + "*1.." + hops + "]-(a:Model)\n"
    return {
        ("ancestors", "uids-depth"): up + _ONLY + _UIDS_IN_DEPTH,
        ("ancestors", "count-depth"): up + _ONLY + _COUNT_IN_DEPTH,
        ("ancestors", "rows"): up + _ONLY + _ROWS,
        ("ancestors", "rows-all"): up + _ROWS,
        ("descendants", "uids-depth"): down + _ONLY + _UIDS_IN_DEPTH,
        ("descendants", "count-depth"): down + _ONLY + _COUNT_IN_DEPTH,
        ("descendants", "rows"): down + _ONLY + _ROWS,
        ("descendants", "rows-all"): down + _ROWS,
    }


# Relatives within a few hops. A bound in a pattern cannot be a parameter, and with a bound behind the walk a
# shallow question would cost as much as a deep one. Index: model_uid.
NEAR_TRAVERSALS: dict[int, dict[tuple[str, str], LiteralString]] = {
    1: _near("1"),
    2: _near("2"),
    3: _near("3"),
    4: _near("4"),
}

# Ancestors or descendants of several models in one list. Index: model_uid. Each model once for each start.
RELATIVES_OF_SOME: dict[str, LiteralString] = {
    "ancestors": (
        "UNWIND $uids AS uid\nMATCH (m:Model {uid: uid})\nCALL (m) {\n  MATCH (m)-[:"
        + TYPES
        + "*1..]->(a:Model)\n  RETURN DISTINCT a\n}\nRETURN collect(DISTINCT a.uid) AS uids\n"
    ),
    "descendants": (
        "UNWIND $uids AS uid\nMATCH (m:Model {uid: uid})\nCALL (m) {\n  MATCH (m)<-[:"
        + TYPES
        + "*1..]-(a:Model)\n  RETURN DISTINCT a\n}\nRETURN collect(DISTINCT a.uid) AS uids\n"
    ),
}

# The first models by uid, which is by time. Index: model_uid, in its order.
ALL_UIDS: LiteralString = """
MATCH (m:Model)
WHERE m.uid > ''
WITH m
ORDER BY m.uid
LIMIT $limit
RETURN collect(m.uid) AS uids
"""

# Would an edge from the child to the parent close a cycle? Index: model_uid. Each model is visited once.
REACHES: LiteralString = (
    """
MATCH (m:Model {uid: $from_uid})
CALL (m) {
  MATCH (m)-[:REVISION_OF|"""
    + TYPES
    + """*0..]->(a:Model)
  RETURN DISTINCT a
}
WITH a
WHERE a.uid = $to_uid
RETURN count(a) AS found
"""
)

# The path of such a cycle, for the message. Index: model_uid. A search from both ends, not an enumeration.
CYCLE_PATH: LiteralString = (
    """
MATCH (m:Model {uid: $from_uid})
MATCH (a:Model {uid: $to_uid})
MATCH p = shortestPath((m)-[:REVISION_OF|"""
    + TYPES
    + """*1..]->(a))
RETURN [n IN nodes(p) | n.name + '@' + toString(n.version)] AS refs
"""
)

# The edges between a child and a parent. Index: model_uid.
EDGES_BETWEEN: LiteralString = (
    """
MATCH (c:Model {uid: $child_uid})
MATCH (q:Model {uid: $parent_uid})
MATCH (c)-[e:"""
    + TYPES
    + """]->(q)
WHERE $relation IS NULL OR type(e) = $relation
RETURN e {
    .*, relation: type(e), child_uid: c.uid, parent_uid: q.uid,
    created_at: e.created_at.epochSeconds * 1000000 + e.created_at.microsecond
  } AS edge
ORDER BY e.position
"""
)

# The highest position among the parents of a child, or null. Index: model_uid.
LAST_POSITION: LiteralString = (
    """
MATCH (c:Model {uid: $child_uid})
OPTIONAL MATCH (c)-[e:"""
    + TYPES
    + """]->(:Model)
RETURN max(e.position) AS position
"""
)

# A provenance edge; its type comes from a closed enumeration. Index: model_uid.
CREATE_LINK: LiteralString = """
MATCH (c:Model {uid: $child_uid})
MATCH (q:Model {uid: $parent_uid})
CREATE (c)-[e:$($relation)]->(q)
SET e = $properties
RETURN count(e) AS made
"""

# Deletes edges between a child and a parent. Index: model_uid.
UNLINK: LiteralString = (
    """
MATCH (c:Model {uid: $child_uid})
MATCH (q:Model {uid: $parent_uid})
MATCH (c)-[e:"""
    + TYPES
    + """]->(q)
WHERE $relation IS NULL OR type(e) = $relation
DELETE e
"""
)

# A version edge, unless the newer model has one. Index: model_uid.
CREATE_REVISION: LiteralString = """
MATCH (n:Model {uid: $newer_uid})
MATCH (o:Model {uid: $older_uid})
WHERE NOT EXISTS { (n)-[:REVISION_OF]->(:Model) }
CREATE (n)-[r:REVISION_OF]->(o)
RETURN count(r) AS made
"""

# Deletes a version edge. Index: model_uid.
UNLINK_REVISION: LiteralString = """
MATCH (n:Model {uid: $newer_uid})
MATCH (o:Model {uid: $older_uid})
MATCH (n)-[r:REVISION_OF]->(o)
DELETE r
RETURN count(*) AS deleted
"""

# Provenance edges of a slice of children. Index: model_uid.
EDGES_OF: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (c:Model {uid: uid})
MATCH (c)-[e:"""
    + TYPES
    + """]->(q:Model)
RETURN e {
    .*, relation: type(e), child_uid: c.uid, parent_uid: q.uid,
    created_at: e.created_at.epochSeconds * 1000000 + e.created_at.microsecond
  } AS edge
"""
)

# Version edges of a slice of newer models. Index: model_uid.
REVISIONS_OF: LiteralString = """
UNWIND $uids AS uid
MATCH (n:Model {uid: uid})
MATCH (n)-[:REVISION_OF]->(o:Model)
RETURN n.uid AS newer_uid, o.uid AS older_uid
"""

# The parents of a slice of models, one hop. Index: model_uid.
PARENTS_OF: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (c:Model {uid: uid})
MATCH (c)-[:"""
    + TYPES
    + """]->(q:Model)
RETURN collect(DISTINCT q.uid) AS uids
"""
)
