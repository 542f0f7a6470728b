"""``merge``: two models made one."""

from __future__ import annotations

import glob
import itertools
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from mgit.cli.formatting import format_bytes, format_moment, format_table
from mgit.cli.invocation import Invocation, invocation_of
from mgit_core.errors import ErrorReason, InvalidArgumentError

if TYPE_CHECKING:
    from mgit.merging import Merge, MergeConflict, PossibleConflict, StagedMerge
    from mgit.values import ModelSummary

app = typer.Typer(rich_markup_mode=None)

_NOT_OK = 1
_SHOWN = 20
_CHOICES = "fail|ours|theirs|average|task-arithmetic|ties"
_DEPENDENCES = {
    "same-layer": "other parameters of the same layer",
    "ours-feeds-theirs": "ours feeds theirs",
    "theirs-feeds-ours": "theirs feeds ours",
    "shared-layer": "both feed {through}",
    "not-known": "the data flow is not known",
}


@app.command()
def merge(
    context: typer.Context,
    ours: str = typer.Argument("", metavar="OURS", help="One side.", show_default=False),
    theirs: str = typer.Argument("", metavar="THEIRS", help="The other side.", show_default=False),
    *,
    name: str = typer.Option("", metavar="NAME", help="Name of the merged model.", show_default=False),
    base: str | None = typer.Option(
        None, metavar="REF", help="What both are compared with; default: their merge base."
    ),
    on_conflict: str = typer.Option(
        "fail", metavar=_CHOICES, help="What becomes of parameters that both sides changed differently."
    ),
    choose: list[str] = typer.Option(
        [], metavar="GLOB=CHOICE", help="The same for parameters and files whose names fit; the first counts."
    ),
    scale: float = typer.Option(
        1.0, metavar="X", help="How much of the changes task-arithmetic and ties add to the base."
    ),
    density: float = typer.Option(0.2, metavar="X", help="Share of each change that ties keeps."),
    accept: bool = typer.Option(False, "--accept", help="Take a possible conflict without tests."),
    keep: bool = typer.Option(False, "--keep", help="Keep a merge that was not accepted, staged as @UID."),
    jobs: int | None = typer.Option(None, metavar="N", help="Tests at a time; default: one for each core."),
    publish: str | None = typer.Option(None, metavar="@UID", help="Make a model of a merge that was kept."),
    discard: str | None = typer.Option(None, metavar="@UID", help="Remove a merge that was kept."),
    staged: bool = typer.Option(False, "--staged", help="List merges that wait for --publish or --discard."),
    limit: int = typer.Option(50, metavar="N", min=1, help="Most of them to list."),
) -> None:
    """Merge two models against their common ancestor.

    Changes that do not depend on each other make a model at once. Where one may spoil the other, the registered tests
    that apply run here and decide. What both changed differently is named, and nothing is made without a choice.

    Exit code 1 if there are conflicts, or the merge was not accepted.

    Example: mgit merge reviews alice-reviews --name reviews
    """
    invocation = invocation_of(context)
    if staged:
        _list_staged(invocation, limit)
        return
    if publish is not None or discard is not None:
        _decide(invocation, publish, discard)
        return
    if not (ours and theirs and name):
        raise typer.BadParameter(
            "two models and a name for the result are needed", param_hint="OURS, THEIRS, --name"
        )
    with invocation.connect() as repository:
        made = repository.merge(
            ours,
            theirs,
            name=name,
            base=base,
            on_conflict=on_conflict,
            choices=parse_choices(choose),
            scale=scale,
            density=density,
            accept=accept,
            keep=keep,
            jobs=jobs,
            progress=invocation.shows_progress or None,
        )
    again = ["mgit", "merge", ours, theirs, "--name", name, *(("--base", base) if base else ())]
    invocation.answer(
        document_of_merge(made),
        lambda: merge_lines(made, again),
        [] if made.model is None else [made.model.ref],
    )
    for each in made.notes:
        invocation.tell(each)
    if not made.is_made:
        raise typer.Exit(_NOT_OK)


def _list_staged(invocation: Invocation, limit: int) -> None:
    with invocation.connect() as repository:
        found = list(itertools.islice(repository.staged_merges(), limit + 1))
    is_truncated, found = len(found) > limit, found[:limit]
    if not found:
        invocation.tell("No merge waits to be decided.")
    if is_truncated:
        invocation.tell(f"There are more than these {limit}; --limit lists more.")
    document = {"staged": [_staged_document(each) for each in found], "truncated": is_truncated}
    invocation.answer(document, lambda: staged_lines(found), [each.ref for each in found])


def _staged_document(staged: StagedMerge) -> dict[str, object]:
    return {
        "uid": staged.uid,
        "name": staged.name,
        "base": staged.base,
        "ours": staged.ours,
        "theirs": staged.theirs,
        "created_at": staged.created_at.isoformat(timespec="milliseconds"),
    }


def staged_lines(found: Sequence[StagedMerge]) -> Iterator[str]:
    """Merges that wait, as a table for a person."""
    if found:
        rows = [
            (each.ref, each.name, each.ours, each.theirs, each.base, format_moment(each.created_at))
            for each in found
        ]
        yield from format_table(("MERGE", "NAME", "OURS", "THEIRS", "BASE", "STAGED"), rows, "llllll")


