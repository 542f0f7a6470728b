"""Finding models, lists of them, tags, and taking them away."""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.creation import CREATION, LISTED_CREATION

__all__ = [
    "DELETE_MODEL",
    "DELETE_TAG",
    "DELETE_TAGS_OF",
    "DELETE_UNUSED_PARAMETERS",
    "FIND_BY_NUMBER",
    "FIND_BY_TAG",
    "FIND_BY_UID",
    "FIND_BY_UIDS",
    "FIND_LATEST",
    "FIND_NAME",
    "FIND_SUMMARIES",
    "FIND_TAG",
    "IS_TOUCHED",
    "LIST_CREATED_TOGETHER",
    "LIST_LATEST",
    "LIST_TAGS",
    "LIST_VERSIONS",
    "LOCK_NAME",
    "LOCK_NAME_OF",
    "MARK_REMOVED",
    "PUT_TAG",
    "TYPES",
]

TYPES: LiteralString = (
    "FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM"
    "|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM"
)

_DESCRIBE: LiteralString = (
    """
OPTIONAL MATCH (m)-[:HAS_PARAMETERS]->(p:ParameterSet)
OPTIONAL MATCH (m)-[:OF_TYPE]->(t:ModelType)
OPTIONAL MATCH (m)-[:REVISION_OF]->(o:Model)
RETURN properties(m) AS model, p {.digest, .manifest_key, .size_bytes, .tensor_count, .promised_by, .promised_remote} AS parameters,
  t.name AS type,
  o {
    .uid, .name, .version, .state,
    created_at: o.created_at.epochSeconds * 1000000 + o.created_at.microsecond
  } AS previous,
  COLLECT {
    MATCH (m)-[e:"""
    + TYPES
    + """]->(q:Model)
    RETURN e {
      .*, relation: type(e), child_uid: m.uid, parent_uid: q.uid,
      parent_ref: q.name + '@' + toString(q.version),
      created_at: e.created_at.epochSeconds * 1000000 + e.created_at.microsecond
    }
    ORDER BY e.position
  } AS parents,
  COLLECT { MATCH (g:Tag)-[:POINTS_TO]->(m) RETURN g.name ORDER BY g.name } AS tags,
  COLLECT {
    MATCH (m)-[:TRAINED_ON]->(d:Dataset)
    RETURN [d.name, d.version]
    ORDER BY d.name, d.version
  } AS datasets,
  """
    + CREATION
    + " AS creation\n"
)

# Without the sources of creation functions, of which a list could hold too many.
_DESCRIBE_LISTED: LiteralString = _DESCRIBE.replace(CREATION, LISTED_CREATION)

# One model by uid. Index: model_uid.
FIND_BY_UID: LiteralString = "MATCH (m:Model {uid: $uid})" + _DESCRIBE

# Several models by uid, in no order. Index: model_uid.
FIND_BY_UIDS: LiteralString = "UNWIND $uids AS uid\nMATCH (m:Model {uid: uid})" + _DESCRIBE

# One model by name and number. Index: model_version.
FIND_BY_NUMBER: LiteralString = "MATCH (m:Model {name: $name, version: $version})" + _DESCRIBE

# The highest version of a name that is not removed. Index: model_version, in its order.
FIND_LATEST: LiteralString = (
    """
MATCH (m:Model {name: $name})
WHERE m.version >= 1 AND m.state = 'present'
WITH m
ORDER BY m.name DESC, m.version DESC
LIMIT 1
"""
    + _DESCRIBE
)

# What a tag points to. Index: tag.
FIND_BY_TAG: LiteralString = (
    """
MATCH (:Tag {model_name: $name, name: $tag})-[:POINTS_TO]->(m:Model)
"""
    + _DESCRIBE
)

# Summaries of some models. Index: model_uid.
FIND_SUMMARIES: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
"""

# The latest present version of each name, by name. Indexes: model_name and model_version, in their order.
LIST_LATEST: LiteralString = (
    """
MATCH (n:ModelName)
WHERE n.name_lower > $after AND n.name_lower >= $prefix AND n.name_lower < $below
WITH n
ORDER BY n.name_lower
CALL (n) {
  MATCH (m:Model {name: n.name})
  WHERE m.version >= 1 AND m.state = 'present'
  RETURN m
  ORDER BY m.name DESC, m.version DESC
  LIMIT 1
}
WITH n, m
WHERE $type IS NULL OR EXISTS { (m)-[:OF_TYPE]->(:ModelType {name: $type}) }
WITH n, m
LIMIT $size
"""
    + _DESCRIBE_LISTED
    + "ORDER BY n.name_lower\n"
)

# Versions of a name, newest first. Index: model_version, in its order.
LIST_VERSIONS: LiteralString = (
    """
MATCH (m:Model {name: $name})
WHERE m.version < $before
WITH m
ORDER BY m.name DESC, m.version DESC
LIMIT $size
"""
    + _DESCRIBE_LISTED
    + "ORDER BY m.version DESC\n"
)

# Models that one call of a creation function made, by member. Index: creation_group.
LIST_CREATED_TOGETHER: LiteralString = (
    """
