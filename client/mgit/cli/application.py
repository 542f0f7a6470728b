"""The command ``mgit``: global options, commands imported on demand, errors as exit codes."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Sequence
from typing import Any

import typer
import typer.core

from mgit.cli.commands import COMMANDS, SECTIONS
from mgit.cli.failures import INTERRUPTED, describe_failure, exit_code_of
from mgit.cli.invocation import Form, Invocation
from mgit.cli.settings import may_color

__all__ = ["CommandTable", "app", "global_options_first", "main"]

_WITH_VALUE = ("--address", "--output")
_FLAGS = ("--yes", "--no-color")
EPILOG = "Global options, before or after the command: --address, --output, --yes, --no-color."


class CommandTable(typer.core.TyperGroup):
    """Commands by name, imported when they are called; global options are taken on either side of them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - given by Typer
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - given by Typer
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = typer.main.get_group(importlib.import_module(entry.module).app).commands[cmd_name]
        command.epilog = EPILOG
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, global_options_first(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # for "did you mean"
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - given by Typer
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(entry.name, entry.line) for entry in entries])


app = typer.Typer(
    cls=CommandTable,
    name="mgit",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    address: str | None = typer.Option(
        None,
        help="HOST:PORT of a service; default: MGIT_ADDRESS, else the stack of MGIT_HOME.",
        metavar="HOST:PORT",
    ),
    output: Form = typer.Option(
        Form.HUMAN, help="json: one document with stable keys; quiet: references alone.", show_default=True
    ),
    yes: bool = typer.Option(False, "--yes", help="Do not ask before removing."),
    no_color: bool = typer.Option(False, "--no-color", help="Never color the output."),
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Where machine-learning models come from, and their parameters, shared between relatives.

    Start with 'mgit up', then 'mgit add model.safetensors --name my-model'.
    """
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - slow, and for this option alone

        typer.echo(installed("mgit-lineage"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit
    context.obj = Invocation(
        address=address, form=output, assumes_yes=yes, may_color=may_color() and not no_color
    )


def global_options_first(arguments: Sequence[str]) -> list[str]:
    """``arguments`` with the global options moved before the command; after ``--`` nothing moves."""
    moved: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument == "--":
            rest.extend(arguments[position:])
            break
        width = 2 if argument in _WITH_VALUE else 1
        is_global = argument in _WITH_VALUE + _FLAGS or argument.startswith(
            tuple(f"{name}=" for name in _WITH_VALUE)
        )
        (moved if is_global else rest).extend(arguments[position : position + width])
        position += width
    return moved + rest


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(given))


def _run(arguments: list[str]) -> int:
    try:
        code = typer.main.get_group(app).main(arguments, prog_name="mgit", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost frame: every error becomes an exit code
        sys.stdout.flush()
        sys.stderr.write(describe_failure(error, as_json=_wants_json(arguments)))
        return exit_code_of(error)
    return code if isinstance(code, int) else 0


def _wants_json(arguments: Sequence[str]) -> bool:
    first = global_options_first(arguments)
    return "--output=json" in first or any(pair == ("--output", "json") for pair in itertools.pairwise(first))
