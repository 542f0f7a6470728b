"""How models were created: a node for each function as it was, an edge for each call."""

from __future__ import annotations

from typing import LiteralString

__all__ = ["CREATION", "DELETE_UNUSED_FUNCTION", "LISTED_CREATION", "TIE_CREATIONS", "TIE_STAGED_CREATIONS"]

# The creation record of a model ``m``, as an expression; null without one.
CREATION: LiteralString = """head(COLLECT {
    MATCH (m)-[call:CREATED_BY]->(f:CreationFunction)
    RETURN call {.*, digest: f.digest, entry_point: f.entry_point, source: f.source}
    LIMIT 1
  })"""

# The same for lists, which leave out the source.
LISTED_CREATION: LiteralString = CREATION.replace("f.source", "''")

# Ties models to the functions that created them, which come in the order of their keys.
# Indexes: model_uid, creation_function.
TIE_CREATIONS: LiteralString = """
UNWIND $creations AS row
MATCH (m:Model {uid: row.uid})
MERGE (f:CreationFunction {key: row.key})
ON CREATE SET f += row.function
CREATE (m)-[call:CREATED_BY]->(f)
SET call = row.call
"""

# The same for staged models. Indexes: staged_uid, creation_function.
TIE_STAGED_CREATIONS: LiteralString = TIE_CREATIONS.replace(":Model ", ":StagedModel ")

# Deletes a function that created no model that is left. Not DETACH: an edge that came meanwhile makes the deletion
# fail, and the transaction is tried again. Index: creation_function.
DELETE_UNUSED_FUNCTION: LiteralString = """
UNWIND $keys AS key
MATCH (f:CreationFunction {key: key})
WHERE NOT EXISTS { ()-[:CREATED_BY]->(f) }
DELETE f
"""
