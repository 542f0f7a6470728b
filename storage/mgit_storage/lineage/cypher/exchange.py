"""Models of other stores, and what goes along with them."""

from __future__ import annotations

from typing import LiteralString

from mgit_storage.lineage.cypher.models import TYPES

__all__ = [
    "BUGS_OF_DATASETS",
    "BUGS_ON",
    "COMPLETE_PARAMETERS",
    "CREATE_LINKS",
    "CREATE_REMOVED_TEST",
    "CREATE_REVISIONS",
    "EDGES_BELOW",
    "FIND_KNOWN",
    "KNOWN_RESULTS",
    "KNOWN_SUBJECTS",
    "KNOWN_TAGS",
    "PUT_TAGS",
    "SET_BUG",
    "TAGS_OF",
    "TESTS_ON",
    "TIE_BUG",
]

# What does the graph know of the uids, names and numbers of models of another store? In their order.
# Indexes: model_uid, model_version, model_name.
FIND_KNOWN: LiteralString = """
UNWIND range(0, size($models) - 1) AS position
WITH position, $models[position] AS row
OPTIONAL MATCH (m:Model {uid: row.uid})
OPTIONAL MATCH (o:Model {name: row.name, version: row.version})
OPTIONAL MATCH (n:ModelName {name_lower: row.name_lower})
OPTIONAL MATCH (m)-[:HAS_PARAMETERS]->(p:ParameterSet)
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model,
  m.files AS files, p.digest AS parameters, p.promised_by IS NOT NULL AS is_promised,
  o {
    .uid, .name, .version, .state,
    created_at: o.created_at.epochSeconds * 1000000 + o.created_at.microsecond
  } AS holder,
  n.name AS name
ORDER BY position
"""

# Makes promised parameter sets whole; they lack a sketch from now on. Index: parameter_set.
COMPLETE_PARAMETERS: LiteralString = """
UNWIND $digests AS digest
MATCH (p:ParameterSet {digest: digest})
WHERE p.promised_by IS NOT NULL
SET p.state = 'present', p.unsketched = true
REMOVE p.promised_by, p.promised_remote
"""

# What some models point to by edges of both kinds, one hop. Index: model_uid.
EDGES_BELOW: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
MATCH (m)-[:REVISION_OF|"""
    + TYPES
    + """]->(o:Model)
RETURN m.uid AS newer, m.name + '@' + toString(m.version) AS ref, collect(DISTINCT o.uid) AS older
"""
)

# Provenance edges; their types come from a closed enumeration. Index: model_uid.
CREATE_LINKS: LiteralString = """
UNWIND $links AS row
MATCH (c:Model {uid: row.child_uid})
MATCH (q:Model {uid: row.parent_uid})
CREATE (c)-[e:$(row.relation)]->(q)
SET e = row.properties
"""

# Version edges. Index: model_uid.
CREATE_REVISIONS: LiteralString = """
UNWIND $revisions AS row
MATCH (n:Model {uid: row.newer_uid})
MATCH (o:Model {uid: row.older_uid})
CREATE (n)-[:REVISION_OF]->(o)
"""

# Tags that point to some models, sorted. Index: model_uid.
TAGS_OF: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})<-[:POINTS_TO]-(g:Tag)
RETURN g.model_name AS name, g.name AS tag, m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
ORDER BY name, tag
"""

# Which of these tags are there, and what do they point to? Index: tag.
KNOWN_TAGS: LiteralString = """
UNWIND $tags AS row
MATCH (g:Tag {model_name: row.name, name: row.tag})-[:POINTS_TO]->(m:Model)
RETURN row.name AS name, row.tag AS tag, m.uid AS uid, m.name + '@' + toString(m.version) AS ref
"""

# Points tags to models, from wherever they pointed. Indexes: tag, model_uid.
PUT_TAGS: LiteralString = """
UNWIND $tags AS row
MATCH (m:Model {uid: row.uid})
MERGE (g:Tag {model_name: row.name, name: row.tag})
WITH m, g
OPTIONAL MATCH (g)-[old:POINTS_TO]->(:Model)
DELETE old
WITH DISTINCT m, g
CREATE (g)-[:POINTS_TO]->(m)
"""

