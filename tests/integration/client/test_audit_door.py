"""The auditors' door, as the documentation says: what is refused, what is answered, and its limits."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import neo4j
import numpy as np
import pytest
from tests.audit_statements import Statement, documented, queries_of
from tests.integration.local.command_line import CommandLine
from tests.neo4j_server import TestServer, empty_graph
from tests.running_service import RunningService, run_service, wait_until

import mgit
from mgit.auditing import CypherValue
from mgit.errors import ErrorReason, MGitError
from mgit_proto.v1 import audit_pb2, audit_pb2_grpc

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

TOKEN = "a-token-of-the-tests"  # noqa: S105 - and of nothing else
AUDIT_TOKEN = "another-token-of-the-tests"  # noqa: S105 - as above
DOCUMENTED_ADDRESS = "127.0.0.1:8080"
REFUSED = documented("Refused statements")
ALLOWED = documented("Allowed statements")
# Values for every name that the documented queries use.
PARAMETERS: dict[str, CypherValue] = {
    **dict.fromkeys(
        ("name", "base", "dataset", "license", "tag", "digest", "id", "bug", "test", "type"), "base"
    ),
    **dict.fromkeys(("version", "from", "to", "days", "limit"), 1),
}


@dataclass
class Web:
    """A web server that remembers what it was asked for."""

    address: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    found = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a line\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def audited(neo4j_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with an open door and both tokens, over a family of three."""
    empty_graph(neo4j_server)
    store = tmp_path_factory.mktemp("audited") / "store"
    settings = {
        "MGIT_AUDIT": "on",
        "MGIT_TOKEN": TOKEN,
        "MGIT_AUDIT_TOKEN": AUDIT_TOKEN,
        "MGIT_AUDIT_SECONDS": "20",
    }
    with run_service(neo4j_server, store, **settings) as service:
        with mgit.connect(service.address, token=TOKEN) as repo:
            weights = np.arange(64, dtype=np.float32)
            base = repo.add("base", {"w": weights}, metadata={"license": "mit"})
            child = repo.add("child", {"w": weights + 1}, parents=[mgit.finetuned(base)])
            repo.add("child", {"w": weights + 2}, parents=[mgit.finetuned(base), mgit.derived(child)])
            repo.tag("base", "prod")
        yield service
    empty_graph(neo4j_server)


@pytest.fixture
def auditor(audited: RunningService) -> Iterator[mgit.Repository]:
    with mgit.connect(audited.address, token=AUDIT_TOKEN) as repo:
        yield repo


@pytest.fixture(scope="module")
def unchanged(neo4j_server: TestServer, audited: RunningService, web: Web) -> Iterator[None]:  # noqa: ARG001 - starts it
    """Graph, schema and users are the same when all tests are over, and nothing was fetched."""
    before = fingerprint(neo4j_server)
    yield
    assert fingerprint(neo4j_server) == before
    assert web.asked == []


def fingerprint(server: TestServer) -> str:
    """A digest of all that a statement might change."""
    questions = (
        "MATCH (n) RETURN elementId(n) AS id, labels(n) AS kind, properties(n) AS properties ORDER BY id",
        "MATCH (a)-[e]->(b) RETURN elementId(e) AS id, type(e) AS kind, properties(e) AS properties ORDER BY id",
        "SHOW INDEXES YIELD name, type, properties RETURN * ORDER BY name",
        "SHOW CONSTRAINTS YIELD name, type, properties RETURN * ORDER BY name",
        "CALL db.labels() YIELD label RETURN label ORDER BY label",
        "SHOW USERS YIELD user RETURN user ORDER BY user",
    )
    with neo4j.GraphDatabase.driver(server.uri, auth=(server.username, server.password)) as driver:
        found = [[record.data() for record in driver.execute_query(text).records] for text in questions]
    return hashlib.sha256(json.dumps(found, default=str).encode()).hexdigest()


def ask(repo: mgit.Repository, statement: str, **parameters: CypherValue) -> list[tuple[CypherValue, ...]]:
    return list(repo.cypher(statement, parameters))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("statement", REFUSED, ids=lambda statement: statement.text[:60])
