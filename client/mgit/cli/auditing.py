"""``cypher doctor``: questions to the graph as a whole."""

from __future__ import annotations

import csv
import enum
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import typer

from mgit.auditing import CypherRows, CypherValue, GraphCheck, GraphExamination
from mgit.cli.formatting import format_table
from mgit.cli.invocation import Form, Invocation, invocation_of
from mgit.settings import read_settings
from mgit_core.errors import ErrorReason, InvalidArgumentError

app = typer.Typer(rich_markup_mode=None)

_NOT_OK = 1
_WIDEST_CELL = 80
# More than a service takes, so that it is told as too long, and not so much that it fills the memory.
_MOST_CHARACTERS = 1 << 20


class CypherFormat(enum.StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@app.command()
def cypher(
    context: typer.Context,
    query: str = typer.Argument(
        metavar="QUERY", help="A statement that only reads; '-' reads it from standard input."
    ),
    *,
    param: list[str] = typer.Option(
        [], metavar="K=V", help="Value of $K, JSON or else text; may be repeated."
    ),
    format_: CypherFormat = typer.Option(CypherFormat.TABLE, "--format", help="How rows are printed."),
    limit: int | None = typer.Option(None, min=1, help="At most so many rows; default: 10,000."),
) -> None:
    """Ask the graph in Cypher, if MGIT_AUDIT is on.

    The statement can neither change the graph nor look beyond it, and has limits of time, rows and bytes. The
    token of MGIT_AUDIT_TOKEN is sent if there is one, else that of MGIT_TOKEN.

    Example: mgit cypher 'MATCH (m:Model {name: $name}) RETURN m.version' --param name=sst2
    """
    invocation = invocation_of(context)
    statement = sys.stdin.read(_MOST_CHARACTERS) if query == "-" else query
    parameters = _parse_parameters(param)
    with invocation.connect(read_settings().audit_token) as repository:
        found = repository.cypher(statement, parameters, limit=limit)
        _print(invocation, found, format_)
    if found.truncated_by:
        invocation.tell(f"There is more; the limit on {found.truncated_by} cut the answer.")


def _parse_parameters(texts: Iterable[str]) -> dict[str, CypherValue]:
    parameters: dict[str, CypherValue] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"A parameter is written K=V; found {text[:80]!r}."
            )
        if name in parameters:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"Parameter {name!r} is given twice; give it once."
            )
        try:
            parameters[name] = json.loads(value)
        except ValueError:
            parameters[name] = value
    return parameters


def _print(invocation: Invocation, found: CypherRows, form: CypherFormat) -> None:
    if invocation.form is Form.QUIET:
        for row in found:
            typer.echo(_cell(row[0]) if row else "")
    elif invocation.form is Form.JSON or form is CypherFormat.JSON:
        _print_json(found)
    elif form is CypherFormat.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(found.columns)
        writer.writerows([_text(value) for value in row] for row in found)
    else:
        rows = [[_cell(value) for value in row] for row in found]
        for line in format_table(found.columns, rows, _sides(found.columns, rows)) if found.columns else ():
            typer.echo(line)


def _print_json(found: CypherRows) -> None:
    """One document, written row by row as they come."""
    typer.echo(f'{{"columns": {_json(list(found.columns))},\n "rows": [', nl=False)
    before = "\n  "
    for row in found:
        typer.echo(f"{before}{_json(list(row))}", nl=False)
        before = ",\n  "
    typer.echo(f'],\n "truncated_by": {_json(found.truncated_by)}}}')


def _sides(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of numbers are aligned at the right."""
    return "".join(
        "r" if rows and all(_is_number(row[at]) for row in rows) else "l" for at in range(len(columns))
    )


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(value: CypherValue) -> str:
    """Text as it is, nothing for null, all else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def _cell(value: CypherValue) -> str:
    """One line of bounded width, in which nothing can move a terminal's cursor."""
    text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in _text(value))
    return text if len(text) <= _WIDEST_CELL else f"{text[: _WIDEST_CELL - 1]}…"


@app.command()
def doctor(
    context: typer.Context,
    *,
    limit: int = typer.Option(100, min=1, max=10_000, help="At most so many problems of each check."),
) -> None:
    """Look through the graph for what its database cannot forbid.

    Nodes without their properties, edges of a wrong kind, cycles, versions out of order, parameter sets and tags
    that lead nowhere. Nothing is changed. Exit code 1 if something is wrong.

    Example: mgit doctor
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.doctor(limit=limit)
    document = {
        "ok": found.ok,
        "problems": [asdict(problem) for problem in found.problems],
        "checks": [
            {
                "name": check.name,
                "description": check.description,
                "ok": not check.problems,
                "truncated": check.truncated,
            }
            for check in found.checks
        ],
    }
    invocation.answer(document, lambda: _doctor_lines(found), [problem.message for problem in found.problems])
    if not found.ok:
        raise typer.Exit(_NOT_OK)


def _doctor_lines(found: GraphExamination) -> Iterator[str]:
    width = max((len(check.name) for check in found.checks), default=0)
    for check in found.checks:
        yield from _check_lines(check, width)
    yield "The graph is in order." if found.ok else f"{len(found.problems):,} problems were found."


def _check_lines(check: GraphCheck, width: int) -> Iterator[str]:
    yield f"{'wrong' if check.problems else 'ok':<5}  {check.name.ljust(width)}  {check.description}"
    for problem in check.problems:
        yield f"         {problem.message}"
    if check.truncated:
        yield "         And more; --limit shows them."
