"""``diff``: what differs between two models."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mgit.cli.invocation import Form, Invocation, invocation_of
from mgit_core.errors import AlreadyExistsError, ErrorReason, InvalidArgumentError

if TYPE_CHECKING:
    from mgit.diffing.values import DiffState, ModelDiff

app = typer.Typer(rich_markup_mode=None)

_COLORS = {"added": "#2f9e44", "removed": "#e03131", "changed": "#d9730d"}


class DiffFormat(enum.StrEnum):
    """What a diff is written as for a person."""

    TEXT = "text"
    HTML = "html"


@app.command()
def diff(
    context: typer.Context,
    before: str = typer.Argument(metavar="BEFORE", help="The model that is compared from."),
    after: str = typer.Argument(metavar="AFTER", help="The model that is compared to."),
    *,
    structural: bool = typer.Option(False, "--structural", help="Tell of layers and data flow only."),
    contextual: bool = typer.Option(False, "--contextual", help="Tell of parameters only."),
    no_values: bool = typer.Option(
        False, "--no-values", help="Do not read parameters: digests alone tell which differ, not by how much."
    ),
    limit: int = typer.Option(20, min=1, help="At most so many lines of each table."),
    format_: DiffFormat | None = typer.Option(
        None, "--format", help="Default: html if --to ends so, else text.", show_default=False
    ),
    to: Path | None = typer.Option(None, help="File to write; default: standard output."),
    force: bool = typer.Option(False, "--force", help="Replace the file if it exists."),
) -> None:
    """Tell what differs between two models.

    Layers that were added, removed or changed in kind or shape, with the data flow between them, as few as can be;
    and each parameter that differs, with how much. The exit code is 0 whether or not anything differs.

    Example: mgit diff minilm sst2 --limit 5
    """
    invocation = invocation_of(context)
    if structural and contextual:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            "--structural and --contextual each leave the other part out; without both, all is told.",
        )
    chosen = format_ or (DiffFormat.HTML if to is not None and to.suffix == ".html" else DiffFormat.TEXT)
    if to is not None and to.exists() and not force:
        raise AlreadyExistsError(ErrorReason.PATH_EXISTS, f"{to} exists; --force replaces it.")
    with invocation.connect() as repository:
        found = repository.diff(
            before,
            after,
            with_values=not (no_values or structural),
            with_equal=chosen is DiffFormat.HTML,
            progress=invocation.shows_progress or None,
        )
    answer = _Answer(invocation, found, structural=not contextual, contextual=not structural)
    answer.give(chosen, limit, to)


class _Answer:
    """A diff, and the parts of it that are told."""

    def __init__(
        self, invocation: Invocation, found: ModelDiff, *, structural: bool, contextual: bool
    ) -> None:
        self._invocation = invocation
        self._diff = found
        self._structural, self._contextual = structural, contextual

    def give(self, chosen: DiffFormat, limit: int, to: Path | None) -> None:
        """Print it, or write it to a file."""
        from mgit.cli.diff_documents import document_of_diff, is_equal  # noqa: PLC0415 - help does without

        parts = {"structural": self._structural, "contextual": self._contextual}
        document = document_of_diff(self._diff, **parts)
        word = "equal" if is_equal(self._diff, **parts) else "different"
        if to is None and self._invocation.form is not Form.HUMAN:
            self._invocation.answer(document, list, [word])
            return
        lines = list(self._lines(chosen, limit))
        if to is None:
            self._invocation.answer({}, lambda: lines)
            return
        to.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._invocation.answer({**document, "path": str(to)}, lambda: [str(to)], [str(to)])

    def _lines(self, chosen: DiffFormat, limit: int) -> Iterator[str]:
        if chosen is DiffFormat.HTML:
            from mgit.pictures.diff_page import draw_diff  # noqa: PLC0415 - other forms do without

            yield draw_diff(self._diff)
            return
        from mgit.cli.diff_forms import heading_lines, parameter_lines, structure_lines  # noqa: PLC0415 - as above

        yield from heading_lines(self._diff, structural=self._structural, contextual=self._contextual)
        if not self._diff:
            yield "Nothing differs."
        if self._structural:
            yield from structure_lines(self._diff.structural, limit, self._paint)
        if self._contextual:
            yield from parameter_lines(self._diff.contextual, limit, self._paint)
        if self._structural and self._diff.structural.note:
            self._invocation.tell(self._diff.structural.note)

    def _paint(self, text: str, state: DiffState) -> str:
        color = _COLORS.get(state.value)
        return text if color is None else self._invocation.paint(text, color)
