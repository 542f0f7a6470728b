"""Rules of the auditors' door, without a server: words, and plans as a server may give them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.audit_statements import documented

from mgit_core.errors import ErrorReason, PermissionDeniedError
from mgit_storage.lineage.audit_rules import FUNCTIONS, OPERATORS, PROCEDURES, check_plan, check_words


def step(operator: str, *children: dict[str, Any], details: str | None = None) -> dict[str, Any]:
    arguments = {} if details is None else {"Details": details}
    return {"operatorType": f"{operator}@neo4j", "args": arguments, "children": list(children)}


def refusal(query_type: str | None, plan: dict[str, Any] | None) -> str:
    with pytest.raises(PermissionDeniedError) as caught:
        check_plan(query_type, plan)
    assert caught.value.reason is ErrorReason.STATEMENT_REFUSED
    return caught.value.message


@pytest.mark.parametrize("statement", documented("Allowed statements"), ids=lambda statement: statement.says)
def test_the_words_of_a_documented_statement_are_let_through(statement: Any) -> None:
    check_words(statement.text)


@pytest.mark.parametrize(
    "statement",
    [
        *("MATCH (n {call: 1}) RETURN n.call", "MATCH (n:Call) RETURN n", "MATCH (n) RETURN $call"),
        *("WITH 1 AS use RETURN use", "MATCH (n {use: 1}) RETURN n.use", "MATCH (n:A|Call) RETURN n"),
        *("MATCH (n) WHERE n.load IS NULL RETURN n", "MATCH (n) RETURN n {.use, call: 1}"),
        *("CALL () { RETURN 1 AS one } RETURN one", "CALL { RETURN 1 AS one } RETURN one", "CALL db.labels"),
        *("MATCH (n) WHERE n.x IN (1) RETURN n", "RETURN Date.Truncate('day', date())", "RETURN 1.5 + (2)"),
    ],
)
def test_names_that_look_like_keywords_are_let_through(statement: str) -> None:
    check_words(statement)


@pytest.mark.parametrize(
    "statement",
    [
        *("", "// nothing", "'MATCH'", "`MATCH` (n) RETURN n", "MATCHING (n)", "(MATCH (n))"),
        *("MATCH (n) CALL dbms.info() YIELD id RETURN id", "RETURN a.b (1)", "RETURN a.b /* x */ (1)"),
        *("CALL db.labels.more()", "CALL labels()", "CALL DB.LABELS()"),
        *(
            "RETURN 1; RETURN 2",
            "MATCH (n) WHERE n.x < 1. CALL db.stats.retrieve('QUERIES') YIELD data RETURN data",
        ),
    ],
)
def test_what_is_on_no_list_is_refused(statement: str) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        check_words(statement)
    assert caught.value.reason is ErrorReason.STATEMENT_REFUSED


def test_a_plan_of_reads_is_let_through() -> None:
    labels = step("ProcedureCall", details="db.labels() :: (label :: STRING)")
    check_plan("r", step("ProduceResults", step("Apply", step("NodeByLabelScan"), labels)))
    check_plan(
        "r", step("ProduceResults", step("VarLengthExpand(Pruning,BFS,All)", step("NodeUniqueIndexSeek")))
    )
    check_plan("r", step("ProduceResults", step("PartitionedNodeByLabelScan")))


@pytest.mark.parametrize(
    "operator",
    ["LoadCSV", "ShowSettings", "TerminateTransactions", "TransactionApply", "Create", "SomethingNew"],
)
def test_a_step_on_no_list_is_refused_however_deep(operator: str) -> None:
    plan = step("ProduceResults", step("Apply", step("Argument"), step("Optional", step(operator))))
    assert operator in refusal("r", plan)


@pytest.mark.parametrize(
    "details", ["dbms.listConfig() :: (name :: STRING)", "", "db.labelsx() ::", "db.labels", None]
)
def test_a_procedure_on_no_list_is_refused(details: str | None) -> None:
    refusal("r", step("ProduceResults", step("ProcedureCall", details=details)))


def test_what_is_no_read_is_refused_whatever_its_plan() -> None:
    plan = step("ProduceResults", step("AllNodesScan"))
    assert "changes the graph" in refusal("w", plan)
    assert "changes the graph" in refusal("rw", plan)
    assert "administration" in refusal("s", plan)
    refusal(None, plan)
    refusal("r", None)


def test_no_list_lets_through_what_writes_or_reaches_out() -> None:
    bad = (
        "Create",
        "Merge",
        "Set",
        "Delete",
        "Remove",
        "Load",
        "Show",
        "Terminate",
        "Transaction",
        "Foreach",
        "Admin",
    )
    assert not {name for name in OPERATORS if name.startswith(bad)}
    assert all(name.startswith("db.") for name in PROCEDURES)
    assert all(name == name.lower() and "." in name for name in FUNCTIONS)
