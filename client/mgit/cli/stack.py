"""``up down status serve``: the local stack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version

import typer

from mgit.cli.formatting import format_fields
from mgit.cli.invocation import Invocation, invocation_of
from mgit.local.process import ProcessRecord
from mgit.local.service import ServiceHealth, ask_health, service_command
from mgit.local.settings import StackSettings, read_stack_settings
from mgit.local.stack import LocalStack, StackStatus
from mgit.local.state import HomeLayout, StackState
from mgit.settings import read_settings
from mgit_core.errors import ErrorReason, NotFoundError

app = typer.Typer(rich_markup_mode=None)

_CHECK_DID_NOT_HOLD = 1


def _stack() -> LocalStack:
    return LocalStack(read_stack_settings())


@app.command()
def up(context: typer.Context) -> None:
    """Start the local stack: Neo4j and the service.

    Safe to repeat: what runs is left alone. The first start fetches Neo4j with Maven, about 133 MB. Ports are
    the default ones where they are free, others where not; the home remembers them. With NEO4J_URI that Neo4j
    is used and none is started.

    Example: MGIT_HOME=/tmp/other mgit up
    """
    invocation = invocation_of(context)
    stack = _stack()
    state = stack.up(invocation.tell)
    health = ask_health(state.address)
    document = {
        "address": state.address,
        "neo4j_uri": state.neo4j_uri,
        "browser_url": state.browser_url,
        "healthy": health.is_serving,
        "home": str(stack.layout.home),
    }
    fields = [
        ("service", state.address),
        ("Neo4j", state.neo4j_uri),
        ("Browser", state.browser_url),
        ("password", f"in {stack.layout.password_file}" if state.is_managed else ""),
        ("home", str(stack.layout.home)),
    ]
    invocation.answer(document, lambda: format_fields(fields), [state.address])


@app.command()
def down(context: typer.Context) -> None:
    """Stop the local stack; all that is stored stays.

    The service ends first, then the managed Neo4j. A Neo4j that NEO4J_URI names is left alone.

    Example: mgit down
    """
    invocation = invocation_of(context)
    stack = _stack()
    did_run = stack.down()
    text = "The stack is stopped." if did_run else "No stack was running."
    invocation.answer({"stopped": did_run, "home": str(stack.layout.home)}, lambda: [text])


@app.command()
def status(context: typer.Context) -> None:
    """Say where the stack is and whether its parts answer.

    The exit code is 1 if a part does not answer, and 3 if no stack was ever started. With --address or
    MGIT_ADDRESS, that service is asked.

    Example: mgit status --output json
    """
    invocation = invocation_of(context)
    address = invocation.address or read_settings().address
    document = _remote_status(invocation, address) if address else _local_status(_stack())
    invocation.answer(document, lambda: _status_lines(document), [str(document["address"])])
    if not document["healthy"]:
        raise typer.Exit(_CHECK_DID_NOT_HOLD)


def _local_status(stack: LocalStack) -> dict[str, object]:
    found = stack.status()
    if found is None:
        raise _never_started(stack.layout)
    state, layout = found.state, stack.layout
    return {
        "address": state.address,
        "neo4j_uri": state.neo4j_uri,
        "browser_url": state.browser_url,
        "healthy": found.health.is_serving and (found.neo4j is not None or not state.is_managed),
        "problems": list(found.health.problems),
        "home": str(layout.home),
        "store": state.store,
        "logs": _logs(state, layout),
        "password_file": str(layout.password_file) if state.is_managed else None,
        "username": state.username,
        "versions": _versions(found.health),
        "pids": _pids(found),
    }


def _logs(state: StackState, layout: HomeLayout) -> dict[str, str | None]:
    return {
        "service": str(layout.service_log),
        "neo4j": str(layout.neo4j_log) if state.is_managed else None,
    }


def _versions(health: ServiceHealth) -> dict[str, str | None]:
    return {
        "client": version("mgit-lineage"),
        "service": health.service_version or None,
        "neo4j": health.neo4j_version or None,
    }


def _pids(found: StackStatus) -> dict[str, int | None]:
    def pid(process: ProcessRecord | None) -> int | None:
        return process.pid if process is not None and process.is_running() else None

    return {"service": pid(found.state.service), "neo4j": pid(found.neo4j)}


def _remote_status(invocation: Invocation, address: str) -> dict[str, object]:
    with invocation.connect() as repository:
        found = repository.status()
    health = ServiceHealth(
        is_serving=found.healthy,
        problems=found.problems,
        service_version=found.service_version,
        neo4j_version=found.neo4j_version,
    )
    return {
        "address": address,
        "neo4j_uri": None,
        "browser_url": None,
        "healthy": health.is_serving,
        "problems": list(health.problems),
        "home": None,
        "store": None,
        "logs": None,
        "password_file": None,
        "username": None,
        "versions": _versions(health),
        "pids": None,
    }


def _status_lines(document: dict[str, object]) -> Iterator[str]:
    versions, logs, pids = document["versions"], document["logs"], document["pids"]
    fields = [
        ("state", "healthy" if document["healthy"] else "NOT healthy"),
        *(("problem", str(problem)) for problem in _listed(document["problems"])),
        *((name, _text(document[name])) for name in ("address", "neo4j_uri", "browser_url", "home", "store")),
        ("password", f"in {document['password_file']}" if document["password_file"] else ""),
        *((f"log of {name}", _text(path)) for name, path in _pairs(logs)),
        *((f"version of {name}", _text(number)) for name, number in _pairs(versions)),
        *((f"process of {name}", _text(pid)) for name, pid in _pairs(pids)),
    ]
    yield from format_fields(fields)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _pairs(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, dict) else []


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _never_started(layout: HomeLayout) -> NotFoundError:
    return NotFoundError(
        ErrorReason.PATH_NOT_FOUND, f"No stack was ever started in {layout.home}; 'mgit up' starts one."
    )


@app.command()
def serve(
    listen: str | None = typer.Option(
        None, metavar="HOST:PORT", help="Where to listen; default: MGIT_LISTEN, else 127.0.0.1:50051."
    ),
) -> None:
    """Run the service alone, in the foreground.

    It uses the Neo4j that NEO4J_URI names, else the one that runs in the home. Beyond the loopback device it
    wants MGIT_TLS_CERT, MGIT_TLS_KEY and MGIT_TOKEN. An interrupt or SIGTERM ends it.

    Example: mgit serve --listen 127.0.0.1:50061
    """
    settings: StackSettings = read_stack_settings()
    environment = LocalStack(settings).serve_environment(listen)
    command = service_command()
    os.execve(command[0], command, environment)  # noqa: S606 - this process becomes the service
