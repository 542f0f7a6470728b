"""``test register ls run results rm``: what models have to hold."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mgit.cli.arguments import parse_dataset, parse_metadata
from mgit.cli.durations import parse_duration
from mgit.cli.invocation import Invocation, invocation_of
from mgit.cli.testing_forms import (
    document_of_result,
    document_of_run,
    document_of_test,
    result_lines,
    run_lines,
    test_line,
    test_lines,
)
from mgit.values import Identified, ModelReference
from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.model_tests import ModelTestKind

if TYPE_CHECKING:
    from mgit.repository import Repository

app = typer.Typer(rich_markup_mode=None)
tests = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

_NOT_OK = 1
_NAME = typer.Argument(metavar="NAME", help="Name of the test, or @UID.")


@tests.callback()
def test() -> None:
    """Register tests of models, run them, and look at results.

    A test measures a model: a number or a truth value. The service keeps tests and results; what runs, runs on
    this machine, each test in a process of its own.

    Example: mgit test run
    """


@tests.command()
def register(
    context: typer.Context,
    name: str = typer.Argument(metavar="NAME", help="Name of the test, written as a model name."),
    *,
    entry_point: str | None = typer.Option(
        None, metavar="MODULE:FUNCTION", help="A function that gets a model and returns a number or a bool."
    ),
    command: str | None = typer.Option(
        None, metavar="C", help="A program; MGIT_MODEL is the model's folder, its last line the value."
    ),
    builtin: str | None = typer.Option(
        None, metavar="finite|finite-in-half|sparsity|size|equals|drift", help="A test that comes along."
    ),
    for_: str | None = typer.Option(None, "--for", metavar="REF", help="The one model that it is for."),
    for_type: str | None = typer.Option(None, metavar="TYPE", help="For all models of this type."),
    for_all: bool = typer.Option(False, "--for-all", help="For all models."),
    direction: str | None = typer.Option(
        None, metavar="higher|lower", help="Which values are better; default: higher."
    ),
    threshold: float | None = typer.Option(
        None, help="The worst value that passes; without it values are only kept."
    ),
    tolerance: float | None = typer.Option(
        None, help="Largest loss where it guards a lossy model; default: 0.005."
    ),
    metric: str | None = typer.Option(None, help="Name of what it measures."),
    inputs: Path | None = typer.Option(None, metavar="PATH", help="File or folder that it reads."),
    dataset: str | None = typer.Option(None, metavar="NAME[@V]", help="Data set that the inputs belong to."),
    arg: list[str] = typer.Option(
        [], metavar="K=V", help="Handed to the test; numbers, true and false are kept as such."
    ),
    timeout: str | None = typer.Option(
        None, metavar="D", help="A run is given up after this time, for example 90s; default: 10m."
    ),
    replace: bool = typer.Option(False, "--replace", help="Give a registered test this definition."),
) -> None:
    """Register a test for one model, for a model type, or for all models.

    Exactly one of --entry-point, --command and --builtin, and one of --for, --for-type and --for-all. Models that
    are added later are tested, too. A test of that name keeps its results with --replace.

    Example: mgit test register no-nan --builtin finite --for-all
    """
    invocation = invocation_of(context)
    if (for_ is not None) + (for_type is not None) + for_all != 1:
        raise typer.BadParameter("give exactly one of them", param_hint="--for, --for-type, --for-all")
    if (entry_point is not None) + (command is not None) + (builtin is not None) != 1:
        raise typer.BadParameter("give exactly one of them", param_hint="--entry-point, --command, --builtin")
    arguments = parse_metadata(arg)
    with invocation.connect() as repository:
        registered = repository.tests.register(
            name,
            entry_point,
            command=command,
            builtin=builtin,
            model=for_,
            type=for_type,
            arguments=arguments,
            inputs=inputs,
            dataset=None if dataset is None else parse_dataset(dataset),
            metric=metric,
            direction=direction,
            threshold=threshold,
            tolerance=tolerance,
            timeout_s=None if timeout is None else parse_duration(timeout),
            replace=replace,
        )
    invocation.answer(
        document_of_test(registered), lambda: [f"Registered {test_line(registered)}."], [registered.name]
    )


@tests.command()
def ls(context: typer.Context) -> None:
    """List the registered tests.

    Example: mgit test ls
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = list(repository.tests.list())
    if not found:
        invocation.tell("There are no tests; 'mgit test register' adds one.")
    document = {"tests": [document_of_test(each) for each in found]}
    invocation.answer(document, lambda: test_lines(found), [each.name for each in found])


