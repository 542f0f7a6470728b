"""Questions from content to models."""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.models import TYPES

__all__ = ["COUNTS", "DUPLICATES", "MODELS_WITH_TENSOR", "PARAMETER_SETS"]

# Who holds a tensor, by uid and parameter. Index: tensor_digest.
MODELS_WITH_TENSOR: LiteralString = """
MATCH (t:Tensor {digest: $digest})
MATCH (t)<-[h:HAS_TENSOR]-(:ParameterSet)<-[:HAS_PARAMETERS]-(m:Model)
WHERE m.uid > $after_uid OR (m.uid = $after_uid AND h.name > $after_name)
WITH m, h
ORDER BY m.uid, h.name
LIMIT $size
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model, h.name AS parameter
ORDER BY m.uid, h.name
"""

# Parameter sets that several models have, by digest. Index: parameter_set, in its order.
DUPLICATES: LiteralString = """
MATCH (p:ParameterSet)
WHERE p.digest > $after AND COUNT { (p)<-[:HAS_PARAMETERS]-(:Model) } > 1
WITH p
ORDER BY p.digest
LIMIT $size
RETURN p.digest AS digest,
  COLLECT {
    MATCH (p)<-[:HAS_PARAMETERS]-(m:Model)
    RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  }
    ORDER BY m.created_at, m.uid
  } AS models
ORDER BY p.digest
"""

# Present models by uid with where their parameters and files lie. Index: model_uid, in its order.
PARAMETER_SETS: LiteralString = """
MATCH (m:Model)
WHERE m.uid > $after
WITH m
ORDER BY m.uid
MATCH (m)-[:HAS_PARAMETERS]->(p:ParameterSet)
WITH m, p
LIMIT $size
RETURN properties(m) AS model,
  p {.digest, .manifest_key, .size_bytes, .tensor_count, .promised_by, .promised_remote} AS parameters,
  null AS type, null AS previous,
  [] AS parents, [] AS tags, [] AS datasets
ORDER BY m.uid
"""

# Sizes of the graph; tensors that only bugs or staged models keep are not counted. Index: none; counts, one pass over
# the models, and one over the bugs and the staged models.
COUNTS: LiteralString = (
    """
MATCH (m:Model)-[:HAS_PARAMETERS]->(p:ParameterSet)
WITH m, p.size_bytes + m.files_bytes AS size_bytes, p.promised_by IS NOT NULL AS is_promised
WITH count(m) AS models, sum(CASE WHEN is_promised THEN 0 ELSE size_bytes END) AS logical_bytes,
  sum(CASE WHEN is_promised THEN 1 ELSE 0 END) AS promised,
  sum(CASE WHEN is_promised THEN size_bytes ELSE 0 END) AS promised_bytes
RETURN models, logical_bytes, promised, promised_bytes,
  COUNT { (:Model)-[:"""
    + TYPES
    + """]->() } AS edges,
  COUNT { (:Tensor) } - COUNT {
    MATCH (:Bug)-[:AFFECTS]->(t:Tensor)
    WHERE NOT EXISTS { (:ParameterSet)-[:HAS_TENSOR]->(t) }
    RETURN DISTINCT t
  } - COUNT {
    MATCH (:StagedModel)-[:HAS_PARAMETERS]->(staged:ParameterSet)
    WHERE NOT EXISTS { (:Model)-[:HAS_PARAMETERS]->(staged) }
    MATCH (staged)-[:HAS_TENSOR]->(t:Tensor)
    WHERE NOT EXISTS { (:Model)-[:HAS_PARAMETERS]->(:ParameterSet)-[:HAS_TENSOR]->(t) }
    RETURN DISTINCT t
  } AS tensors
"""
)
