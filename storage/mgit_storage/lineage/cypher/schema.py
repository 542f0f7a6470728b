"""Schema, migrations, and the tie between graph and store.

A migration is a tuple of statements that may run again without harm. Its number is its place, from 1; a
``Migration`` node records it. New ones are only added at the end.
"""

from __future__ import annotations

from typing import LiteralString

__all__ = [
    "BIND",
    "CONDEMN",
    "COUNT_NODES",
    "FIRST_CONSTRAINT",
    "LOCK_GRAPH",
    "LOCK_STORE",
    "MIGRATIONS",
    "MIGRATION_LEVEL",
    "RECORD_MIGRATION",
    "SERVER",
    "STATE",
]

FIRST_CONSTRAINT: LiteralString = (
    "CREATE CONSTRAINT store_key IF NOT EXISTS FOR (n:Store) REQUIRE n.key IS UNIQUE"
)

_UNSKETCHED_INDEX: LiteralString = """
CREATE INDEX parameter_set_unsketched IF NOT EXISTS
FOR (p:ParameterSet)
ON (p.unsketched, p.digest)
"""

# As many dimensions as ``mgit_core.similarity.DIMENSIONS``. Rounding the vectors would save a kilobyte each, and
# cost the order of near ones.
_SKETCH_INDEX: LiteralString = """
CREATE VECTOR INDEX parameter_set_sketch IF NOT EXISTS
FOR (p:ParameterSet)
ON (p.sketch)
OPTIONS {indexConfig: {
  `vector.dimensions`: 256,
  `vector.similarity_function`: 'cosine',
  `vector.quantization.enabled`: false
}}
"""

_MARK_UNSKETCHED: LiteralString = """
MATCH (p:ParameterSet)
WHERE p.sketch IS NULL
CALL (p) {
  SET p.unsketched = true
} IN TRANSACTIONS OF 10000 ROWS
"""

# Finds a result that need not be found again.
_RESULT_INDEX: LiteralString = """
CREATE INDEX test_result_key IF NOT EXISTS
FOR (n:TestResult)
ON (n.parameters_digest, n.code_digest, n.inputs_digest)
"""

# Finds the next step that can be leased.
_STEP_INDEX: LiteralString = """
CREATE INDEX cascade_step_free IF NOT EXISTS
FOR (n:CascadeStep)
ON (n.cascade_id, n.free_at, n.number)
"""