@tests.command()
def run(
    context: typer.Context,
    pattern: str = typer.Argument("", metavar="[PATTERN]", help="Shell pattern over names of tests."),
    *,
    over: list[str] = typer.Option(
        [], metavar="REF", help="A model to test; may be repeated. Default: the latest version of each name."
    ),
    descendants_of: list[str] = typer.Option(
        [], metavar="REF", help="Test all that was made from this model; may be repeated."
    ),
    jobs: int | None = typer.Option(
        None, metavar="N", min=1, max=64, help="Tests at a time; default: one for each core, four at most."
    ),
    rerun: bool = typer.Option(False, "--rerun", help="Run tests again whose result is known."),
) -> None:
    """Run tests over models; what is known is not run again.

    Runs the tests that apply to each model. A result is known if the same code gave it for the same inputs and
    the same parameters. A run that is stopped goes on when it is called again. Exit code 1 if a test failed or
    could not be run to its end.

    Example: mgit test run 'no-*' --over sst2 --over minilm@1
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        models = _models(repository, over, descendants_of)
        runs = list(
            repository.tests.run(
                pattern, models=models, jobs=jobs, rerun=rerun, progress=invocation.shows_progress or None
            )
        )
    if not runs:
        _tell_nothing(invocation, pattern)
    bad = list(dict.fromkeys(each.model.ref for each in runs if each.is_bad))
    document = {"results": [document_of_run(each) for each in runs]}
    invocation.answer(document, lambda: run_lines(runs, invocation.paint), bad)
    if bad:
        raise typer.Exit(_NOT_OK)


def _models(
    repository: Repository, over: list[str], descendants_of: list[str]
) -> list[ModelReference] | None:
    """Each model once, in the order given; None means all."""
    if not over and not descendants_of:
        return None
    named = [repository.get(ref) for ref in over]
    made = [relative.model for ref in descendants_of for relative in repository.descendants(ref)]
    chosen: list[Identified] = [*named, *made]
    return list({model.uid: model for model in chosen}.values())


def _tell_nothing(invocation: Invocation, pattern: str) -> None:
    """A pattern that fits nothing is a slip, since a check that never runs looks like one that holds."""
    if pattern:
        raise NotFoundError(
            ErrorReason.TEST_NOT_FOUND,
            f"No test whose name fits {pattern[:80]!r} applies to these models; 'mgit test ls' lists all tests.",
        )
    invocation.tell("No test applies to these models; 'mgit test register' adds one.")


@tests.command()
def results(
    context: typer.Context,
    name: str | None = typer.Argument(None, metavar="[NAME]", help="Only of this test, a name or @UID."),
    *,
    of: str | None = typer.Option(None, metavar="REF", help="Only of this model."),
    limit: int = typer.Option(50, metavar="N", min=1, help="Most results to list."),
) -> None:
    """List recorded results, newest first.

    Each is judged by the threshold that its test has today.

    Example: mgit test results no-nan --of sst2
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = list(itertools.islice(repository.tests.results(name, of), limit + 1))
    is_truncated, found = len(found) > limit, found[:limit]
    if not found:
        invocation.tell("There are no such results; 'mgit test run' makes some.")
    if is_truncated:
        invocation.tell(f"There are more than these {limit}; --limit lists more.")
    document = {"results": [document_of_result(each) for each in found], "truncated": is_truncated}
    refs = [each.model.ref for each in found if each.model is not None]
    invocation.answer(document, lambda: result_lines(found, invocation.paint), refs)


@tests.command()
def trust(context: typer.Context, name: str = _NAME) -> None:
    """Let the program of a test that was registered elsewhere run on this machine.

    It shows the program; on a terminal you are asked first, unless --yes is given. What was registered from here needs
    no trust, and neither do functions and built-in tests.

    Example: mgit test trust perplexity
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.tests.get(name)
        if found.kind is not ModelTestKind.COMMAND:
            invocation.tell(f"Test {found.name} is no program and needs no trust.")
        else:
            invocation.tell(f"Test {found.name} runs: {found.code}")
            invocation.confirm("Let it run here?")
            repository.tests.trust(f"@{found.uid}")
    invocation.answer(document_of_test(found), lambda: [f"Trusted {found.name}."], [found.name])


@tests.command()
def rm(context: typer.Context, name: str = _NAME) -> None:
    """Deregister a test; its results stay.

    On a terminal you are asked first, unless --yes is given.

    Example: mgit test rm no-nan --yes
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        invocation.confirm(f"Deregister test {repository.tests.get(name).name}?")
        removed = repository.tests.remove(name)
    line = f"Deregistered {removed.name}; its results stay."
    invocation.answer(document_of_test(removed), lambda: [line], [removed.name])


app.add_typer(tests, name="test")
