"""What one commit writes, for one model or a batch of up to 1,000.

Rows that several writers share come in the order of their key, and the kinds always in one order: names,
types, data sets, parameter sets, tensors, the store. So writers wait for each other in a line, not in a ring.
"""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.models import TYPES

__all__ = [
    "CLAIM_REQUEST",
    "CREATE_MODELS",
    "CREATE_TENSORS",
    "FIND_REQUEST",
    "LOCK_AND_CHECK_EPOCH",
    "LOCK_NAMES",
    "MERGE_PARAMETERS",
    "MERGE_STAGED_PARAMETERS",
    "RECORD_REQUEST",
    "SAME_PARAMETERS",
    "TYPES",
]

# Locks names, making new ones, and says for each what the last number was and which version is the latest.
# Indexes: model_name, model_version.
LOCK_NAMES: LiteralString = """
UNWIND $names AS row
MERGE (n:ModelName {name_lower: row.name_lower})
ON CREATE SET n.name = row.name, n.last_version = 0
SET n.locked = true
RETURN n.name_lower AS name_lower, n.name AS name, n.last_version AS last_version,
  COLLECT {
    MATCH (m:Model {name: n.name})
    WHERE m.version >= 1 AND m.state = 'present'
    RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  }
    ORDER BY m.name DESC, m.version DESC
    LIMIT 1
  } AS latest
"""

# Makes models under their locked names, with types, data sets, version edges and provenance edges; says which
# parents were found. Indexes: model_name, model_type, dataset, model_uid.
CREATE_MODELS: LiteralString = """
UNWIND $models AS row
MATCH (n:ModelName {name_lower: row.name_lower})
CREATE (m:Model)-[:OF_NAME]->(n)
SET m = row.properties,
  n.last_version = CASE
    WHEN row.properties.version > n.last_version THEN row.properties.version
    ELSE n.last_version
  END
FOREACH (type IN row.types |
  MERGE (t:ModelType {name: type})
  CREATE (m)-[:OF_TYPE]->(t))
FOREACH (dataset IN row.datasets |
  MERGE (d:Dataset {name: dataset.name, version: dataset.version})
  CREATE (m)-[:TRAINED_ON]->(d))
WITH m, row
CALL (m, row) {
  UNWIND row.previous AS previous_uid
  MATCH (o:Model {uid: previous_uid})
  CREATE (m)-[:REVISION_OF]->(o)
  RETURN count(*) AS revisions
}
CALL (m, row) {
  UNWIND row.links AS link
  MATCH (q:Model {uid: link.parent_uid})
  CREATE (m)-[e:$(link.relation)]->(q)
  SET e = link.properties
  RETURN collect([q.uid, q.name + '@' + toString(q.version)]) AS parents
}
RETURN row.properties.uid AS uid, parents
"""

# Ties models to their parameter sets, as whoever came first described them; says which sets are new. A set that was
# promised is whole as soon as a model brings it whole.
# Indexes: model_uid, parameter_set.
MERGE_PARAMETERS: LiteralString = """
UNWIND $sets AS row
MATCH (m:Model {uid: row.uid})
MERGE (p:ParameterSet {digest: row.digest})
ON CREATE SET p += row.properties, p.made_for = row.uid,
  p.unsketched = CASE WHEN row.properties.promised_by IS NULL THEN true END
CREATE (m)-[:HAS_PARAMETERS]->(p)
FOREACH (whole IN CASE WHEN row.properties.promised_by IS NULL AND p.promised_by IS NOT NULL THEN [p] ELSE [] END |
  SET whole.state = 'present', whole.unsketched = true
  REMOVE whole.promised_by, whole.promised_remote)
WITH p, row, coalesce(p.made_for = row.uid, false) AS is_new
REMOVE p.made_for
RETURN row.uid AS uid, is_new,
  p {.digest, .manifest_key, .size_bytes, .tensor_count, .promised_by, .promised_remote} AS parameters
"""

# The same for staged models. Indexes: staged_uid, parameter_set.
MERGE_STAGED_PARAMETERS: LiteralString = MERGE_PARAMETERS.replace(":Model ", ":StagedModel ")

# Ties new parameter sets to their tensors. Indexes: parameter_set, tensor_digest.
CREATE_TENSORS: LiteralString = """
UNWIND $tensors AS row
MATCH (p:ParameterSet {digest: row.parameters})
MERGE (t:Tensor {digest: row.digest})
ON CREATE SET t.dtype = row.dtype, t.shape = row.shape, t.size_bytes = row.size_bytes
CREATE (p)-[:HAS_TENSOR {name: row.name, position: row.position}]->(t)
"""

# Which present models have these parameter sets already? 100 of each are enough. Index: parameter_set.
SAME_PARAMETERS: LiteralString = """
UNWIND $digests AS digest
MATCH (p:ParameterSet {digest: digest})
RETURN digest,
  COLLECT {
    MATCH (p)<-[:HAS_PARAMETERS]-(m:Model)
    WITH m
    ORDER BY m.name, m.version
    LIMIT 100
    RETURN [m.name, m.version]
  } AS models
"""

# Claims a request id for this transaction, and finds the answer to an earlier call; a second call with the
# same id waits here for the first. Index: request_id.
CLAIM_REQUEST: LiteralString = """
MERGE (r:Request {id: $id})
SET r.locked = true
WITH r, r.created_at >= datetime() - duration('P7D') AS is_valid
RETURN r.arguments_digest AS arguments_digest, CASE WHEN is_valid THEN r.answer END AS answer
"""

# Finds the answer to an earlier call, without waiting for one that runs. Index: request_id.
FIND_REQUEST: LiteralString = """
MATCH (r:Request {id: $id})
WHERE r.created_at >= datetime() - duration('P7D')
RETURN r.arguments_digest AS arguments_digest, r.answer AS answer
"""

# Keeps an answer, and lets go of a few that are older than 7 days. Indexes: request_id, request_age.
RECORD_REQUEST: LiteralString = """
MATCH (r:Request {id: $id})
SET r.arguments_digest = $arguments_digest, r.answer = $answer, r.created_at = datetime()
WITH r
MATCH (old:Request)
WHERE old.created_at < datetime() - duration('P7D')
WITH old
LIMIT 10
DELETE old
"""

# The last step of a commit. The lock comes first: a WHERE before the SET would let a stale epoch through.
# Index: store_key.
LOCK_AND_CHECK_EPOCH: LiteralString = """
MATCH (s:Store {key: 'mgit'})
SET s.locked = true
WITH s
WHERE all(epoch IN $epochs WHERE epoch = s.epoch)
RETURN s.epoch AS epoch
"""
