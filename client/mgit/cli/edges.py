"""``link unlink``: edges after the fact."""

from __future__ import annotations

import typer

from mgit.cli.documents import document_of_parent
from mgit.cli.invocation import invocation_of
from mgit.values import Parent
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Relation, parse_relation

app = typer.Typer(rich_markup_mode=None)

_REVISION = "revision"
_CHILD = typer.Argument(metavar="CHILD", help="The newer model.")
_PARENT = typer.Argument(metavar="PARENT", help="The older model.")
_RELATIONS = f"{', '.join(Relation)}; or {_REVISION}, the version edge."


@app.command()
def link(
    context: typer.Context,
    child: str = _CHILD,
    parent: str = _PARENT,
    *,
    relation: str = typer.Option(Relation.DERIVED.value, metavar="RELATION", help=_RELATIONS),
    weight: float | None = typer.Option(None, help="Share of the parent in a merge or average."),
) -> None:
    """Add an edge from a child to a parent.

    An edge that would close a cycle is refused, as is one that is there already.

    Example: mgit link sst2@1 minilm@1 --relation finetuned
    """
    invocation = invocation_of(context)
    if relation.lower() == _REVISION:
        if weight is not None:
            raise InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, "A version edge has no weight.")
        _link_revision(context, child, parent)
        return
    wanted = Parent(parent, parse_relation(relation), weight)
    with invocation.connect() as repository:
        newer, older = repository.get(child), repository.get(parent)
        edge = repository.link(newer, Parent(older, wanted.relation, weight))
    document = {"child": newer.ref, **document_of_parent(edge), "parent": older.ref}
    line = f"{newer.ref} is {edge.relation.value} from {older.ref}."
    invocation.answer(document, lambda: [line], [older.ref])


def _link_revision(context: typer.Context, child: str, parent: str) -> None:
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        newer, older = repository.get(child), repository.get(parent)
        repository.link_revision(newer, older)
    document = {"child": newer.ref, "parent": older.ref, "relation": _REVISION}
    invocation.answer(document, lambda: [f"{newer.ref} is a newer version of {older.ref}."], [older.ref])


@app.command()
def unlink(
    context: typer.Context,
    child: str = _CHILD,
    parent: str = _PARENT,
    *,
    relation: str | None = typer.Option(
        None, metavar="RELATION", help=f"{_RELATIONS} Default: every provenance edge between the two."
    ),
) -> None:
    """Delete edges between a child and a parent.

    Example: mgit unlink sst2@1 minilm@1 --relation derived
    """
    invocation = invocation_of(context)
    is_revision = relation is not None and relation.lower() == _REVISION
    chosen = None if relation is None or is_revision else parse_relation(relation)
    with invocation.connect() as repository:
        newer, older = repository.get(child), repository.get(parent)
        if is_revision:
            repository.unlink_revision(newer, older)
            relations = [_REVISION]
        else:
            relations = [edge.relation.value for edge in repository.unlink(newer, older, chosen)]
    document = {"child": newer.ref, "parent": older.ref, "relations": relations}
    lines = [f"Deleted {each} edge from {newer.ref} to {older.ref}." for each in relations]
    invocation.answer(document, lambda: lines, relations)
