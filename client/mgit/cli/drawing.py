"""``graph``: pictures of the lineage."""

from __future__ import annotations

import enum
import json
from collections.abc import Collection
from pathlib import Path

import typer

from mgit.cli.documents import document_of_lineage
from mgit.cli.invocation import Form, invocation_of
from mgit.cli.walks import read_lineage, tell_if_cut
from mgit.values import Lineage
from mgit_core.errors import AlreadyExistsError, ErrorReason

app = typer.Typer(rich_markup_mode=None)


class PictureFormat(enum.StrEnum):
    """What a picture is written as."""

    MERMAID = "mermaid"
    DOT = "dot"
    HTML = "html"
    JSON = "json"


_MERMAID_EDGES = 500  # Beyond it Mermaid refuses unless its host raises the number.


@app.command()
def graph(
    context: typer.Context,
    refs: list[str] | None = typer.Argument(None, metavar="[REF]...", help="Models; none means all."),
    *,
    format_: PictureFormat | None = typer.Option(
        None, "--format", help="Default: by the ending of --to, else mermaid.", show_default=False
    ),
    to: Path | None = typer.Option(None, help="File to write; default: standard output."),
    force: bool = typer.Option(False, "--force", help="Replace the file if it exists."),
    limit: int = typer.Option(10_000, min=1, max=100_000, help="At most so many models."),
) -> None:
    """Draw the lineage around models.

    mermaid for Markdown, dot for Graphviz, html for one page that needs no network, json for programs. Failing
    tests and open bugs are marked; the page can color by them, and tells metadata, tags and data sets too.

    Example: mgit graph minilm --format html --to lineage.html
    """
    invocation = invocation_of(context)
    chosen = format_ or _format_of(to)
    if to is not None and to.exists() and not force:
        raise AlreadyExistsError(ErrorReason.PATH_EXISTS, f"{to} exists; --force replaces it.")
    lineage, asked = read_lineage(invocation, refs or [], limit, facts=True)
    text = _draw(chosen, lineage, asked, ", ".join(refs or []))
    if to is not None:
        to.write_text(text, encoding="utf-8")
    if invocation.form is Form.JSON:
        shown = {} if chosen is PictureFormat.JSON or to is not None else {"picture": text}
        where = {} if to is None else {"path": str(to)}
        invocation.answer({**document_of_lineage(lineage), "format": chosen.value, **where, **shown}, list)
    else:
        lines = [text.rstrip("\n")] if to is None else [str(to)]
        invocation.answer({}, lambda: lines, lines)
    tell_if_cut(invocation, lineage)
    if chosen is PictureFormat.MERMAID and len(lineage.edges) + len(lineage.revisions) > _MERMAID_EDGES:
        invocation.tell(
            f"Mermaid draws {_MERMAID_EDGES} edges at most by default; --format html has no limit."
        )


def _format_of(to: Path | None) -> PictureFormat:
    endings = {
        ".html": PictureFormat.HTML,
        ".dot": PictureFormat.DOT,
        ".gv": PictureFormat.DOT,
        ".json": PictureFormat.JSON,
    }
    return PictureFormat.MERMAID if to is None else endings.get(to.suffix.lower(), PictureFormat.MERMAID)


def _draw(chosen: PictureFormat, lineage: Lineage, asked: Collection[str], names: str) -> str:
    from mgit.pictures import draw_dot, draw_html, draw_mermaid  # noqa: PLC0415 - help does without

    if chosen is PictureFormat.HTML:
        return draw_html(lineage, title=f"Lineage of {names}" if names else "Lineage", marked=asked)
    if chosen is PictureFormat.DOT:
        return draw_dot(lineage)
    if chosen is PictureFormat.MERMAID:
        return draw_mermaid(lineage)
    return json.dumps(document_of_lineage(lineage), indent=2, ensure_ascii=False) + "\n"
