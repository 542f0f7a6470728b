"""What must not be in the graph of staged models, creation records and cascades; in the form of ``checks``."""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.property_checks import MODEL_REF

__all__ = [
    "COUNTS_OFF",
    "HELD_IN_VAIN",
    "OPEN_OFF",
    "PUBLISHED_TWICE",
    "REPEATED_CREATIONS",
    "STAGED_OFF",
    "UNUSED_FUNCTIONS",
]

# Which staged models have not one parameter set, or several steps that made them?
STAGED_OFF: LiteralString = """
MATCH (m:StagedModel)
WITH m, COUNT { (m)-[:HAS_PARAMETERS]->(:ParameterSet) } AS sets, COUNT { (m)<-[:BUILDS]-() } AS steps
WHERE sets <> 1 OR steps > 1
RETURN [coalesce(toStringOrNull(m.uid), elementId(m))] AS subjects,
  toString(sets) + ' parameter sets and ' + toString(steps) + ' steps' AS found
LIMIT $limit
"""

# Which staged models were published too? Index for the second look: model_uid.
PUBLISHED_TWICE: LiteralString = (
    """
MATCH (s:StagedModel)
MATCH (m:Model {uid: s.uid})
RETURN [s.uid] AS subjects, """
    + MODEL_REF
    + """ AS found
LIMIT $limit
"""
)

# Which models, numbered or staged, were created twice?
REPEATED_CREATIONS: LiteralString = """
MATCH (m:Model|StagedModel)
WITH m, COUNT { (m)-[:CREATED_BY]->() } AS creations
WHERE creations > 1
RETURN [coalesce(toStringOrNull(m.uid), elementId(m))] AS subjects, toString(creations) AS found
LIMIT $limit
"""

# Which functions created no model that is left?
UNUSED_FUNCTIONS: LiteralString = """
MATCH (f:CreationFunction)
WHERE NOT EXISTS { (f)<-[:CREATED_BY]-() }
RETURN [coalesce(toStringOrNull(f.entry_point), elementId(f))] AS subjects, 'no model' AS found
LIMIT $limit
"""

# Which cascades count their steps otherwise than they are?
COUNTS_OFF: LiteralString = """
MATCH (c:Cascade)
WITH c, COLLECT { MATCH (c)-[:HAS_STEP]->(s:CascadeStep) RETURN s.state } AS states
WITH c, size(states) AS steps, size([state IN states WHERE state = 'done']) AS done,
  size([state IN states WHERE state IN ['waiting', 'leased', 'staged']]) AS open
WHERE NOT coalesce(c.step_count = steps AND c.done_steps = done AND c.open_steps = open, false)
RETURN [coalesce(toStringOrNull(c.id), elementId(c))] AS subjects,
  toString(steps) + ' steps, ' + toString(done) + ' done and ' + toString(open) + ' open' AS found
LIMIT $limit
"""

# Which cascades are over and said to be open, or the other way round?
OPEN_OFF: LiteralString = """
MATCH (c:Cascade)
WITH c, coalesce(c.state IN ['published', 'cancelled'], false) AS is_over, c.is_open IS NULL AS is_closed
WHERE is_over <> is_closed
RETURN [coalesce(toStringOrNull(c.id), elementId(c))] AS subjects, coalesce(toStringOrNull(c.state), 'none') AS found
LIMIT $limit
"""

# Which cascades are over and hold models still?
HELD_IN_VAIN: LiteralString = (
    """
MATCH (c:Cascade)
WHERE c.is_open IS NULL
MATCH (c)-[:HAS_STEP]->(:CascadeStep)-[:REPLACES|TAKES]->(m)
RETURN [coalesce(toStringOrNull(c.id), elementId(c))] AS subjects, """
    + MODEL_REF
    + """ AS found
LIMIT $limit
"""
)
