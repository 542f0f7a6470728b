"""``update`` and ``worker``: what was made from a model is made anew when the model is updated."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import typer
import typer.core

from mgit.cli.durations import parse_duration
from mgit.cli.invocation import Invocation, invocation_of
from mgit.cli.updating_forms import (
    document_of_progress,
    document_of_update,
    held_lines,
    outcome_lines,
    plan_lines,
    progress_line,
    update_lines,
    updates_lines,
)

if TYPE_CHECKING:
    from mgit.updating import Update, UpdateProgress

__all__ = ["UpdateTable", "app"]

_NOT_DONE = 1
_DEFAULT = "start"


class UpdateTable(typer.core.TyperGroup):
    """Commands of ``update``; what begins with a model instead of a command starts one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_named = not args or args[0] in {*self.commands, "--help", "-h"}
        return super().parse_args(ctx, args if is_named else [_DEFAULT, *args])


app = typer.Typer(rich_markup_mode=None)
updates = typer.Typer(cls=UpdateTable, rich_markup_mode=None, no_args_is_help=True)

_ID = typer.Argument(metavar="ID", help="Id of the update.")
_PUBLISH = typer.Option(
    None,
    metavar="together|each",
    help="Number the new models all at the end, or those of each step when it is done.",
)
_EXECUTOR = typer.Option("local", metavar="local|ray", help="Work on this machine, or as tasks of Ray.")
_WORKERS = typer.Option(
    None, metavar="N", min=1, help="Steps at a time; default: one for each core, four at most."
)
_TIMEOUT = typer.Option(
    None, metavar="D", help="Give a creation function up after this time, for example 2h."
)
_LEASE = typer.Option("60s", metavar="D", help="How long a step stays with a worker that fell silent.")


@updates.callback()
def update() -> None:
    """Make anew what was made from a model, when the model is updated.

    'mgit update OLD NEW' stands for 'mgit update start OLD NEW'.

    Example: mgit update bert@1 bert@2
    """


@updates.command()
def start(
    context: typer.Context,
    old: str = typer.Argument(metavar="OLD", help="The model that was updated."),
    new: str = typer.Argument(metavar="NEW", help="What follows it by version edges."),
    *,
    plan: bool = typer.Option(False, "--plan", help="Only show what would be done."),
    skip: list[str] = typer.Option(
        [], metavar="REF", help="Not made anew; what was made from it is, where it can be. May be repeated."
    ),
    stop_at: list[str] = typer.Option(
        [], metavar="REF", help="Not made anew, nor what lies behind it only. May be repeated."
    ),
    refresh_parents: bool = typer.Option(
        False,
        "--refresh-parents",
        help="Take the latest versions of the other parents, too; else they are pinned.",
    ),
    publish: str | None = _PUBLISH,
    stop_at_failed_tests: bool = typer.Option(
        False, "--stop-at-failed-tests", help="Do not make what needs a model that fails a test."
    ),
    attempts: int = typer.Option(3, metavar="N", min=1, max=100, help="How often a step is tried."),
    executor: str = _EXECUTOR,
    workers: int | None = _WORKERS,
    timeout: str | None = _TIMEOUT,
    lease: str = _LEASE,
) -> None:
    """Make anew what was made from a model, from what follows it: parents first, each once.

    The plan is shown first, and on a terminal you are asked, unless --yes is given. Each model is made by its recorded
    creation function and tested; nobody sees it before it is published. Exit code 1 if a step or a test failed, or if a
    model that would be replaced got another newer version meanwhile.

    Example: mgit update start bert@1 bert@2 --plan
    """
    invocation = invocation_of(context)
    choices: dict[str, Any] = {"skip": skip, "stop_at": stop_at, "refresh_parents": refresh_parents}
    with invocation.connect() as repository:
        planned = repository.update(old, new, plan=True, **choices)
        if plan or not planned.steps:
            refs = [step.old.ref for step in planned.steps]
            invocation.answer(document_of_update(planned), lambda: plan_lines(planned), refs)
            return
        for line in plan_lines(planned):
            invocation.tell(line)
        invocation.confirm(f"Make {planned.step_count} step{'s' if planned.step_count > 1 else ''}?")
        done = repository.update(
            old,
            new,
            **choices,
            publish=publish or "together",
            stop_at_failed_tests=stop_at_failed_tests,
            max_attempts=attempts,
            executor=executor,
            workers=workers,
            timeout_s=None if timeout is None else parse_duration(timeout),
            lease_s=parse_duration(lease),
            progress=invocation.shows_progress,
            on_start=lambda started: _tell_start(invocation, started),
            on_step=lambda progress: invocation.tell(progress_line(progress)),
        )
    _answer(invocation, done)


