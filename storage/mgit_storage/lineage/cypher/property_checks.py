"""Nodes and edges without the properties that they must have, or with values of another kind.

Each query goes once over the nodes of a label or the edges of some types and ends at ``$limit`` finds; there is no
index for what is not there. A row has the subjects, and the names of what is wrong.
"""

from __future__ import annotations

from typing import LiteralString, TypeAlias

from mgit_storage.lineage.cypher.models import TYPES

__all__ = ["CREATION_PROPERTIES", "EDGE_PROPERTIES", "MODEL_REF", "NODE_PROPERTIES"]

# The name of a property, and what must hold of it: true or false, never null.
Rules: TypeAlias = tuple[tuple[LiteralString, LiteralString], ...]

# Names a model that may lack any of its properties.
MODEL_REF: LiteralString = (
    "coalesce(toStringOrNull(m.name) + '@' + toStringOrNull(m.version), toStringOrNull(m.uid), elementId(m))"
)


def _texts(node: LiteralString, *names: LiteralString) -> Rules:
    return _kinds(node, "STRING", names)


def _times(node: LiteralString, *names: LiteralString) -> Rules:
    return _kinds(node, "ZONED DATETIME", names)


def _counts(node: LiteralString, *names: LiteralString) -> Rules:
    return _kinds(node, "INTEGER", names)


def _kinds(node: LiteralString, kind: LiteralString, names: tuple[LiteralString, ...]) -> Rules:
    # Without coalesce the planner takes the denial of a kind for a sign that the property is there, and looks in an
    # index, where nodes without it are not.
    return tuple(
        (name, "coalesce(" + node + "." + name + " IS :: " + kind + " NOT NULL, false)") for name in names
    )


def _breaking(pattern: LiteralString, subject: LiteralString, rules: Rules) -> LiteralString:
    """What matches a pattern and breaks a rule; what breaks none is passed over quickly."""
    whole = "\n  AND ".join([rule for _, rule in rules])
    wrong = ",\n  ".join(["CASE WHEN " + rule + " THEN null ELSE '" + name + "' END" for name, rule in rules])
    return (
        "MATCH " + pattern + "\nWHERE NOT (" + whole + ")\nRETURN [" + subject + "] AS subjects,\n"
        "  [each IN [" + wrong + "] WHERE each IS NOT NULL] AS found\nLIMIT $limit\n"
    )


# A layer graph is known by a digest and lies under a key; a model has both or neither, and a removed one neither.
_LAYER_GRAPH: Rules = (
    (
        "layer_graph",
        (
            "(m.layer_graph IS NULL OR coalesce(size(toStringOrNull(m.layer_graph)) = 64"
            " AND m.state <> 'removed', false))"
        ),
    ),
    (
        "layer_graph_key",
        "(m.layer_graph_key IS :: STRING AND (m.layer_graph_key IS NULL) = (m.layer_graph IS NULL))",
    ),
)

