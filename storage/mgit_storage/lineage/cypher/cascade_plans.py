"""What an update cascade is planned from."""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.creation import LISTED_CREATION
from mgit_storage.lineage.cypher.models import TYPES

__all__ = ["FAMILIES", "GROUP_MEMBERS", "LATEST_OF", "VERSION_PATH"]

# The way from a newer version to an older one, if there is one. A model has one version edge at most, and the shortest
# path meets each model once, so that no bound of hops is needed. Index: model_uid.
VERSION_PATH: LiteralString = """
MATCH (newer:Model {uid: $new_uid})
MATCH (older:Model {uid: $old_uid})
MATCH p = shortestPath((newer)-[:REVISION_OF*1..]->(older))
RETURN [m IN nodes(p) | m.uid] AS uids
"""

# Some models with their parents and how they were created. Index: model_uid; one hop.
FAMILIES: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model,
  """
    + LISTED_CREATION
    + """ AS creation,
  COLLECT {
    MATCH (m)-[e:"""
    + TYPES
    + """]->(q:Model)
    RETURN {
      edge: e {
        .*, relation: type(e), child_uid: m.uid, parent_uid: q.uid,
        created_at: e.created_at.epochSeconds * 1000000 + e.created_at.microsecond
      },
      parent: q {
        .uid, .name, .version, .state,
        created_at: q.created_at.epochSeconds * 1000000 + q.created_at.microsecond
      }
    }
    ORDER BY e.position
  } AS parents
"""
)

# The models that one call made together, for some calls. Index: creation_group.
GROUP_MEMBERS: LiteralString = """
UNWIND $groups AS group
MATCH (m:Model)-[call:CREATED_BY]->(:CreationFunction)
WHERE call.group = group
RETURN DISTINCT m.uid AS uid
"""

# The latest present version of some names. Index: model_version, in its order.
LATEST_OF: LiteralString = """
UNWIND $names AS name
CALL (name) {
  MATCH (m:Model {name: name})
  WHERE m.version >= 1 AND m.state = 'present'
  RETURN m
  ORDER BY m.name DESC, m.version DESC
  LIMIT 1
}
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
"""
