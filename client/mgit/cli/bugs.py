"""``bug report fix close ls show affected``: what is wrong with models, and who inherits it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from mgit.cli.arguments import parse_relations
from mgit.cli.bug_forms import (
    bug_fields,
    bug_lines,
    document_of_bug,
    document_of_reach,
    reach_lines,
)
from mgit.cli.invocation import invocation_of
from mgit_core.bugs import BugSeverity, BugState
from mgit_core.lineage import Relation

if TYPE_CHECKING:
    from mgit_core.bugs import Bug

app = typer.Typer(rich_markup_mode=None)
bugs = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

_ALL = "all"
_ID = typer.Argument(metavar="ID", help="Id of the bug, or how it begins.")


@bugs.callback()
def bug() -> None:
    """Report bugs, record fixes, and find who inherits them.

    A bug affects models, tensors or data sets. What was made from an affected model has it too, unless a fix lies
    between.

    Example: mgit bug affected 0192f3a1
    """


@bugs.command()
def report(
    context: typer.Context,
    *,
    title: str = typer.Option(..., metavar="T", help="One line."),
    affects: list[str] = typer.Option(
        ...,
        metavar="REF|tensor:DIGEST|dataset:NAME[@V]",
        help="What is wrong: a model, a tensor wherever it is held, or a data set; may be repeated.",
    ),
    carried_by: list[str] = typer.Option(
        [],
        metavar="RELATION",
        help=f"Relations that carry it to children; may be repeated. Default: all. {', '.join(Relation)}.",
    ),
    severity: str = typer.Option(
        BugSeverity.MEDIUM.value, metavar="|".join(BugSeverity), help="How bad it is."
    ),
    description: str = typer.Option(
        "", metavar="TEXT|-", help="What is wrong, how it was found; - reads it from standard input."
    ),
) -> None:
    """Report a bug; prints its id.

    A data set without a version means all its versions, those that come later too.

    Example: mgit bug report --title 'NaN in half precision' --affects t5-base@2 --severity high
    """
    invocation = invocation_of(context)
    text = sys.stdin.read() if description == "-" else description
    relations = parse_relations(carried_by)
    with invocation.connect() as repository:
        reported = repository.bugs.report(
            title, affects, description=text, severity=severity.lower(), carried_by=relations
        )
    invocation.answer(document_of_bug(reported), lambda: [reported.id], [reported.id])
    invocation.tell(f"'mgit bug affected {reported.id}' tells who inherits it.")


@bugs.command()
def fix(
    context: typer.Context,
    id_: str = _ID,
    ref: str = typer.Argument(metavar="REF", help="The model in which it is fixed."),
    *,
    force: bool = typer.Option(
        False, "--force", help="Record it also where the bug does not reach the model."
    ),
) -> None:
    """Record that a model, and what was made from it, does not have a bug any more.

    Example: mgit bug fix 0192f3a1 t5-base@3
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        model = repository.get(ref)
        fixed = repository.bugs.fix(id_, model, force=force)
    line = f"Bug {fixed.id} is fixed in {model.ref} and in what was made from it."
    invocation.answer(document_of_bug(fixed), lambda: [line], [model.ref])


@bugs.command()
def close(
    context: typer.Context,
    id_: str = _ID,
    *,
    reopen: bool = typer.Option(False, "--reopen", help="Open a closed bug again."),
) -> None:
    """Close a bug, or open it again.

    Who inherits a closed bug can still be asked.

    Example: mgit bug close 0192f3a1
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        changed = repository.bugs.reopen(id_) if reopen else repository.bugs.close(id_)
    line = f"Bug {changed.id} is {changed.state}."
    invocation.answer(document_of_bug(changed), lambda: [line], [changed.id])


@bugs.command()
def ls(
    context: typer.Context,
    *,
    state: str = typer.Option(
        BugState.OPEN.value, metavar="open|closed|all", help="Only bugs of this state."
    ),
    affects: str | None = typer.Option(
        None, metavar="REF", help="Only bugs that were reported on this model itself."
    ),
) -> None:
    """List bugs, newest first.

    Example: mgit bug ls --state all
    """
    invocation = invocation_of(context)
    wanted = None if state.lower() == _ALL else state.lower()
    with invocation.connect() as repository:
        found = list(repository.bugs.list(state=wanted, model=affects))
    if not found:
        invocation.tell("There are no such bugs; 'mgit bug report' records one.")
    document = {"bugs": [document_of_bug(each) for each in found], "truncated": False}
    invocation.answer(document, lambda: bug_lines(found), [each.id for each in found])


@bugs.command()
def show(context: typer.Context, id_: str = _ID) -> None:
    """Describe a bug: what it affects, what carries it, where it is fixed.

    Example: mgit bug show 0192f3a1
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.bugs.get(id_)
    invocation.answer(document_of_bug(found), lambda: _description(found), [found.id])


def _description(found: Bug) -> Iterator[str]:
    yield from bug_fields(found)
    if found.description:
        yield ""
        yield from found.description.splitlines()


@bugs.command()
def affected(
    context: typer.Context,
    id_: str = _ID,
    *,
    assume_fixed: list[str] = typer.Option(
        [], metavar="REF", help="Take this model as fixed, and tell what that would clear; may be repeated."
    ),
    declared_only: bool = typer.Option(
        False, "--declared-only", help="Leave out edges that were inferred from weights."
    ),
    limit: int | None = typer.Option(
        None, min=1, metavar="N", help="At most so many models, the nearest first."
    ),
) -> None:
    """List every model that has a bug, and why.

    A model is affected if the bug was reported on it, on a tensor that it holds or on a data set that it was trained
    on, or if it was made from an affected model; a fix ends it. Each comes with the way to where it has the bug
    from. Newer versions of affected models that no edge ties to the bug are listed apart: nobody knows.

    Example: mgit bug affected 0192f3a1 --assume-fixed t5-base@3
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.bugs.affected(
            id_, assumed_fixed=assume_fixed, declared_only=declared_only, limit=limit
        )
    invocation.answer(
        document_of_reach(found), lambda: reach_lines(found), [each.model.ref for each in found.models]
    )
    if found.truncated:
        invocation.tell(f"There are more; --limit {limit} cut the list.")
    elif not found.models:
        invocation.tell("The bug affects no model.")


app.add_typer(bugs, name="bug")
