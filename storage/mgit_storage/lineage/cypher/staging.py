"""Models that are made and not published.

A staged model is no ``Model``, and its edges have a type of their own, so that no question about models meets it.
What becomes a node at publication (type and data sets) is a property until then.
"""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.creation import CREATION

__all__ = [
    "BELONGS_TO_STEP",
    "CREATE_STAGED",
    "DELETE_STAGED",
    "FIND_STAGED",
    "HAND_OVER",
    "LIST_STAGED",
    "LIST_UNDECIDED",
    "LOCK_STAGED",
    "NAMES_OF_STAGED",
    "STAGED_CHILDREN",
    "STAGED_PARENTS",
]

_DESCRIBE: LiteralString = (
    """
OPTIONAL MATCH (m)-[:HAS_PARAMETERS]->(p:ParameterSet)
OPTIONAL MATCH (o:Model {uid: m.previous_uid})
RETURN properties(m) AS model,
  p {.digest, .manifest_key, .size_bytes, .tensor_count, .promised_by, .promised_remote} AS parameters,
  m.type AS type,
  o {
    .uid, .name, .version, .state,
    created_at: o.created_at.epochSeconds * 1000000 + o.created_at.microsecond
  } AS previous,
  COLLECT {
    MATCH (m)-[e:STAGED_FROM]->(q)
    RETURN e {
      .*, child_uid: m.uid, parent_uid: q.uid,
      parent_ref: CASE WHEN q:StagedModel THEN '@' + q.uid ELSE q.name + '@' + toString(q.version) END,
      created_at: e.created_at.epochSeconds * 1000000 + e.created_at.microsecond
    }
    ORDER BY e.position
  } AS parents,
  [] AS tags,
  [number IN range(0, size(m.dataset_names) - 1) | [m.dataset_names[number], m.dataset_versions[number]]] AS datasets,
  """
    + CREATION
    + " AS creation\n"
)

# Some staged models. Indexes: staged_uid, model_uid.
FIND_STAGED: LiteralString = "UNWIND $uids AS uid\nMATCH (m:StagedModel {uid: uid})" + _DESCRIBE

# Staged models by uid. Index: staged_uid, in its order.
LIST_STAGED: LiteralString = (
    """
MATCH (m:StagedModel)
WHERE m.uid > $after
WITH m
ORDER BY m.uid
LIMIT $size
"""
    + _DESCRIBE
    + "ORDER BY m.uid\n"
)

# The same without those that steps of cascades made; one hop from each staged model behind $after.
# Index: staged_uid, in its order.
LIST_UNDECIDED: LiteralString = LIST_STAGED.replace(
    "WHERE m.uid > $after\n", "WHERE m.uid > $after AND NOT EXISTS { (:CascadeStep)-[:BUILDS]->(m) }\n"
)

# Makes a staged model with its edges to parents, published or staged; says which were found.
# Indexes: model_uid, staged_uid.
CREATE_STAGED: LiteralString = """
CREATE (m:StagedModel)
SET m = $properties
WITH m
CALL (m) {
  UNWIND $links AS link
  OPTIONAL MATCH (published:Model {uid: link.parent_uid})
  OPTIONAL MATCH (staged:StagedModel {uid: link.parent_uid})
  WITH m, link, coalesce(published, staged) AS q
  WHERE q IS NOT NULL AND q <> m
  CREATE (m)-[e:STAGED_FROM]->(q)
  SET e = link.properties
  RETURN collect(q.uid) AS parents
}
RETURN parents
"""

# Names that some staged models will be numbered under. Index: staged_uid.
NAMES_OF_STAGED: LiteralString = """
UNWIND $uids AS uid
MATCH (m:StagedModel {uid: uid})
RETURN DISTINCT m.name AS name
"""

# Locks staged models; what is read of them must be read afterwards. Index: staged_uid.
LOCK_STAGED: LiteralString = """
UNWIND $uids AS uid
MATCH (m:StagedModel {uid: uid})
SET m.locked = true
RETURN uid
"""

# Which of these belong to a step of a cascade? Index: staged_uid.
BELONGS_TO_STEP: LiteralString = """
UNWIND $uids AS uid
MATCH (:CascadeStep)-[:BUILDS]->(m:StagedModel {uid: uid})
RETURN uid
"""

# Staged models, these apart, that were made from some of these. Index: staged_uid.
STAGED_CHILDREN: LiteralString = """
UNWIND $uids AS uid
MATCH (child:StagedModel)-[:STAGED_FROM]->(:StagedModel {uid: uid})
WHERE NOT child.uid IN $uids
RETURN DISTINCT child.uid AS uid
"""

# Staged models, these apart, that some of these were made from. Index: staged_uid.
STAGED_PARENTS: LiteralString = """
UNWIND $uids AS uid
MATCH (:StagedModel {uid: uid})-[:STAGED_FROM]->(parent:StagedModel)
WHERE NOT parent.uid IN $uids
RETURN DISTINCT parent.uid AS uid
"""

# Gives what leads to staged models to the models that they became: results, and edges of what was made from them.
# Indexes: staged_uid, model_uid.
HAND_OVER: LiteralString = """
UNWIND $uids AS uid
MATCH (s:StagedModel {uid: uid})
MATCH (m:Model {uid: uid})
CALL (s, m) {
  MATCH (r:TestResult)-[on:ON]->(s)
  CREATE (r)-[:ON]->(m)
  DELETE on
}
CALL (s, m) {
  MATCH (child:StagedModel)-[e:STAGED_FROM]->(s)
  CREATE (child)-[moved:STAGED_FROM]->(m)
  SET moved = properties(e)
  DELETE e
}
"""

# Deletes staged models with their results. Not DETACH: an edge that came meanwhile makes the deletion fail, and the
# transaction is tried again. Index: staged_uid.
DELETE_STAGED: LiteralString = """
UNWIND $uids AS uid
MATCH (m:StagedModel {uid: uid})
OPTIONAL MATCH (m)-[own:STAGED_FROM|HAS_PARAMETERS|CREATED_BY]->()
DELETE own
WITH DISTINCT m
OPTIONAL MATCH (:CascadeStep)-[builds:BUILDS]->(m)
DELETE builds
WITH DISTINCT m
OPTIONAL MATCH (:Test)<-[of:OF]-(r:TestResult)-[on:ON]->(m)
DELETE of, on, r
WITH DISTINCT m
OPTIONAL MATCH (child:StagedModel)-[e:STAGED_FROM]->(m)
WHERE child.uid IN $uids
DELETE e
WITH DISTINCT m
DELETE m
"""
