"""``bisect``: which model was the first bad one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from mgit.bisecting import BisectFinding, Bisection, BisectOutcome, BisectProgress, BisectSource
from mgit.cli.documents import document_of_summary
from mgit.cli.formatting import format_table
from mgit.cli.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from mgit.repository import Repository

app = typer.Typer(rich_markup_mode=None)

_NO_ANSWER = 1
_MOST_ROWS = 30
_MOST_CHARACTERS = 80


@app.command()
def bisect(
    context: typer.Context,
    ref: str | None = typer.Argument(
        None, metavar="[REF]", help="The newest model of the search; default: the --bad ones."
    ),
    *,
    test: str = typer.Option(..., metavar="NAME", help="A registered test: passed is good, failed is bad."),
    good: list[str] = typer.Option(
        [], metavar="REF", help="Good, with all that it was made from; may be repeated."
    ),
    bad: list[str] = typer.Option(
        [], metavar="REF", help="Bad, with all that was made from it; may be repeated."
    ),
    skip: list[str] = typer.Option([], metavar="REF", help="Not to be tested; may be repeated."),
    rerun: bool = typer.Option(False, "--rerun", help="Do not use known results."),
) -> None:
    """Find the first bad model among a model and its ancestors.

    Both provenance and version edges are followed. Known results are used first; of n models in a chain at most
    log2(n + 1) tests run, rounded up. Exit code 1 if there is no answer: only models that cannot be tested are
    left, or results contradict each other. Ends with the command that records the bug; on a terminal it asks.

    Example: mgit bisect reviews --test accuracy --good reviews@1
    """
    invocation = invocation_of(context)
    with invocation.connect() as repository:
        found = repository.bisect(
            ref,
            test,
            good=good,
            bad=bad,
            skip=skip,
            rerun=rerun,
            on_step=lambda step: _tell(invocation, step),
        )
        first = [] if found.first_bad is None else [found.first_bad.ref]
        invocation.answer(_document(found), lambda: _lines(found), first)
        if found.first_bad is not None:
            _offer(invocation, repository, _Report.of(found, test))
    if not found.is_answered:
        raise typer.Exit(_NO_ANSWER)


def _tell(invocation: Invocation, step: BisectProgress) -> None:
    left = str(step.most_left)
    if step.least_left != step.most_left:
        left = f"{step.least_left} to {step.most_left}"
    more = {0: "the last test", 1: "about 1 more test"}.get(
        step.tests_after, f"about {step.tests_after} more tests"
    )
    invocation.tell(f"testing {step.model.ref}: then {left} left, {more}")


def _document(found: Bisection) -> dict[str, object]:
    looked_at = [each for each in found.findings if each.source in {BisectSource.TESTED, BisectSource.KNOWN}]
    pair = found.contradiction
    return {
        "first_bad": None if found.first_bad is None else found.first_bad.ref,
        "outcome": found.outcome.value,
        "reason": found.reason,
        "tests_run": found.tests_run,
        "searched": found.searched,
        "unexplored": found.unexplored,
        "tested": [_document_of_finding(each) for each in looked_at],
        "suspects": [document_of_summary(model) for model in found.suspects],
        "contradiction": None if pair is None else {"bad": pair[0].ref, "good": pair[1].ref},
    }


def _document_of_finding(finding: BisectFinding) -> dict[str, object]:
    return {
        "ref": finding.model.ref,
        "uid": finding.model.uid,
        "verdict": finding.verdict.value,
        "source": finding.source.value,
        "value": finding.value,
        "error": finding.error,
    }


def _lines(found: Bisection) -> Iterator[str]:
    shown = found.findings
    if len(shown) > _MOST_ROWS:
        shown = tuple(each for each in shown if each.source is BisectSource.TESTED)
    if shown:
        headers = ("model", "verdict", "value", "from", "")
        yield from format_table(headers, [_row(each) for each in shown], "llrll")
    if hidden := len(found.findings) - len(shown):
        yield f"{_count(hidden, 'model')} more known without a test."
    if found.findings:
        yield ""
    if found.first_bad is not None:
        yield f"The first bad model is {found.first_bad.ref}."
    yield found.reason
    if found.contradiction is not None:
        bad, good = found.contradiction
        yield f"Go on above with --good {good.ref}, below with --bad {bad.ref}, or test anew with --rerun."
    elif found.outcome is BisectOutcome.AMBIGUOUS:
        yield f"Suspects: {' '.join(model.ref for model in found.suspects)}"
    yield f"{_count(found.tests_run, 'test')} ran; {_count(found.searched, 'model')} to search."


def _row(finding: BisectFinding) -> tuple[str, ...]:
    value = "" if finding.value is None else f"{finding.value:.6g}"
    error = finding.error.partition("\n")[0][:_MOST_CHARACTERS]
    return finding.model.ref, finding.verdict.value, value, finding.source.value, error


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """The bug that a search found."""

    title: str
    ref: str
    description: str

    @classmethod
    def of(cls, found: Bisection, test: str) -> _Report:
        assert found.first_bad is not None  # noqa: S101 - asked before
        ref = found.first_bad.ref
        return cls(
            title=f"{test} fails since {ref}", ref=ref, description=f"Found by bisection: {found.reason}"
        )

    @property
    def command(self) -> str:
        words = ["mgit", "bug", "report", "--title", self.title, "--affects", self.ref]
        return shlex.join([*words, "--description", self.description])


def _offer(invocation: Invocation, repository: Repository, report: _Report) -> None:
    """Asks whether the bug is to be recorded, if a person can answer; else tells how."""
    can_ask = invocation.shows_progress and sys.stdin.isatty() and not invocation.assumes_yes
    if can_ask and typer.confirm(f"Record a bug of {report.ref}: {report.title}?", default=False, err=True):
        bug = repository.bugs.report(report.title, affects=[report.ref], description=report.description)
        invocation.tell(f"Recorded as bug {bug.id}; 'mgit bug affected {bug.id}' tells who inherits it.")
        return
    invocation.tell(f"To record it: {report.command}")