def test_a_documented_statement_is_refused(auditor: mgit.Repository, web: Web, statement: Statement) -> None:
    with pytest.raises(MGitError) as caught:
        ask(auditor, statement.text.replace(DOCUMENTED_ADDRESS, web.address))
    assert caught.value.reason is ErrorReason.STATEMENT_REFUSED, caught.value.message
    assert statement.says in caught.value.message
    assert web.asked == []


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("statement", ALLOWED, ids=lambda statement: statement.says)
def test_a_documented_statement_is_answered(auditor: mgit.Repository, statement: Statement) -> None:
    found = auditor.cypher(statement.text)
    assert list(found) is not None
    assert not found.truncated_by


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "query", [*queries_of("graph.md"), *queries_of("cookbook.md")], ids=lambda query: query[:60]
)
def test_every_query_of_the_other_pages_is_answered(auditor: mgit.Repository, query: str) -> None:
    names = set(re.findall(r"\$(\w+)", query))
    ask(auditor, query, **{name: PARAMETERS[name] for name in names})


def test_refusals_are_proven_on_a_server_that_would_obey(
    web: Web, neo4j_server: TestServer, audited: RunningService
) -> None:
    """Without the door the hidden LOAD CSV is planned as a read and fetched: the trap is sharp."""
    assert audited.address
    hidden = next(
        each.text for each in REFUSED if each.text.startswith("RETURN [x IN [1] | COLLECT { LOAD CSV")
    )
    statement = hidden.replace(DOCUMENTED_ADDRESS, web.address)
    with (
        neo4j.GraphDatabase.driver(
            neo4j_server.uri, auth=(neo4j_server.username, neo4j_server.password)
        ) as driver,
        driver.session(default_access_mode=neo4j.READ_ACCESS) as session,
    ):
        planned = session.run(f"EXPLAIN {statement}").consume()  # type: ignore[arg-type]
        assert planned.query_type == "r"
        assert "LoadCSV" not in json.dumps(planned.plan, default=str)
        assert session.run(statement).value() == [[["a line"]]]  # type: ignore[arg-type]
    assert web.asked == ["/models.csv"]
    web.asked.clear()


def test_values_come_in_forms_that_json_has(auditor: mgit.Repository) -> None:
    [row] = ask(
        auditor,
        "MATCH p = (c:Model {name: 'child', version: 1})-[e]->(q:Model) RETURN p, date('2026-01-02'), duration('P1D'), "
        "point({x: 1, y: 2}), 9007199254740993, 0.0 / 0.0, 1.5, {a: [null, true]}, $given",
        given=[1, 2.5, "x", None, {"k": True}],
    )
    child, edge, base = row[0]  # type: ignore[misc]
    assert (child["_labels"], child["name"], base["name"]) == (["Model"], "child", "base")  # type: ignore[index]
    assert (edge["_type"], edge["origin"]) == ("FINETUNED_FROM", "declared")  # type: ignore[index]
    assert "T" in base["created_at"]  # type: ignore[index]
    assert list(row[1:]) == [
        *("2026-01-02", "P1D", {"_srid": 7203, "x": 1, "y": 2}, "9007199254740993", "NaN", 1.5),
        *({"a": [None, True]}, [1, 2.5, "x", None, {"k": True}]),
    ]


def test_whole_parameters_are_integers(auditor: mgit.Repository) -> None:
    assert ask(auditor, "UNWIND range(1, 9) AS x RETURN x LIMIT $n", n=2) == [(1,), (2,)]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("MATCH (m:Model) RETRN m", "(line 1, column 17)"),
        ("MATCH (m:Model)\nRETURN nope(m)", "Unknown function 'nope' (line 2, column 8)"),
        ("MATCH (m:Model {name: $missing}) RETURN m", "missing"),
        ("RETURN 1 / 0", "/ by zero"),
        ("RETURN 'x", "does not close"),
        ("MATCH (m) RETURN m /* x", "comment"),
        ("CALL db.index.vector.queryNodes('none', 1, [1.0])", "none"),
    ],
)
def test_what_is_wrong_with_a_statement_is_said(auditor: mgit.Repository, statement: str, says: str) -> None:
    with pytest.raises(MGitError) as caught:
        ask(auditor, statement)
    assert caught.value.reason is ErrorReason.INVALID_STATEMENT
    assert says in caught.value.message


def test_the_audit_token_opens_the_door_and_nothing_else(
    audited: RunningService, auditor: mgit.Repository
) -> None:
    assert ask(auditor, "RETURN 1") == [(1,)]
    for call in (auditor.status, auditor.doctor, lambda: auditor.get("base"), lambda: list(auditor.models())):
        with pytest.raises(MGitError, match="nothing else") as caught:
            call()
        assert caught.value.reason is ErrorReason.NOT_PERMITTED
    log = audited.log.read_text(encoding="utf-8")
    assert AUDIT_TOKEN not in log
    assert TOKEN not in log


