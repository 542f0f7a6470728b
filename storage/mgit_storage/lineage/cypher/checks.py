"""What must not be in the graph, and what its database cannot forbid.

Each query ends at ``$limit`` finds. It goes once over the nodes of a label, or over counts that the database keeps;
there is no index for what is wrong. A row has the subjects, and in ``found`` what completes the sentence of its check.
"""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.models import TYPES
from mgit_storage.lineage.cypher.property_checks import MODEL_REF

__all__ = [
    "BUGS_OF_NOTHING",
    "DANGLING_TAGS",
    "EDGES_FOR_CYCLES",
    "EDGES_OF_WRONG_KIND",
    "EDGE_COUNTS",
    "EDGE_ENDS",
    "HOLDERS",
    "MISPLACED_RESULTS",
    "MISPLACED_TESTS",
    "MODELS_BY_NUMBER",
    "NAMES_BEHIND",
    "NUMBERS_OFF",
    "REPEATED_PARENTS",
    "REVISIONS_OFF",
    "SKETCHES_OFF",
    "STORES",
    "UNHELD_SETS",
    "UNHELD_TENSORS",
    "UNKNOWN_TYPES",
    "WRONG_COUNTS",
]

_MODEL: tuple[LiteralString, ...] = ("Model",)
_ANY_MODEL: tuple[LiteralString, ...] = ("Model", "StagedModel")
_STEP: tuple[LiteralString, ...] = ("CascadeStep",)
_PROVENANCE: tuple[LiteralString, ...] = (
    *("FINETUNED_FROM", "ADAPTED_FROM", "PRUNED_FROM", "QUANTIZED_FROM", "DISTILLED_FROM"),
    *("MERGED_FROM", "AGGREGATED_FROM", "CAST_FROM", "DERIVED_FROM"),
)

# Labels at which the edges of each type begin, and at which they end.
EDGE_ENDS: dict[LiteralString, tuple[tuple[LiteralString, ...], tuple[LiteralString, ...]]] = {
    **dict.fromkeys(_PROVENANCE, (_MODEL, _MODEL)),
    "REVISION_OF": (_MODEL, _MODEL),
    "OF_NAME": (_MODEL, ("ModelName",)),
    "OF_TYPE": (_MODEL, ("ModelType",)),
    "HAS_PARAMETERS": (_ANY_MODEL, ("ParameterSet",)),
    "HAS_TENSOR": (("ParameterSet",), ("Tensor",)),
    "TRAINED_ON": (_MODEL, ("Dataset",)),
    "POINTS_TO": (("Tag",), _MODEL),
    "APPLIES_TO": (("Test",), ("Model", "ModelType")),
    "OF": (("TestResult",), ("Test",)),
    "ON": (("TestResult",), _ANY_MODEL),
    "AFFECTS": (("Bug",), ("Model", "Tensor", "Dataset")),
    "FIXED_IN": (("Bug",), _MODEL),
    "CREATED_BY": (_ANY_MODEL, ("CreationFunction",)),
    "STAGED_FROM": (("StagedModel",), _ANY_MODEL),
    "HAS_STEP": (("Cascade",), _STEP),
    "NEEDS": (_STEP, _STEP),
    "BUILDS": (_STEP, ("StagedModel",)),
    "REPLACES": (_STEP, _MODEL),
    "TAKES": (_STEP, _MODEL),
}


def _counts(
    kind: LiteralString, starts: tuple[LiteralString, ...], ends: tuple[LiteralString, ...]
) -> LiteralString:
    begun = " + ".join(["COUNT { (:" + label + ")-[:" + kind + "]->() }" for label in starts])
    ended = " + ".join(["COUNT { ()-[:" + kind + "]->(:" + label + ") }" for label in ends])
    return (
        "RETURN COUNT { ()-[:" + kind + "]->() } AS edges, " + begun + " AS begun, " + ended + " AS ended\n"
    )


# How many edges has a type, and how many of them begin and end at the labels that they must? Counts that the database
# keeps; no edge is read.
EDGE_COUNTS: dict[LiteralString, LiteralString] = {
    kind: _counts(kind, starts, ends) for kind, (starts, ends) in EDGE_ENDS.items()
}

# Which edges of a type begin or end at another label? Reads all edges of the type; asked only if the counts differ.
EDGES_OF_WRONG_KIND: LiteralString = """
MATCH (a)-[:$($type)]->(b)
WHERE NOT (any(label IN labels(a) WHERE label IN $starts) AND any(label IN labels(b) WHERE label IN $ends))
RETURN [elementId(a), elementId(b)] AS subjects,
  coalesce(labels(a)[0], 'no label') + ' to ' + coalesce(labels(b)[0], 'no label') AS found
LIMIT $limit
"""