# Which nodes of a label have a property that is missing or of another kind? By label.
NODE_PROPERTIES: dict[str, LiteralString] = {
    "Model": _breaking(
        "(m:Model)",
        MODEL_REF,
        (
            *_texts("m", "uid", "name"),
            *_counts("m", "version"),
            *_times("m", "created_at"),
            ("state", "coalesce(m.state IN ['present', 'removed'], false)"),
            ("files", "m.files IS :: STRING"),
            ("files_bytes", "m.files_bytes IS :: INTEGER"),
            *_LAYER_GRAPH,
        ),
    ),
    "ModelName": _breaking(
        "(n:ModelName)",
        "coalesce(toStringOrNull(n.name_lower), elementId(n))",
        (
            *_texts("n", "name"),
            ("name_lower", "coalesce(n.name_lower = toLower(toStringOrNull(n.name)), false)"),
            *_counts("n", "last_version"),
        ),
    ),
    "ModelType": _breaking("(n:ModelType)", "elementId(n)", _texts("n", "name")),
    "ParameterSet": _breaking(
        "(p:ParameterSet)",
        "coalesce(toStringOrNull(p.digest), elementId(p))",
        (
            ("digest", "coalesce(size(toStringOrNull(p.digest)) = 64, false)"),
            *_texts("p", "manifest_key"),
            (
                "state",
                "coalesce(p.state = CASE WHEN p.promised_by IS NULL THEN 'present' ELSE 'promised' END, false)",
            ),
            *_counts("p", "size_bytes", "tensor_count"),
        ),
    ),
    "Tensor": _breaking(
        "(t:Tensor)",
        "coalesce(toStringOrNull(t.digest), elementId(t))",
        (
            ("digest", "coalesce(size(toStringOrNull(t.digest)) = 64, false)"),
            *_texts("t", "dtype"),
            *_kinds("t", "LIST<INTEGER NOT NULL>", ("shape",)),
            *_counts("t", "size_bytes"),
        ),
    ),
    "Dataset": _breaking(
        "(d:Dataset)", "coalesce(toStringOrNull(d.name), elementId(d))", _texts("d", "name", "version")
    ),
    "Tag": _breaking(
        "(g:Tag)",
        "coalesce(toStringOrNull(g.model_name) + '@' + toStringOrNull(g.name), elementId(g))",
        _texts("g", "model_name", "name"),
    ),
    "Test": _breaking(
        "(t:Test)",
        "coalesce(toStringOrNull(t.name), toStringOrNull(t.uid), elementId(t))",
        (
            *_texts("t", "uid", "name", "code", "metric"),
            ("scope", "coalesce(t.scope IN ['model', 'type', 'all'], false)"),
            ("kind", "coalesce(t.kind IN ['entry-point', 'command', 'builtin'], false)"),
            ("direction", "coalesce(t.direction IN ['higher', 'lower'], false)"),
            ("threshold", "t.threshold IS :: FLOAT"),
            *_kinds("t", "FLOAT", ("tolerance",)),
            *_times("t", "created_at", "updated_at"),
            *_kinds("t", "BOOLEAN", ("is_removed",)),
            # A deregistered test has given its name back.
            (
                "name_lower",
                "((t.name_lower IS NULL) = coalesce(t.is_removed IS :: BOOLEAN AND t.is_removed, false))",
            ),
        ),
    ),
    "TestResult": _breaking(
        "(r:TestResult)",
        "coalesce(toStringOrNull(r.uid), elementId(r))",
        (
            *_texts("r", "uid", "code_digest", "inputs_digest", "parameters_digest"),
            ("value", "r.value IS :: FLOAT"),
            *_kinds("r", "BOOLEAN", ("is_truth",)),
            *_times("r", "run_at"),
        ),
    ),
    "Bug": _breaking(
        "(b:Bug)",
        "coalesce(toStringOrNull(b.id), elementId(b))",
        (
            *_texts("b", "id", "title"),
            ("severity", "coalesce(b.severity IN ['low', 'medium', 'high', 'critical'], false)"),
            ("state", "coalesce(b.state IN ['open', 'closed'], false)"),
            *_kinds("b", "LIST<STRING NOT NULL>", ("carried_by",)),
            *_times("b", "created_at", "updated_at"),
        ),
    ),
    "StagedModel": _breaking(
        "(m:StagedModel)",
        "coalesce(toStringOrNull(m.uid), elementId(m))",
        (
            *_texts("m", "uid", "name"),
            ("version", "coalesce(m.version = 0, false)"),
            ("state", "coalesce(m.state = 'staged', false)"),
            *_times("m", "created_at"),
            *_kinds("m", "LIST<STRING NOT NULL>", ("dataset_names", "dataset_versions")),
            *_kinds("m", "BOOLEAN", ("is_previous_automatic",)),
            *_LAYER_GRAPH,
        ),
    ),
    "CreationFunction": _breaking(
        "(f:CreationFunction)",
        "coalesce(toStringOrNull(f.entry_point), elementId(f))",
        (
            *_texts("f", "key", "entry_point", "source"),
            ("digest", "coalesce(size(toStringOrNull(f.digest)) = 64, false)"),
        ),
    ),
    "Cascade": _breaking(
        "(c:Cascade)",
        "coalesce(toStringOrNull(c.id), elementId(c))",
        (
            *_texts("c", "id", "old", "new", "left_out", "blocked_by"),
            (
                "state",
                "coalesce(c.state IN ['running', 'built', 'blocked', 'failed', 'published', 'cancelled'], false)",
            ),
            ("is_open", "c.is_open IS :: BOOLEAN"),
            ("publish", "coalesce(c.publish IN ['together', 'each'], false)"),
            *_counts("c", "max_attempts", "step_count", "open_steps", "done_steps"),
            *_times("c", "created_at", "updated_at"),
        ),
    ),
    "CascadeStep": _breaking(
        "(s:CascadeStep)",
        "coalesce(toStringOrNull(s.cascade_id) + ' ' + toStringOrNull(s.number), elementId(s))",
        (
            *_texts("s", "cascade_id", "targets", "worker", "error"),
            (
                "state",
                "coalesce(s.state IN ['waiting', 'leased', 'staged', 'done', 'failed', 'blocked'], false)",
            ),
            *_counts("s", "number", "attempt", "failures", "waits_for"),
            *_kinds("s", "LIST<STRING NOT NULL>", ("target_uids", "failed_tests")),
        ),
    ),
    "Store": _breaking(
        "(s:Store)",
        "coalesce(toStringOrNull(s.key), elementId(s))",
        (("key", "coalesce(s.key = 'mgit', false)"), *_texts("s", "id"), *_counts("s", "epoch")),
    ),
}

# Which provenance edges have a property that is missing or of another kind? A confidence is from 0 to 1 and does not
# belong to declared edges.
EDGE_PROPERTIES: LiteralString = _breaking(
    "(m:Model)-[e:" + TYPES + "]->(q)",
    MODEL_REF,
    (
        ("position", "coalesce(e.position IS :: INTEGER AND e.position >= 0, false)"),
        ("origin", "coalesce(e.origin IN ['declared', 'inferred', 'imported'], false)"),
        *_times("e", "created_at"),
        ("weight", "e.weight IS :: FLOAT"),
        (
            "confidence",
            (
                "(e.confidence IS NULL OR coalesce(e.confidence IS :: FLOAT AND 0 <= e.confidence <= 1"
                " AND e.origin <> 'declared', false))"
            ),
        ),
    ),
)

# Which calls of creation functions have a property that is missing or of another kind? A group is of several models,
# each of which is one of its members.
CREATION_PROPERTIES: LiteralString = _breaking(
    "(m:Model|StagedModel)-[e:CREATED_BY]->(:CreationFunction)",
    MODEL_REF,
    (
        *_texts("e", "arguments", "environment"),
        ("seed", "e.seed IS :: INTEGER"),
        ("group", "e.group IS :: STRING"),
        ("member", "(e.member IS :: STRING AND (e.member IS NULL) = (e.group IS NULL))"),
    ),
)
