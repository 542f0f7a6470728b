"""Bugs and whom they reach.

Everything that ties a model to what a bug affects points the same way: from the model to its parameters and their
tensors, to its data sets, and to its parents. So one walk against these edges, from the thing that a bug affects,
finds the touched models and all that inherits from them, and visits each node once: models that hold one tensor do
not begin a walk each. A fixed model is cut out by a predicate on the nodes of the path, which the planner takes into
``VarLengthExpand(Pruning,BFS,All)``; a test asserts it.
"""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.models import TYPES

__all__ = [
    "AFFECT_DATASETS",
    "AFFECT_MODELS",
    "AFFECT_TENSORS",
    "BUG_SCOPE",
    "CHILDREN_OF",
    "COUNT_REACHED",
    "CREATE_BUG",
    "CREATE_FIX",
    "FIND_BUG",
    "FIND_BUGS",
    "FIND_BUGS_BY_ID",
    "IS_REACHED",
    "KNOWN_DATASETS",
    "LIST_BUGS",
    "LIST_BUGS_OF_MODEL",
    "LOCK_BUG",
    "MODEL_COLUMNS",
    "NEWER_THAN",
    "NEWER_VERSIONS",
    "REACHED_COLUMNS",
    "REACHED_UIDS",
    "SET_BUG_STATE",
    "TAGS_ON",
    "TOUCHED",
]

_DESCRIBE: LiteralString = """
RETURN properties(b) AS bug,
  COLLECT {
    MATCH (b)-[:AFFECTS]->(m:Model)
    RETURN [m.uid, m.name + '@' + toString(m.version)]
    ORDER BY m.uid
  } AS models,
  COLLECT { MATCH (b)-[:AFFECTS]->(t:Tensor) RETURN t.digest ORDER BY t.digest } AS tensors,
  COLLECT { MATCH (b)-[:AFFECTS]->(d:Dataset) RETURN [d.name, d.version] ORDER BY d.name, d.version } AS datasets,
  COLLECT {
    MATCH (b)-[:FIXED_IN]->(f:Model)
    RETURN f {
    .uid, .name, .version, .state,
    created_at: f.created_at.epochSeconds * 1000000 + f.created_at.microsecond
  }
    ORDER BY f.uid
  } AS fixed_in
"""

# A new bug. Index: none to look up; bug_id is written.
CREATE_BUG: LiteralString = """
CREATE (b:Bug)
SET b = $properties
"""

# Ties a bug to models that it affects; says how many were found. Indexes: bug_id, model_uid.
AFFECT_MODELS: LiteralString = """
MATCH (b:Bug {id: $id})
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
CREATE (b)-[:AFFECTS]->(m)
RETURN collect(m.uid) AS found
"""

# Ties a bug to tensors that present models hold; says which. Indexes: bug_id, tensor_digest.
AFFECT_TENSORS: LiteralString = """
MATCH (b:Bug {id: $id})
UNWIND $digests AS digest
MATCH (t:Tensor {digest: digest})
WHERE EXISTS { (:ParameterSet)-[:HAS_TENSOR]->(t) }
CREATE (b)-[:AFFECTS]->(t)
RETURN collect(t.digest) AS found
"""

# Ties a bug to versions of data sets that models were trained on; says which. Indexes: bug_id, dataset.
AFFECT_DATASETS: LiteralString = """
MATCH (b:Bug {id: $id})
UNWIND $datasets AS dataset
MATCH (d:Dataset {name: dataset.name, version: dataset.version})
WHERE EXISTS { (:Model)-[:TRAINED_ON]->(d) }
CREATE (b)-[:AFFECTS]->(d)
RETURN collect([d.name, d.version]) AS found
"""

# Which of these data sets were models trained on, in any version? Index: dataset.
KNOWN_DATASETS: LiteralString = """
UNWIND $names AS name
MATCH (d:Dataset {name: name})
WHERE d.version >= '' AND EXISTS { (:Model)-[:TRAINED_ON]->(d) }
RETURN collect(DISTINCT d.name) AS found
"""

# Locks a bug; every change of it begins so. Index: bug_id.
LOCK_BUG: LiteralString = """
MATCH (b:Bug {id: $id})
SET b.locked = true
REMOVE b.locked
RETURN b.state AS state, COUNT { (b)-[:FIXED_IN]->() } AS fixes
"""

# One bug. Index: bug_id.
FIND_BUG: LiteralString = "MATCH (b:Bug {id: $id})" + _DESCRIBE

