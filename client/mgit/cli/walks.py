"""``ancestors descendants lineage merge-base``: questions over the lineage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import typer

from mgit.cli.arguments import parse_relations
from mgit.cli.documents import document_of_lineage, document_of_summary
from mgit.cli.formatting import format_moment, format_table
from mgit.cli.invocation import Invocation, invocation_of
from mgit.values import Lineage, ModelState, Relative
from mgit_core.lineage import Direction, Relation

app = typer.Typer(rich_markup_mode=None)

_REF = typer.Argument(metavar="REF", help="NAME, NAME@VERSION, NAME@TAG or @UID.")
_RELATION = typer.Option(
    [], metavar="RELATION", help=f"Follow only such edges; may be repeated. {', '.join(Relation)}."
)
_DEPTH = typer.Option(None, min=1, help="At most so many hops away.")
_LIMIT = typer.Option(None, min=1, help="At most so many models, the nearest first.")


@app.command()
def ancestors(
    context: typer.Context,
    ref: str = _REF,
    *,
    relation: list[str] = _RELATION,
    depth: int | None = _DEPTH,
    limit: int | None = _LIMIT,
) -> None:
    """List what a model was made from, over any number of hops.

    The nearest come first, each once. Removed models are listed too.

    Example: mgit ancestors sst2 --relation finetuned --depth 2
    """
    _walk(context, ref, Direction.ANCESTORS, relation, depth, limit)


@app.command()
def descendants(
    context: typer.Context,
    ref: str = _REF,
    *,
    relation: list[str] = _RELATION,
    depth: int | None = _DEPTH,
    limit: int | None = _LIMIT,
) -> None:
    """List what was made from a model, over any number of hops.

    The nearest come first, each once. Removed models are listed too.

    Example: mgit descendants minilm@1 --limit 20
    """
    _walk(context, ref, Direction.DESCENDANTS, relation, depth, limit)


def _walk(  # noqa: PLR0917 - the options of both commands
    context: typer.Context,
    ref: str,
    direction: Direction,
    relation: list[str],
    depth: int | None,
    limit: int | None,
) -> None:
    invocation = invocation_of(context)
    relations = parse_relations(relation)
    with invocation.connect() as repository:
        ask = repository.ancestors if direction is Direction.ANCESTORS else repository.descendants
        relatives = ask(ref, relations=relations, depth=depth, limit=limit)
        found = list(relatives)
    is_cut = bool(relatives.truncated)
    document = {
        "models": [{**document_of_summary(each.model), "hops": each.hops} for each in found],
        "truncated": is_cut,
    }
    invocation.answer(document, lambda: _rows(found), [each.model.ref for each in found])
    if is_cut:
        invocation.tell(f"There are more; --limit {limit} cut the list.")
    elif not found:
        invocation.tell(f"{ref} has no {direction.value}.")


def _rows(found: Iterable[Relative]) -> Iterator[str]:
    rows = [
        (
            str(each.hops),
            each.model.ref if each.model.state is ModelState.PRESENT else f"{each.model.ref} (removed)",
            format_moment(each.model.created_at),
        )
        for each in found
    ]
    return format_table(("HOPS", "MODEL", "ADDED"), rows, "rll") if rows else iter(())


@app.command()
def lineage(
    context: typer.Context,
    refs: list[str] | None = typer.Argument(None, metavar="[REF]...", help="Models; none means all."),
    *,
    limit: int = typer.Option(10_000, min=1, max=100_000, help="At most so many models."),
) -> None:
    """Show the lineage around models as a tree.

    It holds the models, all their ancestors and descendants, and every edge among them. A model hangs below
    what it was made from; one with several parents is drawn out below the first and named below the others.
    With several models shown, those that were asked for have a star.

    Example: mgit lineage sst2@1
    """
    invocation = invocation_of(context)
    found, asked = read_lineage(invocation, refs or [], limit)
    document = document_of_lineage(found)
    invocation.answer(
        document, lambda: _tree(invocation, found, asked), [model.ref for model in found.models]
    )
    tell_if_cut(invocation, found)


def read_lineage(
    invocation: Invocation, refs: list[str], limit: int, *, facts: bool = False
) -> tuple[Lineage, frozenset[str]]:
    """The lineage around models, with facts if they are wanted, and the uids of the models that were named."""
    with invocation.connect() as repository:
        models = [repository.get(ref) for ref in refs]
        lineage = repository.lineage(models, max_models=limit, facts=facts)
        return lineage, frozenset(model.uid for model in models)


def tell_if_cut(invocation: Invocation, lineage: Lineage) -> None:
    """Say on standard error that the answer is not whole."""
    if lineage.truncated:
        invocation.tell(f"There are more models; the limit of {len(lineage.models)} cut the answer.")


def _tree(invocation: Invocation, lineage: Lineage, asked: frozenset[str]) -> Iterator[str]:
    from mgit.pictures import draw_tree  # noqa: PLC0415 - other forms do without

    return draw_tree(lineage, marked=asked, paint=invocation.paint)


@app.command("merge-base")
def merge_base(
    context: typer.Context,
    ours: str = typer.Argument(metavar="OURS", help="A model."),
    theirs: str = typer.Argument(metavar="THEIRS", help="Another model."),
) -> None:
    """Find where the lineages of two models meet.

    Lists the common ancestors, the models themselves included, that are no ancestor of another common one.
    There may be none, or several.

    Example: mgit merge-base sst2 docstrings
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        models = repository.merge_bases(ours, theirs)
    document = {"models": [document_of_summary(model) for model in models]}
    refs = [model.ref for model in models]
    invocation.answer(document, lambda: refs, refs)
    if not refs:
        invocation.tell(f"{ours} and {theirs} have no common ancestor.")
