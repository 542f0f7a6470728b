"""Cascades and their steps. Every change begins with the lock on the cascade; times of leases are the server's.

``free_at`` says when a step may be leased, in milliseconds since 1970: 0 for one that waits for nobody, the end of its
lease for one that is leased; it lacks where a step cannot be leased. Edges to models exist as long as the cascade is
not over, so that these edges are what is in use.
"""

from __future__ import annotations

from typing import LiteralString

__all__ = [
    "BLOCK_BEHIND",
    "CASCADES_OVER",
    "CREATE_CASCADE",
    "CREATE_STEPS",
    "FIND_CASCADE",
    "FIND_STEP",
    "FREE_BEHIND",
    "FREE_MODELS",
    "LIST_CASCADES",
    "LOCK_CASCADE",
    "MADE",
    "NAMES_OF_REPLACED",
    "NEWER_VERSIONS",
    "NEXT_STEP",
    "NOTE_STAGED",
    "OWN_TARGETS",
    "RESUME_STEPS",
    "SET_CASCADE",
    "SET_STEP",
    "STAGED_OF_CASCADE",
    "STAGED_OF_STEP",
    "STEPS",
    "TIE_STEPS",
    "UNPUBLISHED_STEPS",
    "USED_BY",
]

_CASCADE: LiteralString = """c {
    .*,
    created_at: c.created_at.epochSeconds * 1000000 + c.created_at.microsecond,
    updated_at: c.updated_at.epochSeconds * 1000000 + c.updated_at.microsecond
  } AS cascade"""

# Locks a cascade for the rest of the transaction; what is told of it is read behind the lock. Index: cascade_id.
LOCK_CASCADE: LiteralString = (
    """
MATCH (c:Cascade {id: $id})
SET c.locked = true
RETURN """
    + _CASCADE
    + ", timestamp() AS now\n"
)

# One cascade. Index: cascade_id.
FIND_CASCADE: LiteralString = "MATCH (c:Cascade {id: $id})\nRETURN " + _CASCADE + "\n"

# Cascades, newest first, with what a list tells of their steps. Indexes: cascade_id and cascade_step, in their order.
LIST_CASCADES: LiteralString = (
    """
MATCH (c:Cascade)
WHERE c.id < $before
WITH c
ORDER BY c.id DESC
LIMIT $size
RETURN """
    + _CASCADE
    + """,
  COLLECT {
    MATCH (s:CascadeStep {cascade_id: c.id})
    WHERE s.number >= 0
    RETURN s {.number, .needs, .state, .attempt, .worker, .expires_at, .error, .failed_tests}
    ORDER BY s.cascade_id, s.number
  } AS steps
ORDER BY c.id DESC
"""
)

# The steps of a cascade in order. Index: cascade_step, in its order.
STEPS: LiteralString = """
MATCH (s:CascadeStep {cascade_id: $id})
WHERE s.number >= 0
RETURN s {.*} AS step
ORDER BY s.cascade_id, s.number
"""

# One step. Index: cascade_step.
FIND_STEP: LiteralString = """
MATCH (s:CascadeStep {cascade_id: $id, number: $number})
RETURN s {.*} AS step
"""

# The next step that may be leased: by when it became free, then by number. Index: cascade_step_free, in its order; it is
# named because a planner that has seen few steps may take the constraint's index and sort.
NEXT_STEP: LiteralString = """
MATCH (s:CascadeStep)
USING INDEX s:CascadeStep(cascade_id, free_at, number)
WHERE s.cascade_id = $id AND s.free_at <= $now AND s.number >= 0
RETURN s {.*} AS step
ORDER BY s.cascade_id, s.free_at, s.number
LIMIT 1
"""

# Changes a step; null takes a property away. Index: cascade_step.
SET_STEP: LiteralString = """
MATCH (s:CascadeStep {cascade_id: $id, number: $number})
SET s += $changes
"""

# Changes a cascade; null takes a property away. Index: cascade_id.
SET_CASCADE: LiteralString = """
MATCH (c:Cascade {id: $id})
SET c += $changes, c.updated_at = datetime()
"""

# Makes a cascade without its steps.
CREATE_CASCADE: LiteralString = """
CREATE (c:Cascade)
SET c = $properties, c.updated_at = datetime()
"""

# Makes steps of a cascade. Index: cascade_id.
CREATE_STEPS: LiteralString = """
MATCH (c:Cascade {id: $id})
UNWIND $steps AS row
CREATE (c)-[:HAS_STEP]->(s:CascadeStep)
SET s = row
"""

# Ties steps to those that they need, to what they replace, and to the models that they are made from.
# Indexes: cascade_step, model_uid.
TIE_STEPS: LiteralString = """
UNWIND $ties AS row
MATCH (s:CascadeStep {cascade_id: $id, number: row.number})
CALL (s, row) {
  UNWIND row.needs AS number
  MATCH (n:CascadeStep {cascade_id: $id, number: number})
  CREATE (s)-[:NEEDS]->(n)
}
CALL (s, row) {
  UNWIND row.replaces AS uid
  MATCH (m:Model {uid: uid})
  CREATE (s)-[:REPLACES]->(m)
}
CALL (s, row) {
  UNWIND row.takes AS uid
  MATCH (m:Model {uid: uid})
  CREATE (s)-[:TAKES]->(m)
}
"""