# Which types of edges does nobody know? Names that the database keeps.
UNKNOWN_TYPES: LiteralString = """
CALL db.relationshipTypes() YIELD relationshipType AS type
WHERE NOT type IN $known
WITH type, COUNT { ()-[:$(type)]->() } AS edges
WHERE edges > 0
RETURN [type] AS subjects, toString(edges) AS found
LIMIT $limit
"""

# Edges of both kinds that keep an order, packed: a slice of children by uid, each with its parents behind it. The
# server's own numbers are a quarter of the bytes of uids. Index: model_uid, in its order.
EDGES_FOR_CYCLES: LiteralString = (
    """
MATCH (c:Model)
WHERE c.uid > $after
WITH c
ORDER BY c.uid
LIMIT $size
RETURN max(c.uid) AS last,
  collect([id(c)] + COLLECT { MATCH (c)-[:REVISION_OF|"""
    + TYPES
    + """]->(q:Model) RETURN id(q) }) AS families
"""
)

# What are these models called? By the server's own numbers, which need no index.
MODELS_BY_NUMBER: LiteralString = (
    """
UNWIND $ids AS id
MATCH (m)
WHERE id(m) = id
RETURN id, """
    + MODEL_REF
    + " AS ref\n"
)

# Which names gave a number that is higher than the last one they know, or have a model that is spelled otherwise?
NAMES_BEHIND: LiteralString = (
    """
MATCH (n:ModelName)<-[:OF_NAME]-(m:Model)
WHERE m.version > n.last_version OR m.name <> n.name
RETURN ["""
    + MODEL_REF
    + """] AS subjects,
  'its name ' + toStringOrNull(n.name) + ' has given numbers up to ' + toStringOrNull(n.last_version) AS found
LIMIT $limit
"""
)

# Which models have no name node, or several, a number below 1, or several types or version edges?
NUMBERS_OFF: LiteralString = (
    """
MATCH (m:Model)
WITH m, COUNT { (m)-[:OF_NAME]->(:ModelName) } AS names, COUNT { (m)-[:OF_TYPE]->() } AS types,
  COUNT { (m)-[:REVISION_OF]->() } AS revisions
WHERE names <> 1 OR types > 1 OR revisions > 1 OR m.version < 1
RETURN ["""
    + MODEL_REF
    + """] AS subjects,
  toString(names) + ' names, ' + toString(types) + ' types and ' + toString(revisions) + ' version edges' AS found
LIMIT $limit
"""
)

# Which version edges lead from a lower number to a higher one of the same name?
REVISIONS_OFF: LiteralString = (
    """
MATCH (m:Model)-[:REVISION_OF]->(o:Model)
WHERE m.name = o.name AND m.version <= o.version
RETURN ["""
    + MODEL_REF
    + """, o.name + '@' + toStringOrNull(o.version)] AS subjects,
  o.name + '@' + toStringOrNull(o.version) AS found
LIMIT $limit
"""
)

# Which models have a parent twice with one relation, or two parents at one position?
REPEATED_PARENTS: LiteralString = (
    "MATCH (m:Model)-[e:"
    + TYPES
    + """]->(q)
WITH m, count(e) AS edges, count(DISTINCT [type(e), elementId(q)]) AS kinds, count(DISTINCT e.position) AS positions
WHERE kinds < edges OR positions < edges
RETURN ["""
    + MODEL_REF
    + """] AS subjects,
  toString(edges) + ' edges to ' + toString(kinds) + ' parents at ' + toString(positions) + ' positions' AS found
LIMIT $limit
"""
)

# Which models that are present have not one parameter set, and which removed ones have any?
HOLDERS: LiteralString = (
    """
MATCH (m:Model)
WITH m, COUNT { (m)-[:HAS_PARAMETERS]->(:ParameterSet) } AS sets
WHERE sets <> CASE m.state WHEN 'removed' THEN 0 ELSE 1 END
RETURN ["""
    + MODEL_REF
    + """] AS subjects, coalesce(toStringOrNull(m.state), 'without state') + ', ' + toString(sets) AS found
LIMIT $limit
"""
)

# Which parameter sets does no model have?
UNHELD_SETS: LiteralString = """
MATCH (p:ParameterSet)
WHERE NOT EXISTS { (p)<-[:HAS_PARAMETERS]-() }
RETURN [coalesce(toStringOrNull(p.digest), elementId(p))] AS subjects, 'no model' AS found
LIMIT $limit
"""

