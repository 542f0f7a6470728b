"""Questions and examinations as a program and a command line see them, over a server that answers by script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import grpc
import pytest
from google.protobuf import struct_pb2
from tests.integration.local.command_line import CommandLine

import mgit
from mgit.auditing import CypherValue
from mgit.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import audit_pb2, audit_pb2_grpc, maintenance_pb2, maintenance_pb2_grpc
from mgit_service.servicers.audit import write_value


@dataclass
class Script(audit_pb2_grpc.AuditServiceServicer, maintenance_pb2_grpc.MaintenanceServiceServicer):
    """Answers, and remembers what was asked and with which token."""

    columns: tuple[str, ...] = ("name", "number")
    rows: list[tuple[object, ...]] = field(default_factory=list)
    truncated_by: str = ""
    checks: list[maintenance_pb2.ExamineGraphResponse] = field(default_factory=list)
    questions: list[audit_pb2.QueryRequest] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    def Query(  # noqa: N802 - the name of the call
        self, request: audit_pb2.QueryRequest, context: grpc.ServicerContext
    ) -> Iterator[audit_pb2.QueryResponse]:
        self.questions.append(request)
        self.tokens += [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        yield audit_pb2.QueryResponse(columns=self.columns)
        for row in self.rows:
            values = [write_value(value) for value in row]  # type: ignore[arg-type]
            yield audit_pb2.QueryResponse(rows=[audit_pb2.QueryRow(values=values)])
        if self.truncated_by:
            yield audit_pb2.QueryResponse(truncated_by=self.truncated_by)

    def ExamineGraph(  # noqa: N802 - as above
        self,
        request: maintenance_pb2.ExamineGraphRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - of the base
    ) -> Iterator[maintenance_pb2.ExamineGraphResponse]:
        self.limits.append(request.max_problems)
        yield from self.checks


@pytest.fixture
def script() -> Script:
    return Script()  # pyright: ignore[reportAbstractUsage] - what it lacks answers UNIMPLEMENTED


@pytest.fixture
def address(script: Script) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    audit_pb2_grpc.add_AuditServiceServicer_to_server(script, server)
    maintenance_pb2_grpc.add_MaintenanceServiceServicer_to_server(script, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def repo(address: str) -> Iterator[mgit.Repository]:
    with mgit.connect(address, token="t") as opened:  # noqa: S106 - of the tests
        yield opened


@pytest.fixture
def command(address: str, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", {"MGIT_ADDRESS": address})


def check(name: str, *messages: str, truncated: bool = False) -> maintenance_pb2.ExamineGraphResponse:
    problems = [maintenance_pb2.GraphProblem(check=name, message=text, subjects=["m@1"]) for text in messages]
    return maintenance_pb2.ExamineGraphResponse(
        check=name, description=f"{name} hold.", problems=problems, truncated=truncated, done=1, total=2
    )


def test_rows_come_with_their_columns(repo: mgit.Repository, script: Script) -> None:
    script.rows = [("a", 1), ("b", 2.5)]
    found = repo.cypher("RETURN 1", limit=5)
    assert found.columns == ("name", "number")
    assert list(found) == [("a", 1), ("b", 2.5)]
    assert found.truncated_by == ""
    assert (script.questions[0].statement, script.questions[0].max_rows) == ("RETURN 1", 5)


def test_a_limit_that_cut_is_told_at_the_end(repo: mgit.Repository, script: Script) -> None:
    script.rows, script.truncated_by = [("a", 1)], "bytes"
    found = repo.cypher("RETURN 1")
    assert found.truncated_by == ""
    assert (len(list(found)), found.truncated_by) == (1, "bytes")


def test_parameters_travel_as_they_are(repo: mgit.Repository, script: Script) -> None:
    given: dict[str, CypherValue] = {"text": "é", "whole": 2**53, "part": 1.5, "no": None, "yes": True}
    given |= {"list": [1, [None], {}], "map": {"a": {"b": []}}, "empty": [], "nothing": {}}
    list(repo.cypher("RETURN $text", given))
    expected = {name: write_value(value) for name, value in given.items()}
    assert script.questions[0].parameters == struct_pb2.Struct(fields=expected)


@pytest.mark.parametrize("value", [b"x", {1, 2}, object(), 2**53 + 1, [b"x"], {"a": b"x"}])
def test_a_parameter_that_json_cannot_hold_is_refused(
    repo: mgit.Repository, script: Script, value: object
) -> None:
    with pytest.raises(InvalidArgumentError, match="Parameter odd") as caught:
        repo.cypher("RETURN $odd", {"odd": value})  # type: ignore[dict-item]
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
    assert script.questions == []


def test_a_long_statement_is_not_sent(repo: mgit.Repository, script: Script) -> None:
    with pytest.raises(InvalidArgumentError, match="65536") as caught:
        repo.cypher("x" * 1_000_000)
    assert caught.value.reason is ErrorReason.INVALID_STATEMENT
    assert script.questions == []


@pytest.mark.parametrize("limit", [0, -1, 2**31])
def test_a_limit_that_is_none_is_refused(repo: mgit.Repository, limit: int) -> None:
    with pytest.raises(InvalidArgumentError, match="limit"):
        repo.cypher("RETURN 1", limit=limit)


def test_a_graph_is_in_order_if_no_check_found_anything(repo: mgit.Repository, script: Script) -> None:
    script.checks = [check("cycles"), check("tags")]
    heard: list[tuple[str, int, int]] = []
    found = repo.doctor(limit=7, progress=lambda *step: heard.append(step))
    assert (found.ok, found.problems, [each.name for each in found.checks]) == (True, (), ["cycles", "tags"])
    assert (script.limits, heard) == ([7], [("cycles", 1, 2), ("tags", 1, 2)])


def test_problems_are_told_with_their_check(repo: mgit.Repository, script: Script) -> None:
    script.checks = [check("cycles", "one", "two", truncated=True), check("tags")]
    found = repo.doctor()
    assert not found.ok
    assert [(each.check, each.message, each.subjects) for each in found.problems] == [
        ("cycles", "one", ("m@1",)),
        ("cycles", "two", ("m@1",)),
    ]
    assert [each.truncated for each in found.checks] == [True, False]


def test_a_table_aligns_numbers_and_hides_what_moves_a_cursor(command: CommandLine, script: Script) -> None:
    script.rows = [("a\x1b[2Jb", 1), ("é\nx", 10), (None, 2), (["x" * 100], 3)]
    lines = command.run("cypher", "RETURN 1").lines
    assert [line.split()[0] for line in lines[:3]] == ["name", "a\\x1b[2Jb", "é\\nx"]
    assert lines[3].strip() == "2"
    assert lines[4].startswith('["xxx')
    assert "…" in lines[4]
    assert {len(line) for line in lines} == {len(lines[0])}


def test_csv_is_written_for_machines(command: CommandLine, script: Script) -> None:
    script.rows = [('a "b", c', 1), ("x\ny", None), ({"k": [1, True]}, 2.5)]
    ended = command.run("cypher", "RETURN 1", "--format", "csv")
    assert ended.out == 'name,number\n"a ""b"", c",1\n"x\ny",\n"{""k"": [1, true]}",2.5\n'


@pytest.mark.parametrize(
    "options", [("--format", "json"), ("--output", "json"), ("--output", "json", "--format", "csv")]
)
@pytest.mark.parametrize("rows", [[], [("a", 1)], [("é", None), ({"k": [1]}, 2.5)]])
def test_json_is_one_document(
    command: CommandLine, script: Script, options: tuple[str, ...], rows: list[tuple[object, ...]]
) -> None:
    script.rows, script.truncated_by = rows, "rows"
    document = json.loads(command.run("cypher", "RETURN 1", *options).out)
    assert document == {
        "columns": ["name", "number"],
        "rows": [list(row) for row in rows],
        "truncated_by": "rows",
    }


def test_a_cut_answer_is_said_beside_it(command: CommandLine, script: Script) -> None:
    script.rows, script.truncated_by = [("a", 1)], "rows"
    assert "limit on rows" in command.run("cypher", "RETURN 1").err
    assert command.quiet("cypher", "RETURN 1") == ["a"]


def test_parameters_are_json_or_text(command: CommandLine, script: Script) -> None:
    command.run(
        "cypher", "RETURN 1", "--param", "a=1", "--param", "b=x=y", "--param", 'c=["z"]', "--param", "d="
    )
    fields = script.questions[0].parameters.fields
    assert (fields["a"].number_value, fields["b"].string_value, fields["d"].string_value) == (1, "x=y", "")
    assert fields["c"].list_value.values[0].string_value == "z"
    assert command.run("cypher", "RETURN 1", "--param", "a").code == 2
    assert command.run("cypher", "RETURN 1", "--param", "a=1", "--param", "a=2").code == 2


def test_a_statement_may_come_from_standard_input(command: CommandLine, script: Script) -> None:
    with mock.patch("sys.stdin.read", return_value="RETURN 7"):
        assert command.run("cypher", "-").code == 0
    assert script.questions[0].statement == "RETURN 7"


def test_the_audit_token_is_sent_before_the_other(command: CommandLine, script: Script) -> None:
    both = {"MGIT_TOKEN": "t", "MGIT_AUDIT_TOKEN": "a"}
    command.run("cypher", "RETURN 1", **both)
    command.run("cypher", "RETURN 1", **{**both, "MGIT_AUDIT_TOKEN": ""})
    assert script.tokens == ["Bearer a", "Bearer t"]


def test_a_doctor_that_finds_nothing_is_done(command: CommandLine, script: Script) -> None:
    script.checks = [check("cycles"), check("tags")]
    ended = command.run("doctor")
    assert (ended.code, ended.lines[-1]) == (0, "The graph is in order.")
    assert ended.lines[0] == "ok     cycles  cycles hold."
    assert command.json("doctor")["problems"] == []


def test_a_doctor_that_finds_something_ends_with_1(command: CommandLine, script: Script) -> None:
    script.checks = [check("cycles", "They close.", truncated=True), check("tags")]
    ended = command.run("doctor", "--limit", "3")
    assert (ended.code, script.limits) == (1, [3])
    assert [line.strip() for line in ended.lines[1:3]] == ["They close.", "And more; --limit shows them."]
    document = command.run("doctor", "--output", "json").document
    assert (document["ok"], document["checks"][0]["ok"], document["checks"][1]["ok"]) == (False, False, True)
    assert document["problems"] == [{"check": "cycles", "message": "They close.", "subjects": ["m@1"]}]
    assert command.run("--output", "quiet", "doctor").lines == ["They close."]