# What is known of the models that are to be replaced: the last number under their name, and their newer versions.
# Indexes: model_uid, model_name.
NAMES_OF_REPLACED: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})-[:OF_NAME]->(n:ModelName)
RETURN uid, n.last_version AS last_version,
  COLLECT { MATCH (m)<-[:REVISION_OF]-(newer:Model) RETURN newer.uid } AS newer
"""

# Which present versions have replaced some models, or came under their names, since then? Those that the cascade made
# itself are among them. Indexes: model_uid, model_version.
NEWER_VERSIONS: LiteralString = """
UNWIND $replaced AS row
CALL (row) {
  MATCH (:Model {uid: row.uid})<-[:REVISION_OF]-(m:Model)
  RETURN m
  UNION
  MATCH (m:Model {name: row.name})
  WHERE m.version > row.last_version
  RETURN m
}
WITH DISTINCT m
WHERE m.state = 'present'
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
ORDER BY m.created_at, m.uid
"""

# Which of these uids are targets of a cascade? Index: cascade_step; asked only about what looks like a newer version.
OWN_TARGETS: LiteralString = """
MATCH (s:CascadeStep {cascade_id: $id})
WHERE s.number >= 0
UNWIND s.target_uids AS uid
WITH uid
WHERE uid IN $uids
RETURN uid
"""

# Lets steps go on that needed one which is done now. Index: cascade_step.
FREE_BEHIND: LiteralString = """
MATCH (:CascadeStep {cascade_id: $id, number: $number})<-[:NEEDS]-(d:CascadeStep)
SET d.waits_for = d.waits_for - 1
WITH d
WHERE d.waits_for = 0 AND d.state = 'waiting'
SET d.free_at = 0
"""

# Blocks what needs a step that failed, over any number of hops; each step is met once. Index: cascade_step.
BLOCK_BEHIND: LiteralString = """
MATCH (:CascadeStep {cascade_id: $id, number: $number})<-[:NEEDS*1..]-(d:CascadeStep)
WITH DISTINCT d
WHERE d.state = 'waiting'
SET d.state = 'blocked'
REMOVE d.free_at
RETURN count(d) AS blocked
"""

# Lets failed and blocked steps be tried anew; one that has all its models goes on with their tests.
# Index: cascade_step.
RESUME_STEPS: LiteralString = """
MATCH (s:CascadeStep {cascade_id: $id})
WHERE s.number >= 0 AND s.state IN ['failed', 'blocked']
WITH s, s.state = 'failed' AND COUNT { (s)-[:BUILDS]->() } = size(s.target_uids) AS is_staged
SET s.state = CASE WHEN is_staged THEN 'staged' ELSE 'waiting' END,
  s.failures = 0,
  s.free_at = CASE WHEN s.waits_for = 0 THEN 0 END
RETURN count(s) AS resumed
"""

# Ties a step to a model that it made; says whether it was the last. Indexes: cascade_step, staged_uid.
NOTE_STAGED: LiteralString = """
MATCH (s:CascadeStep {cascade_id: $id, number: $number})
MATCH (m:StagedModel {uid: $uid})
CREATE (s)-[:BUILDS]->(m)
WITH s
WHERE COUNT { (s)-[:BUILDS]->() } = size(s.target_uids)
SET s.state = 'staged'
"""

# Staged models of a step. Index: cascade_step.
STAGED_OF_STEP: LiteralString = """
MATCH (:CascadeStep {cascade_id: $id, number: $number})-[:BUILDS]->(m:StagedModel)
RETURN m.uid AS uid
ORDER BY m.uid
"""

# Staged models of all steps of a cascade. Index: cascade_id.
STAGED_OF_CASCADE: LiteralString = """
MATCH (:Cascade {id: $id})-[:HAS_STEP]->(:CascadeStep)-[:BUILDS]->(m:StagedModel)
RETURN m.uid AS uid
ORDER BY m.uid
"""

# Targets of finished steps that are not numbered yet, in order. Index: cascade_step, in its order.
UNPUBLISHED_STEPS: LiteralString = """
MATCH (s:CascadeStep {cascade_id: $id})
WHERE s.number >= 0 AND s.state = 'done'
WITH s
ORDER BY s.cascade_id, s.number
WHERE EXISTS { (s)-[:BUILDS]->() }
RETURN s {.*} AS step
"""

# What became of some targets: staged models and published ones. Indexes: model_uid, staged_uid.
MADE: LiteralString = """
UNWIND $uids AS uid
OPTIONAL MATCH (published:Model {uid: uid})
OPTIONAL MATCH (staged:StagedModel {uid: uid})
WITH coalesce(published, staged) AS m
WHERE m IS NOT NULL
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
"""

# Lets go of the models that a cascade was over. Index: cascade_id.
FREE_MODELS: LiteralString = """
MATCH (:Cascade {id: $id})-[:HAS_STEP]->(s:CascadeStep)
REMOVE s.free_at
WITH s
MATCH (s)-[e:REPLACES|TAKES]->(:Model)
DELETE e
"""

# Which cascades that are not over replace some of these models? Index: model_uid.
CASCADES_OVER: LiteralString = """
UNWIND $uids AS uid
MATCH (s:CascadeStep)-[:REPLACES]->(m:Model {uid: uid})
RETURN DISTINCT s.cascade_id AS id, m.name + '@' + toString(m.version) AS ref
ORDER BY id, ref
"""

# Which cascade that is not over needs a model? Index: model_uid.
USED_BY: LiteralString = """
MATCH (s:CascadeStep)-[:REPLACES|TAKES]->(:Model {uid: $uid})
RETURN s.cascade_id AS id
LIMIT 1
"""
