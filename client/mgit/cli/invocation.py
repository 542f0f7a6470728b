"""What a command gets besides its own options, and how it answers."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mgit.repository import Repository

__all__ = ["Form", "Invocation", "invocation_of", "note"]


class Form(enum.StrEnum):
    """How results are printed."""

    HUMAN = "human"
    JSON = "json"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """The global options.

    Attributes:
        address: ``HOST:PORT``; None means ``MGIT_ADDRESS`` or the stack of the home.
        form: How results are printed.
        assumes_yes: Whether nobody is asked.
        may_color: False after ``--no-color``.
    """

    address: str | None
    form: Form
    assumes_yes: bool
    may_color: bool

    @property
    def uses_color(self) -> bool:
        """Whether results are colored: on a terminal only."""
        return self.may_color and self.form is Form.HUMAN and sys.stdout.isatty()

    @property
    def shows_progress(self) -> bool:
        """Whether long work draws a bar: on a terminal only."""
        return self.form is Form.HUMAN and sys.stderr.isatty()

    def connect(self, token: str | None = None) -> Repository:
        """A repository, to be closed by the caller.

        Args:
            token: Sent instead of that of ``MGIT_TOKEN``, if given.

        Raises:
            UnavailableError: SERVICE_UNAVAILABLE, if no address is known or nobody answers.
        """
        import mgit  # noqa: PLC0415 - help and the local stack do without

        return mgit.connect(self.address, token=token)

    def answer(
        self,
        document: Mapping[str, object],
        human: Callable[[], Iterable[str]],
        quiet: Iterable[str] = (),
    ) -> None:
        """Print a result on standard output.

        Args:
            document: With ``--output json``: the whole answer; its keys are documented.
            human: Gives the lines for a person.
            quiet: With ``--output quiet``: references or values alone, one a line.
        """
        if self.form is Form.JSON:
            typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
            return
        for line in human() if self.form is Form.HUMAN else quiet:
            typer.echo(line)

    def paint(self, text: str, color: str) -> str:
        """``text`` in a color, ``#rrggbb``, where results are colored."""
        if not self.uses_color:
            return text
        red, green, blue = bytes.fromhex(color.removeprefix("#"))
        return typer.style(text, fg=(red, green, blue))

    def confirm(self, question: str) -> None:
        """Ask before something is lost, if a person can answer.

        Raises:
            typer.Abort: The answer was no.
        """
        if not self.assumes_yes and sys.stdin.isatty() and sys.stderr.isatty():
            typer.confirm(question, abort=True, err=True)

    def tell(self, text: str) -> None:
        """Say on standard error what happens, unless only results are wanted."""
        if self.form is Form.HUMAN:
            note(text)


def invocation_of(context: typer.Context) -> Invocation:
    """The global options of a running command."""
    invocation = context.obj
    assert isinstance(invocation, Invocation)  # noqa: S101 - set before any command runs
    return invocation


def note(text: str) -> None:
    """Say something on standard error."""
    typer.echo(text, err=True)
