"""Vectors of parameter sets, to find models that are near."""

from __future__ import annotations

from typing import LiteralString

__all__ = ["LACKING_SKETCHES", "NEAREST_SKETCHES", "PUT_SKETCH"]

# Sets the vector of a parameter set that a model has. Index: parameter_set.
PUT_SKETCH: LiteralString = """
MATCH (p:ParameterSet {digest: $digest})
WHERE EXISTS { (p)<-[:HAS_PARAMETERS]-(:Model) }
REMOVE p.unsketched
WITH p
CALL db.create.setNodeVectorProperty(p, 'sketch', $vector)
"""

# The nearest parameter sets, each with the oldest model that has it. The score is half of one more than the
# cosine. Index: parameter_set_sketch.
NEAREST_SKETCHES: LiteralString = """
CALL db.index.vector.queryNodes('parameter_set_sketch', $limit, $vector)
YIELD node AS p, score
CALL (p) {
  MATCH (p)<-[:HAS_PARAMETERS]-(m:Model)
  RETURN m
  ORDER BY m.created_at, m.uid
  LIMIT 1
}
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model, 2 * score - 1 AS similarity
ORDER BY similarity DESC, m.uid
"""

# Parameter sets of models without a vector, by digest. Index: parameter_set_unsketched, in its order.
LACKING_SKETCHES: LiteralString = """
MATCH (p:ParameterSet)
WHERE p.unsketched = true AND p.digest > $after AND EXISTS { (p)<-[:HAS_PARAMETERS]-(:Model) }
WITH p
ORDER BY p.unsketched, p.digest
LIMIT $size
RETURN p {.digest, .manifest_key, .size_bytes, .tensor_count} AS parameters
"""