def _decide(invocation: Invocation, publish: str | None, discard: str | None) -> None:
    if publish is not None and discard is not None:
        raise typer.BadParameter("give one of them", param_hint="--publish, --discard")
    staged = publish if publish is not None else discard
    assert staged is not None  # noqa: S101 - one of them is given
    with invocation.connect() as repository:
        model = repository.decide_merge(staged, publish=publish is not None)
    ref = "" if model is None else model.ref
    outcome = "discarded" if model is None else "published"
    invocation.answer(
        {"ref": ref or None, "outcome": outcome, "conflicts": []},
        lambda: [f"{outcome}: {ref or staged}"],
        [ref] if ref else [],
    )


def parse_choices(texts: Sequence[str]) -> dict[str, str]:
    """The choices by pattern that ``GLOB=CHOICE`` texts write, in order.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    choices: dict[str, str] = {}
    for text in texts:
        pattern, equals, choice = text.rpartition("=")
        if not equals or not pattern or not choice:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"A choice is written GLOB=CHOICE; found {text[:80]!r}.",
                field="choose",
            )
        choices.setdefault(pattern, choice)
    return choices


def document_of_merge(merge: Merge) -> dict[str, object]:
    """A merge with all that was found."""
    return {
        "ref": merge.model.ref if merge.model is not None and merge.is_made else None,
        "outcome": merge.outcome.value,
        "staged": merge.model.uid if merge.model is not None and not merge.is_made else None,
        **{role: _ref(model) for role, model in _sides(merge)},
        "parameters": dict(merge.counts),
        "conflicts": [_conflict_document(conflict) for conflict in merge.conflicts],
        "possible_conflicts": [
            {"ours": each.ours, "theirs": each.theirs, "dependence": each.dependence, "through": each.through}
            for each in merge.possible
        ],
        "tests": [
            {"test": run.test.name, "outcome": run.outcome.value, "value": run.result.value}
            for run in merge.tests
        ],
        "notes": list(merge.notes),
        "stored_bytes": merge.stored_bytes,
    }


def _sides(merge: Merge) -> tuple[tuple[str, ModelSummary | None], ...]:
    return ("base", merge.base), ("ours", merge.ours), ("theirs", merge.theirs)


def _ref(model: ModelSummary | None) -> str | None:
    return None if model is None else model.ref


def _conflict_document(conflict: MergeConflict) -> dict[str, object]:
    return {
        "names": list(conflict.names),
        "layers": list(conflict.layers),
        "is_file": conflict.is_file,
        "ours": conflict.ours,
        "theirs": conflict.theirs,
        "why": conflict.why,
        "choices": list(conflict.choices),
        "choice": conflict.choice,
    }


def merge_lines(merge: Merge, again: Sequence[str]) -> Iterator[str]:
    """A merge for a person.

    Args:
        merge: The merge.
        again: The command that asked for it, without choices.
    """
    made = "" if merge.model is None else f": {merge.model.ref}"
    yield f"{merge.outcome}{made}"
    if merge.base is not None and merge.ours is not None and merge.theirs is not None:
        yield f"{merge.ours.ref} and {merge.theirs.ref}, against {merge.base.ref}"
    if merge.counts:
        counts = merge.counts
        yield (
            f"parameters: {counts['unchanged']} unchanged, {counts['ours']} changed by ours, {counts['theirs']} by "
            f"theirs, {counts['same']} alike, {counts['conflict']} differently ({counts['resolved']} resolved)"
        )
    if merge.stored_bytes:
        yield f"computed tensors took {format_bytes(merge.stored_bytes)} of the store"
    yield from _possible_lines(merge.possible)
    for run in merge.tests:
        yield f"test {run.test.name}: {run.outcome}"
    yield from _conflict_lines(merge, again)


def _possible_lines(possible: Sequence[PossibleConflict]) -> Iterator[str]:
    if possible:
        yield ""
        yield "Changes that may spoil each other:"
        rows = [
            (
                each.ours or "(model)",
                each.theirs or "(model)",
                _DEPENDENCES[each.dependence].format(through=each.through),
            )
            for each in possible[:_SHOWN]
        ]
        yield from format_table(("changed by ours", "changed by theirs", "why"), rows, "lll")
        yield from _more(len(possible))


def _conflict_lines(merge: Merge, again: Sequence[str]) -> Iterator[str]:
    unresolved = merge.unresolved
    if not unresolved:
        return
    yield ""
    yield "Conflicts:"
    rows = [(_title(each), each.why, " ".join(each.choices)) for each in unresolved[:_SHOWN]]
    yield from format_table(("changed by both", "what happened", "may be resolved by"), rows, "lll")
    yield from _more(len(unresolved))
    shared = [word for word in unresolved[0].choices if all(word in each.choices for each in unresolved)]
    yield ""
    yield "To resolve all of them in one way, or one by itself:"
    yield f"  {shlex.join(again)} --on-conflict {'|'.join(shared)}"
    yield f"  {shlex.join([*again, '--choose', f'{glob.escape(unresolved[0].names[0])}={shared[0]}'])}"


def _title(conflict: MergeConflict) -> str:
    first, *tied = conflict.names
    more = f" and {len(tied)} tied to it" if tied else ""
    return f"{'file ' if conflict.is_file else ''}{first}{more}"


def _more(count: int) -> Iterator[str]:
    if count > _SHOWN:
        yield f"and {count - _SHOWN} more; --output json lists all"
