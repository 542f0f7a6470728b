"""What auditors may ask: rules on the words of a statement, and on the plan that the server made of it.

Both are needed. The plan says for sure whether a statement writes, and it shows what a name stands for. But it does
not show what lies within expressions: ``[x IN [1] | COLLECT { LOAD CSV FROM … }]`` plans as a mere projection, of
query type ``r``. The words show that. All lists say what is let through; what a later server adds is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mgit_storage.lineage.audit_words import Word, WordKind, cut_words, refused

__all__ = ["FUNCTIONS", "OPENINGS", "OPERATORS", "PROCEDURES", "check_plan", "check_words"]

OPENINGS = ("MATCH", "OPTIONAL", "WITH", "UNWIND", "RETURN", "CALL")

# They tell names that the graph uses, and what is near in a vector index. Others that the server counts as reads
# tell settings, connections or the questions of others, wait, or make it plan all anew.
PROCEDURES = frozenset(
    {
        "db.index.vector.queryNodes",
        "db.labels",
        "db.propertyKeys",
        "db.relationshipTypes",
        "db.schema.nodeTypeProperties",
        "db.schema.relTypeProperties",
        "db.schema.visualization",
    }
)

# Functions without a namespace are the server's own, all of them harmless; those with one may be anybody's.
FUNCTIONS = frozenset(
    {
        *(f"{kind}.{what}" for kind in ("date", "time", "datetime") for what in ("statement", "truncate")),
        *(f"{kind}.{what}" for kind in ("date", "time", "datetime") for what in ("realtime", "transaction")),
        *(f"localtime.{what}" for what in ("realtime", "statement", "transaction", "truncate")),
        *(f"localdatetime.{what}" for what in ("realtime", "statement", "transaction", "truncate")),
        *("datetime.fromepoch", "datetime.fromepochmillis"),
        *(f"duration.{what}" for what in ("between", "indays", "inmonths", "inseconds")),
        *("point.distance", "point.withinbbox"),
        *("vector.similarity.cosine", "vector.similarity.euclidean"),
    }
)

# Steps that read, without what stands in brackets behind them. ``ProcedureCall`` is looked at more closely.
OPERATORS = frozenset(
    {
        *("AllNodesScan", "NodeByLabelScan", "IntersectionNodeByLabelsScan", "UnionNodeByLabelsScan"),
        *("SubtractionNodeByLabelsScan", "NodeByElementIdSeek", "NodeByIdSeek"),
        *("NodeIndexSeek", "NodeIndexSeekByRange", "NodeUniqueIndexSeek", "NodeUniqueIndexSeekByRange"),
        *("NodeIndexScan", "NodeIndexContainsScan", "NodeIndexEndsWithScan", "MultiNodeIndexSeek"),
        *(
            f"{ends}Relationship{what}"
            for ends in ("Directed", "Undirected")
            for what in (
                *("TypeScan", "ByElementIdSeek", "ByIdSeek", "IndexSeek", "IndexSeekByRange", "IndexScan"),
                *("UniqueIndexSeek", "UniqueIndexSeekByRange", "IndexContainsScan", "IndexEndsWithScan"),
            )
        ),
        *("DirectedAllRelationshipsScan", "UndirectedAllRelationshipsScan"),
        *("DirectedUnionRelationshipTypesScan", "UndirectedUnionRelationshipTypesScan"),
        *("NodeCountFromCountStore", "RelationshipCountFromCountStore"),
        *("Expand", "OptionalExpand", "VarLengthExpand", "BFSPruningVarLengthExpand", "ProjectEndpoints"),
        *("Repeat", "BidirectionalRepeat", "PathPropagatingBFS", "RepeatOptions"),
        *("ShortestPath", "StatefulShortestPath", "AllShortestPaths"),
        *("Apply", "SemiApply", "AntiSemiApply", "LetSemiApply", "LetAntiSemiApply", "SelectOrSemiApply"),
        *("SelectOrAntiSemiApply", "LetSelectOrSemiApply", "LetSelectOrAntiSemiApply", "RollUpApply"),
        *("ConditionalApply", "AntiConditionalApply", "TriadicSelection", "TriadicBuild", "TriadicFilter"),
        *("Argument", "ArgumentTracker", "Optional", "CacheProperties", "RemoteBatchProperties"),
        *("CartesianProduct", "NodeHashJoin", "NodeLeftOuterHashJoin", "NodeRightOuterHashJoin"),
        *("ValueHashJoin", "AssertSameNode", "AssertSameRelationship"),
        *("Filter", "Projection", "Unwind", "Distinct", "OrderedDistinct", "Limit", "ExhaustiveLimit"),
        *("Skip", "Sort", "PartialSort", "Top", "PartialTop", "Union", "OrderedUnion", "PreserveOrder"),
        *("EagerAggregation", "OrderedAggregation", "Eager", "EmptyResult", "EmptyRow", "NonFuseable"),
        *("ProduceResults", "ProcedureCall"),
    }
)

_PROCEDURE = re.compile(r"(?P<name>[A-Za-z_][\w.]*)\(")
# Behind these stands the name of a property, a label, a type or a parameter, whatever it reads like.
_BEFORE_NAMES = frozenset(".:$|&!")
_KINDS = {
    "w": "it changes the graph",
    "rw": "it changes the graph",
    "s": "it is administration, not a question to the graph",
}


def check_words(statement: str) -> None:
    """Look at what is written.

    Raises:
        PermissionDeniedError: STATEMENT_REFUSED.
        InvalidArgumentError: INVALID_STATEMENT.
    """
    words = cut_words(statement)
    if not words or not words[0].reads(*OPENINGS):
        found = words[0].text[:40] if words else ""
        raise refused(f"a question begins with one of {', '.join(OPENINGS)}, and this one with {found!r}")
    if any(word.text == ";" and word.kind is WordKind.SIGN for word in words[:-1]):
        raise refused("it is several statements; ask them one by one")
    for at in range(len(words)):
        _check_word(words, at)


def _check_word(words: Sequence[Word], at: int) -> None:
    word = words[at]
    before = words[at - 1] if at else None
    after = words[at + 1] if at + 1 < len(words) else None
    if not word.is_name or after is None:
        return
    if word.reads("LOAD") and after.reads("CSV"):
        raise refused("LOAD CSV reads files and other servers")
    if word.reads("USE") and after.is_name and _opens_a_query(before):
        raise refused("USE names another graph")
    if not _is_named(words, at):
        _check_call(words, at)


def _check_call(words: Sequence[Word], at: int) -> None:
    """Look at a procedure or a function that may be called at this place."""
    name, behind = _whole_name(words, at)
    if at and words[at - 1].reads("CALL") and not _is_named(words, at - 1):
        if name not in PROCEDURES:
            raise refused(_not_a_procedure(name))
    elif "." in name and behind == "(" and name.lower() not in FUNCTIONS:
        raise refused(f"the function {name[:80]} is none of those that auditors may call")


def _opens_a_query(before: Word | None) -> bool:
    return before is None or before.text == "{" or before.reads("UNION", "ALL", "DISTINCT")


def _is_named(words: Sequence[Word], at: int) -> bool:
    """Whether the word at this place is the name of a property, a label, a type or a parameter.

    A point behind digits is the end of a number.
    """
    before = words[at - 1] if at else None
    if before is None or before.kind is not WordKind.SIGN or before.text not in _BEFORE_NAMES:
        return False
    return not (before.text == "." and at > 1 and words[at - 2].text[:1].isdigit())


def _whole_name(words: Sequence[Word], at: int) -> tuple[str, str]:
    """A name with all that its dots join to it, and the text of the word behind it."""
    name, at = words[at].text, at + 1
    while at + 1 < len(words) and words[at] == Word(WordKind.SIGN, ".") and words[at + 1].is_name:
        name, at = f"{name}.{words[at + 1].text}", at + 2
    return name, words[at].text if at < len(words) and words[at].kind is WordKind.SIGN else ""


def check_plan(query_type: str | None, plan: Mapping[str, Any] | None) -> None:
    """Look at what the server would do.

    Args:
        query_type: ``r``, ``w``, ``rw`` or ``s``, as the server says.
        plan: Its plan, a step with ``children``.

    Raises:
        PermissionDeniedError: STATEMENT_REFUSED.
    """
    for step in () if plan is None else _steps(plan):
        operator = str(step["operatorType"]).partition("@")[0]
        base = operator.partition("(")[0].removeprefix("Partitioned")
        if base == "ProcedureCall":
            _check_procedure(step)
        elif base not in OPERATORS and query_type == "r":
            raise refused(
                f"its plan has the step {operator}, which is none of those that only read the graph"
            )
    if query_type != "r" or plan is None:
        raise refused(_KINDS.get(query_type or "", "the server does not say that it only reads"))


def _check_procedure(step: Mapping[str, Any]) -> None:
    details = str(step.get("args", {}).get("Details", ""))
    called = _PROCEDURE.match(details)
    if called is None or called["name"] not in PROCEDURES:
        raise refused(_not_a_procedure(details.partition("(")[0] if called is None else called["name"]))


def _not_a_procedure(name: str) -> str:
    return f"the procedure {name[:80]} is none of those that auditors may call"


def _steps(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    left = [plan]
    while left:
        step = left.pop()
        yield step
        left += step.get("children", [])
