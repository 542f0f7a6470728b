"""Definitions of model tests, and their results.

A registered test is one with ``name_lower``: a deregistered one gives its name back, and is found by uid only. The
uid of a result sorts by the end of its run, so that the order of uids is the order of time.
"""

from __future__ import annotations

from typing import LiteralString

__all__ = [
    "CREATE_RESULTS",
    "CREATE_RESULTS_AS_MEASURED",
    "DEREGISTER_TEST",
    "FIND_TEST",
    "FIND_TESTS",
    "FIND_TESTS_AS_KEPT",
    "FIND_TEST_BY_UID",
    "LIST_RESULTS",
    "LIST_TESTS",
    "LOCK_NAMES_OF",
    "LOCK_TEST",
    "MODELS_TO_TEST",
    "RESULTS_ON",
    "REUSABLE_RESULTS",
    "SET_TEST",
    "TAKE_TEST_NAME",
    "TESTS_OF_ALL",
    "TESTS_OF_TYPES",
]

_DESCRIBE: LiteralString = """
OPTIONAL MATCH (t)-[:APPLIES_TO]->(m:Model)
OPTIONAL MATCH (t)-[:APPLIES_TO]->(y:ModelType)
RETURN t {
    .*,
    created_at: t.created_at.epochSeconds * 1000000 + t.created_at.microsecond,
    updated_at: t.updated_at.epochSeconds * 1000000 + t.updated_at.microsecond
  } AS test,
  m.uid AS model_uid, m.name + '@' + toString(m.version) AS model_ref, y.name AS type
"""

_RESULT: LiteralString = """
RETURN r {
    .uid, .value, .is_truth, .error, .seconds, .code_digest, .inputs_digest, .parameters_digest,
    run_at: r.run_at.epochSeconds * 1000000 + r.run_at.microsecond
  } AS result,
  t {.uid, .name, .threshold, .direction} AS test,
  m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model
"""

# Takes a name for a new test, or finds the registered one that has it; locks it either way. Index: test_name.
TAKE_TEST_NAME: LiteralString = """
MERGE (t:Test {name_lower: $name_lower})
ON CREATE SET t.uid = $uid
SET t.locked = true
RETURN t.uid AS uid
"""

# Gives a locked test its properties, and what it applies to. Indexes: test_uid, model_uid, model_type.
SET_TEST: LiteralString = """
MATCH (t:Test {uid: $uid})
SET t = $properties
WITH t
OPTIONAL MATCH (t)-[old:APPLIES_TO]->()
DELETE old
WITH DISTINCT t
FOREACH (type IN $types |
  MERGE (y:ModelType {name: type})
  CREATE (t)-[:APPLIES_TO]->(y))
WITH t
UNWIND $model_uids AS model_uid
MATCH (m:Model {uid: model_uid})
CREATE (t)-[:APPLIES_TO]->(m)
"""

# Locks a test; what is read of it must be read afterwards. Index: test_uid.
LOCK_TEST: LiteralString = """
MATCH (t:Test {uid: $uid})
SET t.locked = true
RETURN t.uid AS uid
"""

# Deregisters a test. Index: test_uid.
DEREGISTER_TEST: LiteralString = """
MATCH (t:Test {uid: $uid})
SET t.is_removed = true
REMOVE t.name_lower
"""

# The registered test of a name. Index: test_name.
FIND_TEST: LiteralString = "MATCH (t:Test {name_lower: $name_lower})" + _DESCRIBE

# A test, registered or not. Index: test_uid.
FIND_TEST_BY_UID: LiteralString = "MATCH (t:Test {uid: $uid})" + _DESCRIBE

# Several tests that are registered still. Index: test_uid.
FIND_TESTS: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (t:Test {uid: uid})
WHERE NOT t.is_removed
"""
    + _DESCRIBE
)

# Several tests, deregistered ones too. Index: test_uid.
FIND_TESTS_AS_KEPT: LiteralString = "UNWIND $uids AS uid\nMATCH (t:Test {uid: uid})" + _DESCRIBE

# Registered tests by name in lower case. Index: test_name, in its order.
LIST_TESTS: LiteralString = (
    """
MATCH (t:Test)
WHERE t.name_lower > $after
WITH t
ORDER BY t.name_lower
LIMIT $size
"""
    + _DESCRIBE
    + "ORDER BY t.name_lower\n"
)

# Some models, published or staged, with what decides which tests apply to them. Indexes: model_uid, staged_uid.
MODELS_TO_TEST: LiteralString = """
UNWIND $uids AS uid
OPTIONAL MATCH (published:Model {uid: uid})
OPTIONAL MATCH (staged:StagedModel {uid: uid})
WITH coalesce(published, staged) AS m
WHERE m IS NOT NULL
OPTIONAL MATCH (m)-[:HAS_PARAMETERS]->(p:ParameterSet)
OPTIONAL MATCH (m)-[:OF_TYPE]->(y:ModelType)
RETURN m {
    .uid, .name, .version, .state,
    created_at: m.created_at.epochSeconds * 1000000 + m.created_at.microsecond
  } AS model,
  p.digest AS parameters_digest, p.promised_by IS NOT NULL AS is_promised,
  coalesce(y.name, m.type) AS type,
  COLLECT {
    MATCH (t:Test)-[:APPLIES_TO]->(m)
    WHERE NOT t.is_removed
    RETURN t.uid
  } AS tests