# Several bugs, in no order. Index: bug_id.
FIND_BUGS_BY_ID: LiteralString = "UNWIND $ids AS id\nMATCH (b:Bug {id: id})" + _DESCRIBE

# The first two bugs whose ids begin so. Index: bug_id, in its order.
FIND_BUGS: LiteralString = (
    """
MATCH (b:Bug)
WHERE b.id STARTS WITH $prefix
WITH b
ORDER BY b.id
LIMIT 2
"""
    + _DESCRIBE
    + "ORDER BY b.id\n"
)

# Bugs, newest first. Index: bug_id, in its order.
LIST_BUGS: LiteralString = (
    """
MATCH (b:Bug)
WHERE b.id < $before AND ($state IS NULL OR b.state = $state)
WITH b
ORDER BY b.id DESC
LIMIT $size
"""
    + _DESCRIBE
    + "ORDER BY b.id DESC\n"
)

# Bugs that affect a model directly, newest first. Index: model_uid.
LIST_BUGS_OF_MODEL: LiteralString = (
    """
MATCH (:Model {uid: $uid})<-[:AFFECTS]-(b:Bug)
WHERE b.id < $before AND ($state IS NULL OR b.state = $state)
WITH b
ORDER BY b.id DESC
LIMIT $size
"""
    + _DESCRIBE
    + "ORDER BY b.id DESC\n"
)

# Records a fix, and when; says whether the model is there. Indexes: bug_id, model_uid.
CREATE_FIX: LiteralString = """
MATCH (b:Bug {id: $id})
MATCH (m:Model {uid: $uid})
MERGE (b)-[:FIXED_IN]->(m)
SET b.updated_at = $updated_at
"""

# Sets the state of a bug, and when. Index: bug_id.
SET_BUG_STATE: LiteralString = """
MATCH (b:Bug {id: $id})
SET b.state = $state, b.updated_at = $updated_at
"""

# What a bug affects, each version of a data set by itself.
_SUBJECTS: LiteralString = """
CALL (b) {
  MATCH (b)-[:AFFECTS]->(s)
  RETURN s
  UNION
  UNWIND b.every_version_of AS name
  MATCH (s:Dataset {name: name})
  WHERE s.version >= ''
  RETURN s
}
"""

# What carries a bug, where it is fixed, and how many things it affects. Indexes: bug_id, dataset.
BUG_SCOPE: LiteralString = (
    "MATCH (b:Bug {id: $id})\nCALL (b) {"
    + _SUBJECTS
    + """  RETURN count(s) AS subjects
}
RETURN b.carried_by AS types, subjects,
  COLLECT { MATCH (b)-[:FIXED_IN]->(f:Model) RETURN f.uid ORDER BY f.uid } AS fixed
"""
)

# The touched models by reason; one may stand in several lists. Indexes: bug_id, dataset.
TOUCHED: LiteralString = (
    "MATCH (b:Bug {id: $id})\nCALL (b) {"
    + _SUBJECTS
    + """  RETURN collect(s) AS subjects
}
RETURN COLLECT { UNWIND subjects AS s MATCH (s:Model) RETURN s.uid } AS direct,
  COLLECT {
    UNWIND subjects AS s
    MATCH (s)<-[:HAS_TENSOR]-(:ParameterSet)<-[:HAS_PARAMETERS]-(m:Model)
    RETURN DISTINCT m.uid
  } AS tensor,
  COLLECT { UNWIND subjects AS s MATCH (s)<-[:TRAINED_ON]-(m:Model) RETURN DISTINCT m.uid } AS dataset
"""
)

_FIXED: LiteralString = """
CALL () {
  UNWIND $fixed AS uid
  MATCH (f:Model {uid: uid})
  RETURN collect(f) AS fixed
}
"""
_UNFIXED: LiteralString = "\n  WHERE all(n IN nodes(p) WHERE NOT n IN fixed)"
_CARRIED: LiteralString = " AND all(r IN relationships(p) WHERE type(r) IN $types"
# What a walk heeds, by which edges carry the bug: ``all``, ``some`` relations, or only ``declared`` edges of these.
# Looking at every edge makes a count half as dear again, so it is done only where it decides anything.
_HEEDS: dict[str, LiteralString] = {
    "all": _UNFIXED + "\n",
    "some": _UNFIXED + _CARRIED + ")\n",
    "declared": _UNFIXED + _CARRIED + " AND coalesce(r.origin, '') <> 'inferred')\n",
}


