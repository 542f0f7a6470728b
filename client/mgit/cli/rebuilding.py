"""``create rebuild``: models from creation functions, and the same again."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from mgit.cli.additions import answer_added
from mgit.cli.arguments import parse_dataset, parse_metadata, parse_parent
from mgit.cli.durations import parse_duration
from mgit.cli.formatting import format_seconds, format_table
from mgit.cli.invocation import Form, Invocation, invocation_of

if TYPE_CHECKING:
    from mgit.creating.rebuilds import Rebuild

app = typer.Typer(rich_markup_mode=None)

_NOT_SAME = 1
_MOST_ROWS = 20
_FUNCTION = typer.Argument(
    metavar="MODULE:FUNCTION", help="In the current folder or on Python's search path."
)
_TIMEOUT = typer.Option(
    None, metavar="D", help="Give the function up after this time, for example 2h; default: never."
)


@app.command()
def create(
    context: typer.Context,
    function: str = _FUNCTION,
    *,
    name: str = typer.Option(..., help="Name of the model; a new version is made if it exists."),
    parent: list[str] = typer.Option(
        [], metavar="REF[:RELATION[:WEIGHT]]", help="What it is made from, in order; may be repeated."
    ),
    arg: list[str] = typer.Option(
        [], metavar="K=V", help="Handed to the function; numbers, true and false are kept as such."
    ),
    seed: int | None = typer.Option(
        None, min=0, help="Handed to the function as seed; default: 0 if it takes one."
    ),
    previous: str | None = typer.Option(
        None, metavar="REF|none", help="What it is a newer version of; default: the latest of the name."
    ),
    type_: str | None = typer.Option(None, "--type", help="A label that groups models."),
    meta: list[str] = typer.Option([], metavar="K=V", help="Metadata; may be repeated."),
    dataset: list[str] = typer.Option([], metavar="NAME[@V]", help="A data set it is trained on."),
    no_files: bool = typer.Option(False, "--no-files", help="Take over no files of another model."),
    timeout: str | None = _TIMEOUT,
) -> None:
    """Make a model with a creation function and add it.

    The function gets its parents in their order, and by name its arguments and the seed; it gives arrays or tensors by
    name, or a module. It runs in a process of its own; what it prints goes to standard error. The call is recorded, so
    that the model can be made again. A model with the same parameters as the version before it or as a parent takes over
    files and layer graph of the first such one. Prints the reference of the new version.

    Example: mgit create recipes:finetune --name sst2 --parent minilm:finetuned --arg epochs=3 --seed 7
    """
    invocation = invocation_of(context)
    parents = [parse_parent(text) for text in parent]
    has_no_previous = previous == "none"
    with invocation.connect() as repository:
        model = repository.create(
            function,
            name=name,
            parents=parents,
            seed=seed,
            arguments=parse_metadata(arg),
            previous=None if has_no_previous else previous,
            no_previous=has_no_previous,
            metadata=parse_metadata(meta),
            type=type_,
            datasets=[parse_dataset(text) for text in dataset],
            no_files=no_files,
            timeout_s=None if timeout is None else parse_duration(timeout),
            hear=_listener(invocation),
            progress=invocation.shows_progress or None,
        )
    answer_added(invocation, model)


@app.command()
def rebuild(
    context: typer.Context,
    ref: str = typer.Argument(help="NAME, NAME@VERSION, NAME@TAG or @UID."),
    *,
    tolerance: float = typer.Option(
        0.0, min=0.0, help="Largest difference that is still the same, relative to a tensor's largest item."
    ),
    any_source: bool = typer.Option(
        False, "--any-source", help="Take the function as it is here, if it was changed since."
    ),
    timeout: str | None = _TIMEOUT,
) -> None:
    """Run the creation function of a model again, and compare.

    It gets the same parents, arguments and seed. Nothing is stored. Of models that one call made together all are made
    and compared. A merge is made again by the service and compared by digest. Exit code 1 if a tensor differs by more than the tolerance, or names, shapes or types are others.

    Example: mgit rebuild sst2@1 --tolerance 1e-6
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.rebuild(
            ref,
            tolerance=tolerance,
            any_source=any_source,
            timeout_s=None if timeout is None else parse_duration(timeout),
            hear=_listener(invocation),
        )
    invocation.answer(
        {**_document(found), "others": [_document(each) for each in found.others]},
        lambda: _lines(found),
        [found.outcome.value],
    )
    if not found.is_same:
        raise typer.Exit(_NOT_SAME)


def _listener(invocation: Invocation) -> Callable[[bytes], None] | None:
    """Passes on what a function prints, where a person reads."""
    if invocation.form is not Form.HUMAN:
        return None

    # A part may end within a character.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def pass_on(part: bytes) -> None:
        sys.stderr.write(decoder.decode(part))
        sys.stderr.flush()

    return pass_on


def _document(found: Rebuild) -> dict[str, object]:
    return {
        "ref": found.model.ref,
        "uid": found.model.uid,
        "outcome": found.outcome.value,
        "is_same": found.is_same,
        "tolerance": found.tolerance,
        "tensors": found.tensor_count,
        "differences": [
            {
                "name": each.name,
                # JSON has no infinity.
                "largest_absolute": _finite(each.largest_absolute),
                "largest_relative": _finite(each.largest_relative),
            }
            for each in found.differences
        ],
        "missing": list(found.missing),
        "unexpected": list(found.unexpected),
        "reshaped": [
            {"name": name, "recorded": then, "rebuilt": now} for name, (then, now) in found.reshaped.items()
        ],
        "seconds": found.seconds,
        "environment": [
            {"name": name, "recorded": then, "rebuilt": now}
            for name, (then, now) in found.environment.items()
        ],
    }


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None


def _lines(found: Rebuild) -> Iterator[str]:
    for each in (found, *found.others):
        yield from _lines_of_model(each)
    yield f"Making it again took {format_seconds(found.seconds)}."
    for name, (then, now) in found.environment.items():
        yield f"It ran with {name} {now or 'unknown'}; recorded was {then or 'unknown'}."


def _lines_of_model(found: Rebuild) -> Iterator[str]:
    yield f"{found.model.ref}: {_told(found)}"
    for names, what in ((found.missing, "missing"), (found.unexpected, "new")):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield f"  {what}: {', '.join(names[:3])}{more}"
    for name, (then, now) in list(found.reshaped.items())[:_MOST_ROWS]:
        yield f"  {name}: {now}; recorded was {then}"
    if found.differences:
        rows = [
            (each.name, f"{each.largest_absolute:.3g}", f"{each.largest_relative:.3g}")
            for each in found.differences[:_MOST_ROWS]
        ]
        yield from (f"  {line}" for line in format_table(("TENSOR", "LARGEST", "RELATIVE"), rows, "lrr"))
        if len(found.differences) > _MOST_ROWS:
            yield f"  and {len(found.differences) - _MOST_ROWS} more"


def _told(found: Rebuild) -> str:
    count = f"{len(found.differences)} of {found.tensor_count} tensors"
    return {
        "identical": f"identical, bit for bit, in {found.tensor_count} tensors",
        "within-tolerance": f"the same within {found.tolerance:g}; {count} differ in their bits",
        "different": f"different in {count}",
        "other-parameters": "other names, shapes or types of parameters",
    }[found.outcome.value]
