"""``browser``: the graph in the Neo4j Browser, with a style and saved queries."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import typer

from mgit.cli.formatting import format_fields
from mgit.cli.invocation import Invocation, invocation_of
from mgit.local.settings import read_stack_settings
from mgit.local.stack import LocalStack
from mgit.local.state import StackState
from mgit_core.errors import ErrorReason, NotFoundError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def browser(
    context: typer.Context,
    ref: str | None = typer.Argument(
        None, metavar="REF", help="A model whose lineage is asked for in the editor; none means no question."
    ),
    *,
    print_only: bool = typer.Option(False, "--print", help="Print the address, open nothing."),
    pack: Path | None = typer.Option(
        None, metavar="FOLDER", help="Write the style and the saved queries there, open nothing."
    ),
) -> None:
    """Open the lineage graph in the Neo4j Browser.

    Address and user are filled in; the password lies in a file that only its owner may read, and is never
    printed. Where there is no display the address is printed alone. --pack writes two files: dropped on the
    page, one after the other, they bring colors and captions, and the questions of the cookbook.

    Example: mgit browser topic-network@2
    """
    invocation = invocation_of(context)
    if pack is not None:
        _write_pack(invocation, pack)
        return
    stack = LocalStack(read_stack_settings())
    state = _running(stack)
    url = state.browser_url if ref is None else _asking_for(invocation, state.browser_url, ref)
    password_file = str(stack.layout.password_file)
    did_open = not print_only and _open(url)
    document = {
        "browser_url": url,
        "username": state.username,
        "password_file": password_file,
        "opened": did_open,
    }
    invocation.answer(document, lambda: [url], [url])
    invocation.tell(f"User {state.username}; the password is in {password_file}.")


def _running(stack: LocalStack) -> StackState:
    state = StackState.load(stack.layout)
    if state is None or not state.is_running():
        raise NotFoundError(
            ErrorReason.PATH_NOT_FOUND, f"No stack runs in {stack.layout.home}; start one with 'mgit up'."
        )
    if not state.is_managed:
        raise NotFoundError(
            ErrorReason.PATH_NOT_FOUND,
            f"The stack uses the Neo4j at {state.neo4j_uri}; its Browser is where that server serves it.",
        )
    return state


def _asking_for(invocation: Invocation, url: str, ref: str) -> str:
    from mgit.browser import lineage_query, link_with_query  # noqa: PLC0415 - without a model not needed

    with invocation.connect() as repository:
        model = repository.get(ref)
    return link_with_query(url, lineage_query(model.uid, model.ref))


def _write_pack(invocation: Invocation, folder: Path) -> None:
    from mgit.browser import write_pack  # noqa: PLC0415 - the page alone does without

    written = write_pack(folder)
    document = {"style": str(written.style), "queries": str(written.queries)}
    invocation.answer(document, lambda: format_fields(list(document.items())), document.values())
    invocation.tell("Open the Browser with 'mgit browser', and drop each of the files on its page.")


def _open(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