# Tests that apply to some models or have results on them. Indexes: model_uid, test_scope.
TESTS_ON: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
CALL (m) {
  MATCH (t:Test)-[:APPLIES_TO]->(m)
  RETURN t
  UNION
  MATCH (m)-[:OF_TYPE]->(:ModelType)<-[:APPLIES_TO]-(t:Test)
  RETURN t
  UNION
  MATCH (m)<-[:ON]-(:TestResult)-[:OF]->(t:Test)
  RETURN t
}
RETURN collect(DISTINCT t.uid) AS tests
"""

# Makes a test that is deregistered already: it takes no name. Index: test_uid.
CREATE_REMOVED_TEST: LiteralString = """
MERGE (:Test {uid: $uid})
"""

# Which of these results are there? Index: test_result_uid.
KNOWN_RESULTS: LiteralString = """
UNWIND $uids AS uid
MATCH (r:TestResult {uid: uid})
RETURN collect(r.uid) AS uids
"""

# Bugs that touch some models: directly, by a fix, by a tensor, or by a version of a data set; and the data sets on which
# they were trained. Index: model_uid.
BUGS_ON: LiteralString = """
CALL () {
  UNWIND $uids AS uid
  MATCH (:Model {uid: uid})<-[:AFFECTS|FIXED_IN]-(b:Bug)
  RETURN b
  UNION
  UNWIND $uids AS uid
  MATCH (:Model {uid: uid})-[:HAS_PARAMETERS]->(:ParameterSet)-[:HAS_TENSOR]->(:Tensor)<-[:AFFECTS]-(b:Bug)
  RETURN b
  UNION
  UNWIND $uids AS uid
  MATCH (:Model {uid: uid})-[:TRAINED_ON]->(:Dataset)<-[:AFFECTS]-(b:Bug)
  RETURN b
}
WITH collect(DISTINCT b.id) AS bugs
RETURN bugs,
  COLLECT {
    UNWIND $uids AS uid
    MATCH (:Model {uid: uid})-[:TRAINED_ON]->(d:Dataset)
    RETURN DISTINCT d.name
  } AS names
"""

# Bugs of all versions of some data sets. Index: none; one pass over the bugs, of which there are few.
BUGS_OF_DATASETS: LiteralString = """
MATCH (b:Bug)
WHERE any(name IN b.every_version_of WHERE name IN $names)
RETURN collect(b.id) AS bugs
"""

# What of these is here: tensors that a parameter set holds, versions of data sets that a model was trained on, and data
# sets with any such version? Indexes: tensor_digest, dataset.
KNOWN_SUBJECTS: LiteralString = """
RETURN COLLECT {
    UNWIND $tensors AS digest
    MATCH (t:Tensor {digest: digest})
    WHERE EXISTS { (:ParameterSet)-[:HAS_TENSOR]->(t) }
    RETURN t.digest
  } AS tensors,
  COLLECT {
    UNWIND $datasets AS dataset
    MATCH (d:Dataset {name: dataset.name, version: dataset.version})
    WHERE EXISTS { (:Model)-[:TRAINED_ON]->(d) }
    RETURN [d.name, d.version]
  } AS datasets,
  COLLECT {
    UNWIND $names AS name
    MATCH (d:Dataset {name: name})
    WHERE d.version >= '' AND EXISTS { (:Model)-[:TRAINED_ON]->(d) }
    RETURN DISTINCT d.name
  } AS names
"""

# Makes a bug, or finds it, and locks it. Index: bug_id.
SET_BUG: LiteralString = """
MERGE (b:Bug {id: $id})
SET b = $properties
"""

# Ties a bug to what it affects and to where it is fixed, as far as it is not yet. Indexes: bug_id, model_uid,
# tensor_digest, dataset.
TIE_BUG: LiteralString = """
MATCH (b:Bug {id: $id})
CALL (b) {
  UNWIND $uids AS uid
  MATCH (m:Model {uid: uid})
  MERGE (b)-[:AFFECTS]->(m)
}
CALL (b) {
  UNWIND $tensors AS digest
  MATCH (t:Tensor {digest: digest})
  MERGE (b)-[:AFFECTS]->(t)
}
CALL (b) {
  UNWIND $datasets AS dataset
  MATCH (d:Dataset {name: dataset.name, version: dataset.version})
  MERGE (b)-[:AFFECTS]->(d)
}
CALL (b) {
  UNWIND $fixed AS uid
  MATCH (m:Model {uid: uid})
  MERGE (b)-[:FIXED_IN]->(m)
}
"""