def _reach(heeds: LiteralString) -> LiteralString:
    walk: LiteralString = (
        "CALL (fixed, s) {\n  MATCH p = (s)<-[:HAS_TENSOR|HAS_PARAMETERS|TRAINED_ON|" + TYPES
    )
    return (
        "MATCH (b:Bug {id: $id})"
        + _FIXED
        + _SUBJECTS
        + walk
        + "*0..]-(d:Model)"
        + heeds
        + "  RETURN DISTINCT d\n}\n"
    )


# How many models does a bug reach? Indexes: bug_id, model_uid, dataset. No hop bound: each node is visited once for
# each thing that the bug affects.
COUNT_REACHED: dict[str, LiteralString] = {
    form: _reach(heeds) + "RETURN count(DISTINCT d) AS models\n" for form, heeds in _HEEDS.items()
}

# The models that a bug reaches, as one list. Otherwise as above.
REACHED_UIDS: dict[str, LiteralString] = {
    form: _reach(heeds) + "RETURN collect(DISTINCT d.uid) AS uids\n" for form, heeds in _HEEDS.items()
}

# Models as columns, and the edges from them that carry a bug. Ends of edges are the server's own ids, which hold for
# the length of one query and leave it with that query; lists of numbers cost next to nothing, rows are what costs.
_COLUMNS: LiteralString = (
    """
UNWIND range(0, size(models) - 1, $slice) AS at
CALL (models, at) {
  UNWIND models[at..at + $slice] AS m
  RETURN collect(m.created_at.epochSeconds * 1000000 + m.created_at.microsecond) AS created_ats,
    collect(id(m)) AS ids, collect(m.uid) AS uids, collect(m.name) AS names, collect(m.version) AS versions,
    collect(m.state) AS states
}
CALL (models, at) {
  UNWIND models[at..at + $slice] AS c
  MATCH (c)-[e:"""
    + TYPES
    + """]->(q:Model)
  WHERE type(e) IN $types AND NOT ($declared_only AND e.origin = 'inferred')
  RETURN collect(id(c)) AS children, collect(id(q)) AS parents, collect(e.origin = 'inferred') AS inferred
}
RETURN created_ats, ids, uids, names, versions, states, children, parents, inferred
"""
)

# The models that a bug reaches as columns, in slices. Otherwise as above.
REACHED_COLUMNS: dict[str, LiteralString] = {
    form: _reach(heeds) + "WITH collect(DISTINCT d) AS models" + _COLUMNS for form, heeds in _HEEDS.items()
}

# Some models as columns, in slices. Index: model_uid. One hop.
MODEL_COLUMNS: LiteralString = "MATCH (m:Model)\nWHERE m.uid IN $uids\nWITH collect(m) AS models" + _COLUMNS

# Does a walk from a model lead to a touched one? Index: model_uid. No hop bound: each ancestor is visited once.
IS_REACHED: LiteralString = (
    "MATCH (m:Model {uid: $uid})"
    + _FIXED
    + """CALL (fixed, m) {
  MATCH p = (m)-[:"""
    + TYPES
    + "*0..]->(a:Model)"
    + _HEEDS["some"]
    + """  RETURN DISTINCT a
}
WITH a
WHERE a.uid IN $touched
RETURN count(a) AS found
"""
)

# Children of a slice of models over edges that carry a bug, one hop. Index: model_uid.
CHILDREN_OF: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (q:Model {uid: uid})
MATCH (q)<-[e:"""
    + TYPES
    + """]-(c:Model)
WHERE type(e) IN $types AND NOT ($declared_only AND e.origin = 'inferred')
RETURN collect(DISTINCT c.uid) AS uids
"""
)

# The next newer versions of a slice of models, one hop. Index: model_uid.
NEWER_THAN: LiteralString = """
UNWIND $uids AS uid
MATCH (o:Model {uid: uid})
MATCH (o)<-[:REVISION_OF]-(n:Model)
RETURN collect(DISTINCT n.uid) AS uids
"""

# All newer versions of a slice of models. Index: model_uid. No hop bound: version edges make a tree, and each model of
# it is visited once for each start.
NEWER_VERSIONS: LiteralString = """
UNWIND $uids AS uid
MATCH (o:Model {uid: uid})
CALL (o) {
  MATCH (o)<-[:REVISION_OF*1..]-(n:Model)
  RETURN DISTINCT n
}
RETURN collect(DISTINCT n.uid) AS uids
"""

# Tags that point to some models; models without one are left out. Index: model_uid.
TAGS_ON: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
MATCH (g:Tag)-[:POINTS_TO]->(m)
WITH m, g
ORDER BY g.name
RETURN m.uid AS uid, collect(g.name) AS tags
"""