MATCH (m:Model)-[made:CREATED_BY {group: $group}]->(:CreationFunction)
WHERE made.member > $after
WITH m, made.member AS member
ORDER BY member
LIMIT $size
"""
    + _DESCRIBE_LISTED.replace("RETURN properties(m)", "RETURN member, properties(m)")
    + "ORDER BY member\n"
)

# Was a name ever used? Index: model_name.
FIND_NAME: LiteralString = """
MATCH (n:ModelName {name_lower: $name_lower})
RETURN n.name AS name
"""

# Locks a name. Every change of a model, its number or its tags begins so. Index: model_name.
LOCK_NAME: LiteralString = """
MATCH (n:ModelName {name_lower: $name_lower})
SET n.locked = true
RETURN n.name AS name
"""

# Locks the name of a model; what is read of the model must be read afterwards. Index: model_uid.
LOCK_NAME_OF: LiteralString = """
MATCH (:Model {uid: $uid})-[:OF_NAME]->(n:ModelName)
SET n.locked = true
RETURN n.name AS name
"""

# Does an edge lead to or from a model, or a tag, test, result or bug to it, or was a staged model made from it?
# Index: model_uid.
IS_TOUCHED: LiteralString = (
    """
MATCH (m:Model {uid: $uid})
RETURN EXISTS { (m)-[:REVISION_OF|"""
    + TYPES
    + """]-(:Model) } OR EXISTS { (:Tag)-[:POINTS_TO]->(m) }
  OR EXISTS { (:Test)-[:APPLIES_TO]->(m) } OR EXISTS { (:TestResult)-[:ON]->(m) }
  OR EXISTS { (:Bug)-[:AFFECTS|FIXED_IN]->(m) } OR EXISTS { (:StagedModel)-[:STAGED_FROM]->(m) } AS is_touched
"""
)

# Deletes the tags of a model. Index: model_uid.
DELETE_TAGS_OF: LiteralString = """
MATCH (g:Tag)-[points:POINTS_TO]->(:Model {uid: $uid})
DELETE points, g
"""

# Makes a model a tombstone. Index: model_uid.
MARK_REMOVED: LiteralString = """
MATCH (m:Model {uid: $uid})
SET m.state = 'removed'
REMOVE m.files, m.files_key, m.files_bytes, m.layer_graph, m.layer_graph_key
WITH m
MATCH (m)-[has:HAS_PARAMETERS]->(:ParameterSet)
DELETE has
"""

# Deletes a model that nothing touches. Not DETACH: an edge that came meanwhile makes the deletion fail, and
# the transaction is tried again. Index: model_uid.
DELETE_MODEL: LiteralString = """
MATCH (m:Model {uid: $uid})
OPTIONAL MATCH (m)-[own:OF_NAME|OF_TYPE|TRAINED_ON|HAS_PARAMETERS|CREATED_BY]->()
DELETE own
WITH DISTINCT m
DELETE m
"""

# Deletes parameter sets that no model has, staged or not, and their tensors that no other set has and no bug affects: a
# bug finds its tensor again when a model brings it back. Not DETACH, as above.
# Index: parameter_set.
DELETE_UNUSED_PARAMETERS: LiteralString = """
UNWIND $digests AS digest
MATCH (p:ParameterSet {digest: digest})
WHERE NOT EXISTS { (:Model|StagedModel)-[:HAS_PARAMETERS]->(p) }
OPTIONAL MATCH (p)-[has:HAS_TENSOR]->(t:Tensor)
DELETE has
WITH collect(DISTINCT p) AS sets, collect(DISTINCT t) AS tensors
FOREACH (p IN sets | DELETE p)
WITH tensors
UNWIND tensors AS t
WITH t
ORDER BY t.digest
WHERE NOT EXISTS { (:ParameterSet)-[:HAS_TENSOR]->(t) } AND NOT EXISTS { (:Bug)-[:AFFECTS]->(t) }
DELETE t
"""

# A tag with what it points to. Index: tag.
FIND_TAG: LiteralString = """
MATCH (:Tag {model_name: $name, name: $tag})-[:POINTS_TO]->(m:Model)
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
"""

# Tags of a name, sorted. Index: tag, in its order.
LIST_TAGS: LiteralString = """
MATCH (g:Tag {model_name: $name})
WHERE g.name > ''
MATCH (g)-[:POINTS_TO]->(m:Model)
RETURN g.name AS tag, m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
ORDER BY g.name
"""

# Points a tag to a model, from wherever it pointed. Indexes: tag, model_uid.
PUT_TAG: LiteralString = """
MATCH (m:Model {uid: $uid})
MERGE (g:Tag {model_name: $name, name: $tag})
WITH m, g
OPTIONAL MATCH (g)-[old:POINTS_TO]->(:Model)
DELETE old
WITH DISTINCT m, g
CREATE (g)-[:POINTS_TO]->(m)
"""

# Deletes a tag. Index: tag.
DELETE_TAG: LiteralString = """
MATCH (g:Tag {model_name: $name, name: $tag})
DETACH DELETE g
"""