"""

# Registered tests of some model types. Index: model_type.
TESTS_OF_TYPES: LiteralString = """
UNWIND $types AS type
MATCH (y:ModelType {name: type})
MATCH (t:Test)-[:APPLIES_TO]->(y)
WHERE NOT t.is_removed
RETURN type, collect(t.uid) AS tests
"""

# Registered tests of all models. Index: test_scope.
TESTS_OF_ALL: LiteralString = """
MATCH (t:Test {scope: 'all'})
WHERE NOT t.is_removed
RETURN collect(t.uid) AS tests
"""

# Locks the names of some models in the order in which commits lock them, so that none of the models is removed
# meanwhile. Index: model_uid.
LOCK_NAMES_OF: LiteralString = """
UNWIND $uids AS uid
MATCH (:Model {uid: uid})-[:OF_NAME]->(n:ModelName)
WITH DISTINCT n
ORDER BY n.name_lower
SET n.locked = true
RETURN count(n) AS names
"""

# Keeps results, each with what its test measures now. Indexes: test_uid, model_uid, staged_uid.
CREATE_RESULTS: LiteralString = (
    """
UNWIND $results AS row
MATCH (t:Test {uid: row.test_uid})
OPTIONAL MATCH (published:Model {uid: row.model_uid})
OPTIONAL MATCH (staged:StagedModel {uid: row.model_uid})
WITH row, t, coalesce(published, staged) AS m
WHERE m IS NOT NULL
CREATE (r:TestResult)-[:OF]->(t)
CREATE (r)-[:ON]->(m)
SET r = row.properties, r.measurement = t.measurement
"""
    + _RESULT
)

# Keeps results of another store, each with what its test measured then. Indexes: test_uid, model_uid.
CREATE_RESULTS_AS_MEASURED: LiteralString = """
UNWIND $results AS row
MATCH (t:Test {uid: row.test_uid})
MATCH (m:Model {uid: row.model_uid})
CREATE (r:TestResult)-[:OF]->(t)
CREATE (r)-[:ON]->(m)
SET r = row.properties
RETURN count(r) AS made
"""

# Results on some models, with what their tests measured then, oldest first. Index: model_uid.
RESULTS_ON: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})<-[:ON]-(r:TestResult)-[:OF]->(t:Test)
"""
    + _RESULT
    + "  , r.measurement AS measurement\nORDER BY r.uid\n"
)

# The newest value for each key, of those that measured what the test measures now. The index is named, since an
# empty graph cannot tell that a test has more results than a parameter set. Indexes: test_result_key, test_uid.
REUSABLE_RESULTS: LiteralString = (
    """
UNWIND range(0, size($keys) - 1) AS position
WITH position, $keys[position] AS key
CALL (key) {
  MATCH (r:TestResult {
    parameters_digest: key.parameters_digest,
    code_digest: key.code_digest,
    inputs_digest: key.inputs_digest
  })
  USING INDEX r:TestResult(parameters_digest, code_digest, inputs_digest)
  WHERE r.value IS NOT NULL
  MATCH (r)-[:OF]->(t:Test {uid: key.test_uid})
  WHERE r.measurement = t.measurement
  RETURN r, t
  ORDER BY r.uid DESC
  LIMIT 1
}
MATCH (r)-[:ON]->(m:Model|StagedModel)
"""
    + _RESULT
    + "ORDER BY position\n"
)

_PAGE: LiteralString = (
    """
WHERE r.uid < $before
WITH r
ORDER BY r.uid DESC
LIMIT $size
MATCH (r)-[:OF]->(t:Test)
MATCH (r)-[:ON]->(m:Model|StagedModel)
"""
    + _RESULT
    + "ORDER BY r.uid DESC\n"
)

# Those that are not on staged models, of which nobody is told who does not ask for such a model.
_PUBLISHED_PAGE: LiteralString = _PAGE.replace(
    "r.uid < $before", "r.uid < $before AND NOT EXISTS { (r)-[:ON]->(:StagedModel) }"
)

# One model, published or staged.
_MODEL: LiteralString = """OPTIONAL MATCH (published:Model {uid: $model_uid})
OPTIONAL MATCH (staged:StagedModel {uid: $model_uid})
WITH coalesce(published, staged) AS asked
WHERE asked IS NOT NULL
"""

# Results, newest first, by what they are of. Indexes: test_result_uid, in its order, for all of them; else test_uid,
# model_uid or staged_uid, and the results of that one test or model are looked through.
LIST_RESULTS: dict[str, LiteralString] = {
    "all": "MATCH (r:TestResult)" + _PUBLISHED_PAGE,
    "test": "MATCH (:Test {uid: $test_uid})<-[:OF]-(r:TestResult)" + _PUBLISHED_PAGE,
    "model": _MODEL + "MATCH (asked)<-[:ON]-(r:TestResult)" + _PAGE,
    "both": _MODEL + "MATCH (asked)<-[:ON]-(r:TestResult)-[:OF]->(:Test {uid: $test_uid})" + _PAGE,
}