# Which tensors does no parameter set have? One that a bug affects may outlive its last holder.
UNHELD_TENSORS: LiteralString = """
MATCH (t:Tensor)
WHERE NOT EXISTS { (t)<-[:HAS_TENSOR]-() } AND NOT EXISTS { (t)<-[:AFFECTS]-() }
RETURN [coalesce(toStringOrNull(t.digest), elementId(t))] AS subjects, 'no parameter set' AS found
LIMIT $limit
"""

# Which parameter sets have more or fewer tensors than they say? Degrees of nodes; no edge is read.
WRONG_COUNTS: LiteralString = """
MATCH (p:ParameterSet)
WITH p, COUNT { (p)-[:HAS_TENSOR]->() } AS tensors
WHERE tensors <> p.tensor_count
RETURN [coalesce(toStringOrNull(p.digest), elementId(p))] AS subjects,
  toStringOrNull(p.tensor_count) + ', and has ' + toString(tensors) AS found
LIMIT $limit
"""

# Which parameter sets have a sketch of another length, or none and are not known to lack one? Those that are promised
# have none.
SKETCHES_OFF: LiteralString = """
MATCH (p:ParameterSet)
WHERE CASE
    WHEN p.promised_by IS NOT NULL THEN p.sketch IS NOT NULL OR p.unsketched IS NOT NULL
    WHEN p.sketch IS NULL THEN NOT coalesce(p.unsketched, false)
    ELSE size(p.sketch) <> $dimensions
  END
RETURN [coalesce(toStringOrNull(p.digest), elementId(p))] AS subjects,
  CASE WHEN p.sketch IS NULL THEN 'none, and is not marked for one' ELSE toString(size(p.sketch)) END AS found
LIMIT $limit
"""

# Which tags do not point to one present model of their name?
DANGLING_TAGS: LiteralString = """
MATCH (g:Tag)
WITH g, COLLECT { MATCH (g)-[:POINTS_TO]->(m) RETURN m } AS models
WHERE size(models) <> 1 OR NOT coalesce(models[0].name = g.model_name AND models[0].state = 'present', false)
RETURN [coalesce(toStringOrNull(g.model_name) + '@' + toStringOrNull(g.name), elementId(g))] AS subjects,
  CASE WHEN size(models) <> 1 THEN toString(size(models)) + ' models'
    ELSE coalesce(toStringOrNull(models[0].name) + '@' + toStringOrNull(models[0].version), 'no model') +
      coalesce(', ' + toStringOrNull(models[0].state), '') END AS found
LIMIT $limit
"""

# Which tests do not apply to what their scope says?
MISPLACED_TESTS: LiteralString = """
MATCH (t:Test)
WITH t, COUNT { (t)-[:APPLIES_TO]->(:Model) } AS models, COUNT { (t)-[:APPLIES_TO]->(:ModelType) } AS types
WHERE models <> CASE t.scope WHEN 'model' THEN 1 ELSE 0 END OR types <> CASE t.scope WHEN 'type' THEN 1 ELSE 0 END
RETURN [coalesce(toStringOrNull(t.name), elementId(t))] AS subjects,
  coalesce(toStringOrNull(t.scope), 'none') + ', and it applies to ' + toString(models) + ' models and '
    + toString(types) + ' types' AS found
LIMIT $limit
"""

# Which results are not of one test and on one model?
MISPLACED_RESULTS: LiteralString = """
MATCH (r:TestResult)
WITH r, COUNT { (r)-[:OF]->(:Test) } AS tests, COUNT { (r)-[:ON]->(:Model|StagedModel) } AS models
WHERE tests <> 1 OR models <> 1
RETURN [coalesce(toStringOrNull(r.uid), elementId(r))] AS subjects,
  toString(tests) + ' tests and ' + toString(models) + ' models' AS found
LIMIT $limit
"""

# Which bugs affect nothing?
BUGS_OF_NOTHING: LiteralString = """
MATCH (b:Bug)
WHERE NOT EXISTS { (b)-[:AFFECTS]->() } AND coalesce(b.every_version_of, []) = []
RETURN [coalesce(toStringOrNull(b.id), elementId(b))] AS subjects, 'nothing' AS found
LIMIT $limit
"""

# Is the graph bound to one store? A count that the database keeps.
STORES: LiteralString = """
MATCH (s:Store)
WITH count(s) AS stores
WHERE stores <> 1
RETURN [] AS subjects, toString(stores) AS found
LIMIT $limit
"""