MIGRATIONS: tuple[tuple[LiteralString, ...], ...] = (
    (
        "CREATE CONSTRAINT migration_number IF NOT EXISTS FOR (n:Migration) REQUIRE n.number IS UNIQUE",
        "CREATE CONSTRAINT model_uid IF NOT EXISTS FOR (n:Model) REQUIRE n.uid IS UNIQUE",
        "CREATE CONSTRAINT model_version IF NOT EXISTS FOR (n:Model) REQUIRE (n.name, n.version) IS UNIQUE",
        "CREATE CONSTRAINT model_name IF NOT EXISTS FOR (n:ModelName) REQUIRE n.name_lower IS UNIQUE",
        "CREATE CONSTRAINT model_type IF NOT EXISTS FOR (n:ModelType) REQUIRE n.name IS UNIQUE",
        "CREATE CONSTRAINT parameter_set IF NOT EXISTS FOR (n:ParameterSet) REQUIRE n.digest IS UNIQUE",
        "CREATE CONSTRAINT tensor_digest IF NOT EXISTS FOR (n:Tensor) REQUIRE n.digest IS UNIQUE",
        "CREATE CONSTRAINT dataset IF NOT EXISTS FOR (n:Dataset) REQUIRE (n.name, n.version) IS UNIQUE",
        "CREATE CONSTRAINT tag IF NOT EXISTS FOR (n:Tag) REQUIRE (n.model_name, n.name) IS UNIQUE",
        "CREATE CONSTRAINT request_id IF NOT EXISTS FOR (n:Request) REQUIRE n.id IS UNIQUE",
        "CREATE INDEX request_age IF NOT EXISTS FOR (n:Request) ON (n.created_at)",
        "CREATE CONSTRAINT lock_name IF NOT EXISTS FOR (n:Lock) REQUIRE n.name IS UNIQUE",
    ),
    (
        "CREATE CONSTRAINT lease_name IF NOT EXISTS FOR (n:Lease) REQUIRE n.name IS UNIQUE",
        _UNSKETCHED_INDEX,
        _SKETCH_INDEX,
        "CALL db.awaitIndexes(300)",
        _MARK_UNSKETCHED,
    ),
    (
        "CREATE CONSTRAINT test_uid IF NOT EXISTS FOR (n:Test) REQUIRE n.uid IS UNIQUE",
        # A deregistered test gives its name back: the property goes.
        "CREATE CONSTRAINT test_name IF NOT EXISTS FOR (n:Test) REQUIRE n.name_lower IS UNIQUE",
        "CREATE INDEX test_scope IF NOT EXISTS FOR (n:Test) ON (n.scope)",
        "CREATE CONSTRAINT test_result_uid IF NOT EXISTS FOR (n:TestResult) REQUIRE n.uid IS UNIQUE",
        _RESULT_INDEX,
        "CREATE CONSTRAINT bug_id IF NOT EXISTS FOR (n:Bug) REQUIRE n.id IS UNIQUE",
    ),
    (
        "CREATE CONSTRAINT staged_uid IF NOT EXISTS FOR (n:StagedModel) REQUIRE n.uid IS UNIQUE",
        "CREATE CONSTRAINT creation_function IF NOT EXISTS FOR (n:CreationFunction) REQUIRE n.key IS UNIQUE",
        "CREATE CONSTRAINT cascade_id IF NOT EXISTS FOR (n:Cascade) REQUIRE n.id IS UNIQUE",
        "CREATE INDEX cascade_open IF NOT EXISTS FOR (n:Cascade) ON (n.is_open)",
        "CREATE CONSTRAINT cascade_step IF NOT EXISTS FOR (n:CascadeStep) REQUIRE (n.cascade_id, n.number) IS UNIQUE",
        _STEP_INDEX,
        "CREATE INDEX creation_group IF NOT EXISTS FOR ()-[e:CREATED_BY]-() ON (e.group)",
        "CREATE INDEX parameter_set_promised IF NOT EXISTS FOR (n:ParameterSet) ON (n.promised_by)",
    ),
)

# Is the database empty, but for what a schema says about itself? Counts stop at the first node.
COUNT_NODES: LiteralString = "MATCH (n) WHERE NOT n:Migration WITH n LIMIT 1 RETURN count(n) AS nodes"

# Binds a graph to a store, or finds what it is bound to. Index: store_key.
BIND: LiteralString = """
MERGE (s:Store {key: 'mgit'})
ON CREATE SET s.id = $store_id, s.epoch = 1
RETURN s.id AS store_id
"""

# Which store is the graph bound to, at which epoch, and what is condemned in it? Index: store_key.
STATE: LiteralString = """
MATCH (s:Store {key: 'mgit'})
RETURN s.id AS store_id, s.epoch AS epoch, s.condemned AS condemned
"""

# Points the store at a condemned list, or at none, and raises the epoch; the store is locked. Index: store_key.
CONDEMN: LiteralString = """
MATCH (s:Store {key: 'mgit'})
SET s.condemned = $condemned, s.epoch = s.epoch + 1
RETURN s.epoch AS epoch, s.condemned AS condemned
"""

# Makes changes of edges take turns, so that two of them cannot close a cycle together. It is another node than
# the store's, which commits lock last. Index: lock_name.
LOCK_GRAPH: LiteralString = """
MERGE (l:Lock {name: 'edges'})
SET l.locked = true
RETURN l.name AS name
"""

# Makes two services that migrate at once take turns, and holds up commits while copies are condemned. Index: store_key.
LOCK_STORE: LiteralString = """
MATCH (s:Store {key: 'mgit'})
SET s.locked = true
RETURN s.id AS store_id
"""

# How far has the schema come? A handful of nodes, so by label.
MIGRATION_LEVEL: LiteralString = "MATCH (m:Migration) RETURN coalesce(max(m.number), 0) AS level"

# Records a migration. Index: migration_number.
RECORD_MIGRATION: LiteralString = """
MERGE (m:Migration {number: $number})
ON CREATE SET m.applied_at = datetime()
"""

# Which server answers?
SERVER: LiteralString = """
CALL dbms.components()
YIELD versions, edition
RETURN versions[0] AS version, edition
"""
