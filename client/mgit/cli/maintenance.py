"""``gc repack fsck``: work that keeps a store in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from mgit.cli.durations import parse_duration
from mgit.cli.formatting import format_bytes
from mgit.cli.invocation import invocation_of
from mgit.maintenance import Collection, Repacking, StoreCheck, StoreProblem

app = typer.Typer(rich_markup_mode=None)

_NOT_OK = 1


@app.command()
def gc(
    context: typer.Context,
    *,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only tell what would go."),
    grace: str = typer.Option(
        "24h", metavar="D", help="What is younger stays, for example 90s, 30m, 24h, 7d."
    ),
    delete_everything: bool = typer.Option(
        False, "--delete-everything", help="Go on although the graph has no model and the store has content."
    ),
) -> None:
    """Delete what no model needs.

    The service serves meanwhile. If it is interrupted, the next gc finishes what this one began. With
    --delete-everything you are asked first on a terminal, unless --yes is given.

    Example: mgit gc --grace 1h
    """
    invocation = invocation_of(context)
    seconds = parse_duration(grace)
    if delete_everything and not dry_run:
        invocation.confirm("Delete everything that is stored, if the graph has no model?")
    with invocation.connect() as repository:
        done = repository.gc(
            dry_run=dry_run,
            grace=seconds,
            delete_everything=delete_everything,
            progress=invocation.shows_progress or None,
        )
    invocation.answer(asdict(done), lambda: _collection_lines(done), [str(done.bytes_freed)])


def _collection_lines(done: Collection) -> Iterator[str]:
    if done.finished_earlier:
        yield "Finished a collection that was cut before."
    went = "Would free" if done.dry_run else "Freed"
    yield f"{went} {format_bytes(done.bytes_freed)}: {done.chunks:,} chunks and {done.documents:,} documents."
    if done.spared_chunks:
        yield f"{done.spared_chunks:,} unused chunks are younger than the grace period."


@app.command()
def repack(
    context: typer.Context,
    *,
    for_: str | None = typer.Option(
        None,
        "--for",
        metavar="D",
        help="Stop after this time, for example 90s, 30m, 8h; default: when all is done.",
    ),
    cores: int | None = typer.Option(None, metavar="N", min=1, help="Cores to use; default: all."),
) -> None:
    """Encode densely what was stored fast.

    The service serves meanwhile. No digest changes, and old bytes go only when the new ones were read back. It
    may be interrupted at any time; the next repack goes on where this one was.

    Example: mgit repack --for 30m
    """
    invocation = invocation_of(context)
    seconds = None if for_ is None else parse_duration(for_)
    with invocation.connect() as repository:
        done = repository.repack(time=seconds, cores=cores, progress=invocation.shows_progress or None)
    invocation.answer(asdict(done), lambda: _repack_lines(done), [str(done.bytes_after)])


def _repack_lines(done: Repacking) -> Iterator[str]:
    yield (
        f"Encoded {done.chunks:,} chunks again; packs and indexes took {format_bytes(done.bytes_before)} and take "
        f"{format_bytes(done.bytes_after)}."
    )
    if not done.is_complete:
        yield "There is more to do; the next repack goes on."
    if done.damaged_chunks:
        yield f"{done.damaged_chunks:,} chunks cannot be read; 'mgit fsck' tells more."


@app.command()
def fsck(
    context: typer.Context,
    *,
    repair: bool = typer.Option(
        False, "--repair", help="Repair from the store itself; take damaged copies out of it."
    ),
    from_: Path | None = typer.Option(
        None,
        "--from",
        metavar="PATH",
        help="A file or folder as add takes it; sends what the store lacks. Repairs too.",
    ),
) -> None:
    """Check everything that is stored, and repair it.

    Reads every chunk and compares it with its digest, follows every reference, and names the models that suffer.
    Exit code 1 if something is wrong.

    Example: mgit fsck --repair --from sst2.safetensors
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.fsck(repair=repair, source=from_, progress=invocation.shows_progress or None)
    invocation.answer(asdict(found), lambda: _check_lines(found), [each.subject for each in found.problems])
    if not found.ok:
        raise typer.Exit(_NOT_OK)


def _check_lines(found: StoreCheck) -> Iterator[str]:
    for problem in found.problems:
        yield from _problem_lines(problem)
    if found.sent_bytes:
        yield f"Sent {format_bytes(found.sent_bytes)} that the store lacked."
    if found.promised:
        yield f"{found.promised:,} chunks are in other stores, as promised: mgit pull REF fetches those of a model."
    read = f"{found.chunks:,} chunks ({format_bytes(found.raw_bytes)}) and {found.documents:,} documents"
    if found.ok:
        yield f"{'All is right again' if found.problems else 'All is right'}: read {read}."
        return
    yield f"Something is wrong: read {read}."
    if found.missing:
        yield (
            f"{len(found.missing):,} chunks are lacking; 'mgit fsck --from PATH' sends them from a file or folder that "
            "still has them."
        )


def _problem_lines(problem: StoreProblem) -> Iterator[str]:
    repaired = " (repaired)" if problem.repaired else ""
    yield f"{problem.reason}{repaired}: {problem.message}"
    if problem.models:
        yield f"  models: {', '.join(problem.models)}"