@pytest.mark.parametrize(
    ("token", "reason"), [(None, ErrorReason.TOKEN_MISSING), ("wrong", ErrorReason.TOKEN_WRONG)]
)
def test_without_a_token_nothing_is_answered(
    audited: RunningService, token: str | None, reason: ErrorReason
) -> None:
    with mgit.connect(audited.address, token=token) as repo, pytest.raises(MGitError) as caught:
        ask(repo, "RETURN 1")
    assert caught.value.reason is reason


def test_who_may_do_everything_may_ask(audited: RunningService) -> None:
    with mgit.connect(audited.address, token=TOKEN) as repo:
        assert ask(repo, "RETURN 1") == [(1,)]


def test_a_megabyte_of_text_is_refused_early(audited: RunningService, auditor: mgit.Repository) -> None:
    statement = f"RETURN {'1 + ' * 300_000}1"
    with pytest.raises(MGitError, match="65536") as caught:
        ask(auditor, statement)
    assert caught.value.reason is ErrorReason.INVALID_STATEMENT
    with audited.channel() as channel:  # As a client that does not look first.
        call = audit_pb2_grpc.AuditServiceStub(channel).Query(
            audit_pb2.QueryRequest(statement=statement),
            metadata=(("authorization", f"Bearer {AUDIT_TOKEN}"),),
            timeout=10,
        )
        with pytest.raises(grpc.RpcError) as refused:
            list(call)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    with pytest.raises(MGitError, match="parameters") as caught:
        ask(auditor, "RETURN $x", x="x" * 70_000)
    assert caught.value.reason is ErrorReason.INVALID_STATEMENT


def test_rows_have_a_limit_that_is_said(auditor: mgit.Repository) -> None:
    found = auditor.cypher("UNWIND range(1, 1000000000) AS x RETURN x", limit=250)
    assert [row[0] for row in found] == list(range(1, 251))
    assert found.truncated_by == "rows"
    whole = auditor.cypher("UNWIND range(1, 250) AS x RETURN x", limit=250)
    assert len(list(whole)) == 250
    assert not whole.truncated_by


def test_a_row_that_is_too_large_is_said(auditor: mgit.Repository) -> None:
    with pytest.raises(MGitError, match="a row has at most") as caught:
        ask(auditor, "RETURN range(1, 100000)")
    assert caught.value.reason is ErrorReason.LIMIT_EXCEEDED


def test_a_value_that_nests_too_deep_is_said(auditor: mgit.Repository) -> None:
    for depth in (60, 3000):
        with pytest.raises(MGitError):
            ask(auditor, "RETURN reduce(found = [1], x IN range(1, $depth) | [found])", depth=depth)
    assert ask(auditor, "RETURN 1") == [(1,)]


def test_a_column_may_be_asked_for_before_the_rows(auditor: mgit.Repository) -> None:
    found = auditor.cypher("MATCH (m:Nothing) RETURN m.name AS name, m.version AS version")
    assert found.columns == ("name", "version")
    assert list(found) == []


def running_questions(server: TestServer) -> int:
    text = (
        "SHOW TRANSACTIONS YIELD metaData WHERE metaData.mgit_audit IS NOT NULL RETURN count(*) AS questions"
    )
    with neo4j.GraphDatabase.driver(server.uri, auth=(server.username, server.password)) as driver:
        return int(driver.execute_query(text).records[0]["questions"])


def test_leaving_an_answer_ends_the_question_at_the_server(
    auditor: mgit.Repository, neo4j_server: TestServer
) -> None:
    rows = iter(auditor.cypher("UNWIND range(1, 1000000000) AS x RETURN x", limit=100_000))
    assert next(rows) == (1,)
    assert running_questions(neo4j_server) == 1
    auditor.close()
    wait_until(lambda: running_questions(neo4j_server) == 0, "the question ended")


def test_a_command_prints_tables_csv_and_json(audited: RunningService, tmp_path: Path) -> None:
    command = CommandLine(
        tmp_path / "home", {"MGIT_ADDRESS": audited.address, "MGIT_AUDIT_TOKEN": AUDIT_TOKEN}
    )
    query = "MATCH (m:Model) WHERE m.version >= $least RETURN m.name AS name, m.version AS version ORDER BY name, version"
    table = command.run("cypher", query, "--param", "least=2")
    assert table.lines == ["name   version", "child        2"]
    written = command.run("cypher", query, "--param", "least=1", "--format", "csv")
    assert written.lines == ["name,version", "base,1", "child,1", "child,2"]
    for options in (("--format", "json"), ("--output", "json")):
        document = json.loads(command.run("cypher", query, "--param", "least=2", *options).out)
        assert document == {"columns": ["name", "version"], "rows": [["child", 2]], "truncated_by": ""}