def _tell_start(invocation: Invocation, started: Update) -> None:
    if not started.is_over:
        invocation.tell(f"Update {started.id}; after an interrupt: mgit update resume {started.id}")


def _answer(invocation: Invocation, done: Update) -> None:
    refs = [model.ref for model in done.models]
    invocation.answer(document_of_update(done), lambda: outcome_lines(done), refs)
    if not done.passed:
        raise typer.Exit(_NOT_DONE)


@updates.command()
def ls(
    context: typer.Context,
    *,
    limit: int = typer.Option(50, metavar="N", min=1, help="Most updates to list."),
) -> None:
    """List updates, newest first.

    Example: mgit update ls
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = list(itertools.islice(repository.updates.list(), limit + 1))
    is_truncated, found = len(found) > limit, found[:limit]
    if not found:
        invocation.tell("There are no updates; 'mgit update OLD NEW' starts one.")
    if is_truncated:
        invocation.tell(f"There are more than these {limit}; --limit lists more.")
    document = {"updates": [document_of_update(each) for each in found], "truncated": is_truncated}
    invocation.answer(document, lambda: updates_lines(found), [each.id for each in found])


@updates.command()
def show(context: typer.Context, id_: str = _ID) -> None:
    """Show how far an update is, and why steps failed.

    Example: mgit update show 0192f3a1-7c4e-7000-8000-000000000000
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.updates.get(id_)
    refs = [model.ref for model in found.models]
    invocation.answer(document_of_update(found), lambda: update_lines(found), refs)


@updates.command()
def resume(
    context: typer.Context,
    id_: str = _ID,
    *,
    anyway: bool = typer.Option(
        False, "--anyway", help="Publish although models that it replaces got other newer versions."
    ),
    publish: str | None = _PUBLISH,
    executor: str = _EXECUTOR,
    workers: int | None = _WORKERS,
    timeout: str | None = _TIMEOUT,
    lease: str = _LEASE,
) -> None:
    """Go on with an update: what failed is tried anew, what is done is not.

    With --publish each, what is done is numbered at once. Exit code as of 'mgit update'.

    Example: mgit update resume 0192f3a1-7c4e-7000-8000-000000000000
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        done = repository.updates.resume(
            id_,
            anyway=anyway,
            publish=publish,
            executor=executor,
            workers=workers,
            timeout_s=None if timeout is None else parse_duration(timeout),
            lease_s=parse_duration(lease),
            progress=invocation.shows_progress,
            on_start=lambda found: _tell_held(invocation, found),
            on_step=lambda progress: invocation.tell(progress_line(progress)),
        )
    _answer(invocation, done)


def _tell_held(invocation: Invocation, found: Update) -> None:
    for line in held_lines(found):
        invocation.tell(line)


@updates.command()
def cancel(context: typer.Context, id_: str = _ID) -> None:
    """End an update; its unpublished models go, what was published stays.

    On a terminal you are asked first, unless --yes is given.

    Example: mgit update cancel 0192f3a1-7c4e-7000-8000-000000000000 --yes
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.updates.get(id_)
        invocation.confirm(
            f"Cancel update {found.old.ref} -> {found.new.ref}, {found.done_count} of {found.step_count} steps done?"
        )
        ended = repository.updates.cancel(id_)
    invocation.answer(document_of_update(ended), lambda: outcome_lines(ended), [ended.id])


app.add_typer(updates, name="update")


@app.command()
def worker(
    context: typer.Context,
    ids: list[str] = typer.Argument(None, metavar="[ID]...", help="Updates to help with; none means all."),
    *,
    once: bool = typer.Option(False, "--once", help="End when there is no step that could be worked at now."),
    workers: int = typer.Option(1, metavar="N", min=1, max=64, help="Steps at a time."),
    timeout: str | None = _TIMEOUT,
    lease: str = _LEASE,
) -> None:
    """Help with updates that run: take steps, make models, test them.

    Creation functions are found in the current folder and on Python's search path. An interrupt gives the step back.
    With ids it ends when these updates are over or wait for a person, else never.

    Example: mgit worker --once
    """
    invocation = invocation_of(context)
    left: list[UpdateProgress] = []

    def hear(progress: UpdateProgress) -> None:
        left.append(progress)
        invocation.tell(progress_line(progress))

    with invocation.connect() as repository:
        repository.updates.work(
            ids or None,
            once=once,
            workers=workers,
            timeout_s=None if timeout is None else parse_duration(timeout),
            lease_s=parse_duration(lease),
            on_step=hear,
        )
    document = {"steps": [document_of_progress(each) for each in left]}
    count = len(left)
    lines = [f"Left {count} step{'' if count == 1 else 's'}."]
    invocation.answer(document, lambda: lines, [ref for each in left for ref in each.old])
