"""``walk``: the models of a lineage, each once, in an order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import typer

from mgit.cli.arguments import parse_relations
from mgit.cli.documents import document_of_summary
from mgit.cli.formatting import format_moment, format_table
from mgit.cli.invocation import invocation_of
from mgit.values import ModelState
from mgit.walking import WalkedModel
from mgit_core.lineage import Relation
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder, parse_choice

app = typer.Typer(rich_markup_mode=None)

_REFS = typer.Argument(None, metavar="[REF]...", help="Models to start from; none means all of the graph.")
_ORDER = typer.Option(WalkOrder.BREADTH_FIRST.value, metavar="ORDER", help=f"{', '.join(WalkOrder)}.")
_DIRECTION = typer.Option(
    WalkDirection.DESCENDANTS.value, metavar="DIRECTION", help=f"{', '.join(WalkDirection)}."
)
_EDGES = typer.Option(WalkEdges.PROVENANCE.value, metavar="EDGES", help=f"{', '.join(WalkEdges)}.")
_RELATION = typer.Option(
    [], metavar="RELATION", help=f"Follow only such edges; may be repeated. {', '.join(Relation)}."
)
_SKIP = typer.Option(
    [], metavar="REF", help="Leave this model out; the walk goes on behind it. May be repeated."
)
_STOP = typer.Option([], metavar="REF", help="Leave this model out and do not go past it. May be repeated.")


@app.command()
def walk(
    context: typer.Context,
    refs: list[str] | None = _REFS,
    *,
    order: str = _ORDER,
    direction: str = _DIRECTION,
    edges: str = _EDGES,
    relation: list[str] = _RELATION,
    depth: int | None = typer.Option(None, min=1, help="At most so many hops from the nearest start."),
    skip: list[str] = _SKIP,
    stop: list[str] = _STOP,
    limit: int | None = typer.Option(None, min=1, help="At most so many models."),
) -> None:
    """List the models of a lineage, each once, in an order.

    The starts are listed too. What comes next to each other is sorted by age. With --edges version the walk goes
    along the versions of a model, forward as descendants and back as ancestors.

    Example: mgit walk minilm@1 --order parents-first --stop sst2@1
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        walked = repository.walk(
            refs or [],
            order=parse_choice(WalkOrder, "order", order),
            direction=parse_choice(WalkDirection, "direction", direction),
            edges=parse_choice(WalkEdges, "edges", edges),
            relations=parse_relations(relation),
            depth=depth,
            skip=skip,
            stop=stop,
            limit=limit,
        )
        found = list(walked)
    is_cut = bool(walked.truncated)
    document = {
        "models": [{**document_of_summary(each.summary), "hops": each.hops} for each in found],
        "truncated": is_cut,
    }
    invocation.answer(document, lambda: _rows(found), [each.ref for each in found])
    if is_cut:
        invocation.tell(f"There are more; --limit {limit} cut the walk.")
    elif not found:
        invocation.tell("The walk comes to no model.")


def _rows(found: Iterable[WalkedModel]) -> Iterator[str]:
    rows = [
        (
            str(each.hops),
            each.ref if each.state is ModelState.PRESENT else f"{each.ref} (removed)",
            format_moment(each.created_at),
        )
        for each in found
    ]
    return format_table(("HOPS", "MODEL", "ADDED"), rows, "rll") if rows else iter(())
